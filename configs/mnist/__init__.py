"""MNIST: get_config("row,profile") of its judge."""
