"""Learning priors for adversarial autoencoders (Wang, Peng and Ko 2019)."""
