"""The conditional GAN (Mirza and Osindero 2014), as the survey shows it."""
