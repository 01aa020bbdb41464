"""Implicit Autoencoders (Makhzani 2018): one module per figure or number."""
