"""The conditional GAN: get_config("row,profile") of each figure and number."""
