"""One config per experiment: get_config("row,profile")."""
