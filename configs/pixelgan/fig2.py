"""PixelGAN, figure 2: samples of a PixelGAN autoencoder, a PixelCNN and an AAE, with the same 2-D
code and receptive field of 9 where they have them (encoder, batches, optimizers and epochs: paper
silent).

    make reproduce-fig2-pixelgan PROFILE=fast
"""

import ml_collections

from configs.aae.smoke import smoke as aae_smoke
from configs.base import base, parse_argument
from configs.pixelgan.fig3 import gaussian_code
from configs.pixelgan.smoke import smoke

ROWS = ("pixelgan", "pixelcnn", "aae")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_fig2", argument, ROWS)
    if profile == "smoke":
        return _smoke(row)
    config = base("pixelgan_fig2", row, profile, "aae" if row == "aae" else "pixelgan")
    config.data.name = "mnist"
    config.data.unlabelled = 50_000
    config.train.epochs = 1000 if row == "aae" else 200
    config.train.seeds = 1
    if row == "aae":
        _aae_code(config.model)
    else:
        _pixel_networks(config.model, row)
    if profile == "fast":
        if row == "aae":
            config.model.hidden = config.model.discriminator_hidden = (500, 500)
            config.model.schedule.name = "cosine"
            config.model.schedule.constant_fraction = 0.7
            config.train.epochs = 25
            config.train.checkpoint_every = 10
        else:
            config.model.encoder_hidden = (500, 500)
            config.model.discriminator_hidden = (250, 250)
            config.model.decoder.features = 16
            config.data.batch_size = 32
            config.train.epochs = 6
            config.train.checkpoint_every = 2
    return config


def _aae_code(model: ml_collections.ConfigDict) -> None:
    model.code_dim = 2
    model.prior.std = 1.0


def _pixel_networks(model: ml_collections.ConfigDict, row: str) -> None:
    gaussian_code(model)
    model.decoder.num_blocks = 1  # a receptive field of 9
    model.decoder.receptive_field = 9
    model.decoder.conditioning = "location_dependent" if row == "pixelgan" else "none"


def _smoke(row: str) -> ml_collections.ConfigDict:
    if row == "aae":
        config = aae_smoke("pixelgan_fig2", row, "aae")
        _aae_code(config.model)
        config.train.epochs = 30
    else:
        config = smoke("pixelgan_fig2", row)
        _pixel_networks(config.model, row)
        config.model.encoder_hidden = (100, 100)
        config.model.optimizers.reconstruction.learning_rate = 0.001
    config.train.seeds = 1
    return config
