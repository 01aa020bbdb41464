"""DCGAN (Radford et al. 2016): get_config("row,profile") of each figure and number."""
