"""InfoGAN: five continuous codes of rendered faces.

    make reproduce-faces-infogan PROFILE=fast

The paper's faces are renderings of a 3-D model, which can be had from their authors alone: prepare
them as a set of one's own (docs/own_data.md) under the name `faces_32`, grey, 32x32. The five
uniform codes are the paper's; noise, batches and lengths are ours (the survey is silent).
"""

import ml_collections

from configs.base import base, parse_argument
from configs.infogan import shared

ROWS = ("faces",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("infogan_faces", argument, ROWS)
    if profile == "smoke":
        config = shared.smoke("infogan_faces", row)
    else:
        config = base("infogan_faces", row, profile, "infogan")
        config.data.name = "faces_32"
        config.data.batch_size = 128
        config.model.noise_dim = 128
        config.train.epochs = 100
        config.train.seeds = 1
    config.model.num_categories = 0
    config.model.num_continuous = 5
    if profile == "fast":
        shared.fast(config)
        config.train.epochs = 30
    return config
