"""The GAN (Goodfellow et al. 2014), as the survey shows it: one module per figure or number."""
