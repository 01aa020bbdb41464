"""CIFAR-10: get_config("row,profile") of its judge."""
