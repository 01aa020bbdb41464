"""Cycle implicit autoencoders (Makhzani 2018, section 3): one module per figure."""
