"""Implicit Autoencoders, figure 5: a mixture of seven Gaussians, by a GAN and by an implicit
autoencoder with the same decoder.

    make reproduce-fig5-iae PROFILE=fast

The 7-way categorical and the 10-D Gaussian noise are the paper's; the mixture (toys/ring7),
networks, batches, optimizers and lengths are ours (paper silent).
"""

import ml_collections

from aae_jax.optimizers import adam
from configs.base import base, parse_argument
from configs.iae import shared

ROWS = ("gan", "iae")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("iae_fig5", argument, ROWS)
    method = {"gan": "gan", "iae": "implicit_autoencoder"}[row]
    config = base("iae_fig5", row, profile, method)
    config.data.name = "toys/ring7"
    config.data.unlabelled = 9_000
    config.data.batch_size = 128
    width = 32 if profile == "smoke" else 128
    (_gan if row == "gan" else _iae)(config, (width, width))
    config.train.seeds = 3
    config.train.epochs = {"paper": 300, "fast": 150, "smoke": 15}[profile]
    config.train.evaluate_every = 10
    return config


def _gan(config: ml_collections.ConfigDict, hidden: tuple[int, ...]) -> None:
    model = config.model
    model.hidden = model.discriminator_hidden = hidden
    model.num_categories = 7
    model.noise_dim = 10
    model.noise = "gaussian"
    model.dropout = 0.0
    model.output = "linear"
    model.init = "he_normal"
    model.optimizers.generator = adam(0.001, 0.5)
    model.optimizers.discriminator = adam(0.001, 0.5)
    model.schedule.name = "constant"


def _iae(config: ml_collections.ConfigDict, hidden: tuple[int, ...]) -> None:
    shared.categorical_code(config)
    model = config.model
    model.encoder.dense = hidden
    model.encoder.head_batch_norm = "shared"
    for network in (model.decoder, model.reconstruction_discriminator):
        network.features = ()
        network.dense = hidden
        network.batch_norm = ""
    model.decoder.output = "linear"
    model.discriminator_hidden = hidden
    model.optimizers.reconstruction = adam(0.001, 0.5)
    model.optimizers.reconstruction_discriminator = adam(0.001, 0.5)
