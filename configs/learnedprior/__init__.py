"""Learned priors for adversarial autoencoders: get_config("row,profile") of tables and figures."""
