"""Implicit Autoencoders, figure 3: reconstructions of SVHN.

    make reproduce-fig3-iae PROFILE=fast

Sizes of code and noise are the paper's, and the networks table 2's; batches, optimizers and epochs
are ours (paper silent), and `fast` has fewer epochs alone.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.iae import shared
from configs.iae.smoke import smoke

ROWS = ("deterministic_150d", "stochastic_75d")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("iae_fig3", argument, ROWS)
    if profile == "smoke":
        config = smoke("iae_fig3", row)
        shared.code_sizes(config, noise_dim=10)
        return config
    config = base("iae_fig3", row, profile, "implicit_autoencoder")
    shared.svhn(config)
    shared.code_sizes(config, noise_dim=1000)
    config.train.epochs = 20
    config.train.seeds = 3
    if profile == "fast":
        config.train.epochs = 1
        config.train.seeds = 1
        config.train.checkpoint_every = 1
    return config
