"""DCGAN (Radford et al. 2016), as the survey shows it: one module per figure or number."""
