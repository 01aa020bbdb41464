"""InfoGAN (Chen et al. 2016), as the survey shows it."""
