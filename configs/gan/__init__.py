"""The GAN (Goodfellow et al. 2014): get_config("row,profile") of each figure and number."""
