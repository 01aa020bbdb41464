"""Implicit Autoencoders, figure 2: reconstructions of MNIST with codes of 20, 10 and 5 dimensions.

    make reproduce-fig2-iae PROFILE=fast

Sizes of code and noise are the paper's, and the networks table 1's; batches, optimizers and epochs
are ours (paper silent), and so is it that the Gaussian of the code is imposed by the regularization
GAN in all rows ("we use the Gaussian distribution for both the latent code and noise vectors").
"""

import ml_collections

from configs.base import base, parse_argument
from configs.iae import shared
from configs.iae.smoke import smoke

ROWS = ("deterministic_20d", "stochastic_10d", "stochastic_5d")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("iae_fig2", argument, ROWS)
    if profile == "smoke":
        config = smoke("iae_fig2", row)
        shared.code_sizes(config, noise_dim=10)
        return config
    config = base("iae_fig2", row, profile, "implicit_autoencoder")
    config.data.name = "mnist"
    config.data.unlabelled = 60_000
    shared.code_sizes(config, noise_dim=100)
    config.train.epochs = 200
    config.train.seeds = 3
    if profile == "fast":
        shared.fast(config)
        config.model.optimizers.reconstruction.learning_rate = 0.0005
        config.train.epochs = 8
        config.train.seeds = 1
    return config
