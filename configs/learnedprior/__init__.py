"""Learned priors for adversarial autoencoders: get_config("row,profile") of each table and figure."""
