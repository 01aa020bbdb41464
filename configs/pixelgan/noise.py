"""PixelGAN, appendix A.1: what the noise on the encoder's input does.

    make reproduce-noise-pixelgan PROFILE=fast

The appendix could not be had; the rows are standard deviations of ours, on figure 5's three digits.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.pixelgan.fig5 import smoke_three_digits, three_digits

ROWS = ("std_0", "std_0.1", "std_0.3", "std_0.6")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_noise", argument, ROWS)
    if profile == "smoke":
        config = smoke_three_digits("pixelgan_noise", row)
    else:
        config = base("pixelgan_noise", row, profile, "pixelgan")
        three_digits(config)
    config.model.input_noise = float(row.removeprefix("std_"))
    if profile == "fast":
        # Small and short, so that every row can have three seeds.
        config.data.batch_size = 32
        config.model.decoder.num_blocks = 3
        config.model.decoder.features = 16
        config.model.discriminator_hidden = (200, 200)
        config.train.epochs = 4
        config.train.checkpoint_every = 2
    return config
