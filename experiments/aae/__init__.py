"""Adversarial Autoencoders (Makhzani et al.): one module per table or figure."""
