"""Flipped implicit autoencoders: get_config("row,profile") of each figure and number."""
