"""Implicit Autoencoders, figure 4: reconstructions of CelebA in 48x48.

    make reproduce-fig4-iae PROFILE=fast

Sizes of code and noise are the paper's, and the networks table 3's; batches, optimizers and epochs
are ours (paper silent), and `fast` has fewer epochs alone.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.iae import shared
from configs.iae.smoke import smoke

ROWS = ("deterministic_150d", "stochastic_50d")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("iae_fig4", argument, ROWS)
    if profile == "smoke":
        config = smoke("iae_fig4", row)
        shared.code_sizes(config, noise_dim=10)
        return config
    config = base("iae_fig4", row, profile, "implicit_autoencoder")
    shared.celeba(config)
    shared.code_sizes(config, noise_dim=1000)
    config.train.epochs = 60
    config.train.seeds = 3
    if profile == "fast":
        config.train.epochs = 1
        config.train.seeds = 1
        config.train.checkpoint_every = 1
    return config
