"""VAE/GAN (Larsen et al. 2016, in the survey's slides): one module per figure or number."""
