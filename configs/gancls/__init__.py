"""Text-to-image GANs (Reed et al. 2016, in the survey's slides): get_config("row,profile")."""
