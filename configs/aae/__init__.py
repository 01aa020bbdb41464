"""Adversarial Autoencoders: get_config("row,profile") of each table or figure."""
