"""Flipped implicit autoencoders (Makhzani 2018, section 4): one module per figure or number."""
