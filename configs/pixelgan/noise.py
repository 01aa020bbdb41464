"""PixelGAN, appendix A.1: what the noise on the encoder's input does.

    make reproduce-noise-pixelgan PROFILE=fast

The appendix could not be had; the rows are standard deviations of ours, on figure 5's three digits.
"""

import ml_collections

from configs.base import parse_argument
from configs.pixelgan import fig5

ROWS = ("std_0", "std_0.1", "std_0.3", "std_0.6")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_noise", argument, ROWS)
    config = fig5.get_config(f"three_digits,{profile}")
    config.experiment, config.row = "pixelgan_noise", row
    config.model.input_noise = float(row.removeprefix("std_"))
    if profile == "fast":
        # Smaller and shorter than figure 5's own, so that every row can have three seeds.
        config.model.decoder.num_blocks = 3
        config.train.epochs = 4
    return config
