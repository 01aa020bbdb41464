"""Implicit Autoencoders, figure 13: MNIST reconstructed by a flipped implicit autoencoder.

    make reproduce-fig13-fiae PROFILE=fast

The code's size and that there is no noise are the paper's; networks, batches, optimizers and epochs
are ours (paper silent).
"""

import ml_collections

from configs.base import base, parse_argument
from configs.fiae import shared

ROWS = ("mnist_15d",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("fiae_fig13", argument, ROWS)
    config = base("fiae_fig13", row, profile, "flipped_implicit_autoencoder")
    model = config.model
    model.prior = "gaussian"
    model.code_dim = 15
    model.generator_noise_dim = model.recognition_noise_dim = 0
    # As in the implicit autoencoder's reconstructions (appendix B.1).
    model.reconstruction_discriminator.conditioning = "location_dependent"
    if profile == "smoke":
        shared.smoke(config)
        return config
    config.data.name = "mnist"
    config.data.unlabelled = 60_000
    config.train.epochs = 200
    config.train.seeds = 3
    if profile == "fast":
        shared.fast(config)
        config.train.epochs = 8
        config.train.seeds = 1
    return config
