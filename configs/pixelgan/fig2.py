"""PixelGAN, figure 2: samples of a PixelGAN autoencoder, a PixelCNN and an AAE, with the same 2-D
code and receptive field of 9 where they have them (encoder, batches, optimizers and epochs: paper
silent).

    make reproduce-fig2-pixelgan PROFILE=fast
"""

import ml_collections

from configs.aae import fig2 as aae_fig2
from configs.base import base, parse_argument
from configs.pixelgan.fig3 import gaussian_code
from configs.pixelgan.table1 import pixelgan_on_digits

ROWS = ("pixelgan", "pixelcnn", "aae")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_fig2", argument, ROWS)
    if row == "aae":
        config = aae_fig2.get_config(f"aae_gaussian,{profile}")
        config.experiment, config.row = "pixelgan_fig2", row
        config.train.seeds = 1
        return config
    config = base("pixelgan_fig2", row, profile, "pixelgan")
    gaussian_code(config)
    config.model.decoder.num_blocks = 1  # a receptive field of 9
    config.model.decoder.receptive_field = 9
    config.model.decoder.conditioning = "location_dependent" if row == "pixelgan" else "none"
    config.train.seeds = 1
    if profile == "fast":
        config.data.batch_size = 32
        config.model.decoder.features = 16
        config.model.encoder_hidden = (500, 500)
        config.model.discriminator_hidden = (250, 250)
        config.train.epochs = 6
        config.train.checkpoint_every = 2
    elif profile == "smoke":
        pixelgan_on_digits(config)
        config.model.encoder_hidden = (100, 100)
        config.train.seeds = 1
    return config
