"""Cycle implicit autoencoders: get_config("row,profile") of each figure."""
