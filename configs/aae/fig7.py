"""AAE, figure 7: content and style apart, with a supervised AAE of a 15-D Gaussian style.

    make reproduce-fig7-aae PROFILE=fast ROWS=mnist

The paper gives the style's dimension only; networks are A.1's, rates A.2.1's (SVHN: A.2.2's).
"""

import ml_collections

from configs.aae.smoke import smoke
from configs.base import base, parse_argument

ROWS = ("mnist", "svhn")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("aae_fig7", argument, ROWS)
    if profile == "smoke":
        return _smoke(row)
    config = base("aae_fig7", row, profile, "supervised_aae")
    config.data.labelled_batch_size = 100
    model = config.model
    if row == "mnist":
        config.data.name = "mnist"
        config.data.unlabelled = 50_000
        config.train.epochs = 1000
    else:
        config.data.name = "svhn_cropped"
        config.data.scaling = "standardised"
        model.output = "linear"
        model.encoder_batch_norm = "all"
        model.decoder_batch_norm = True
        model.optimizers.reconstruction.learning_rate = 0.0001
        model.optimizers.discriminator.learning_rate = 0.01
        model.optimizers.generator.learning_rate = 0.01
        model.schedule.epochs = (250,)
        config.train.epochs = 1000
    config.train.seeds = 1
    if profile == "fast":
        model.hidden = (500, 500)
        # Without the noise the discriminator wins (docs/notes/aae.md).
        model.input_noise = 0.3
        model.discriminator_hidden = (250, 250)
        model.schedule.name = "cosine"
        model.schedule.constant_fraction = 0.7
        config.train.epochs = 40 if row == "mnist" else 5
        config.train.checkpoint_every = 10 if row == "mnist" else 1
    return config


def _smoke(row: str) -> ml_collections.ConfigDict:
    config = smoke("aae_fig7", row, "supervised_aae")
    config.data.labelled_batch_size = 50
    config.model.code_dim = 4
    config.train.epochs = 30
    config.train.seeds = 1
    return config
