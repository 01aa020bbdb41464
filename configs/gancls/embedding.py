"""The structured joint embedding of images and sentences.

    make reproduce-embedding-gancls PROFILE=fast ROWS=captioned_digits

Networks, optimizer, batches and epochs are ours: the slides are silent.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.gancls.shared import DATA, captioned

ROWS = DATA


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("gancls_embedding", argument, ROWS)
    config = base("gancls_embedding", row, profile, "joint_embedding")
    captioned(config, row)
    config.train.epochs = {"captioned_digits": 30, "flowers": 200, "birds": 200}[row]
    config.train.checkpoint_every = 1
    if profile == "paper":
        config.model.image.features = (64, 128, 256) if row != "captioned_digits" else (64, 128)
        return config
    config.model.optimizers.matching.learning_rate = 0.001
    config.model.image.features = (32, 64) if row == "captioned_digits" else (32, 64, 128)
    config.model.image.dense = 256
    config.train.epochs = 10 if row == "captioned_digits" else 40
    if profile == "smoke":
        config.model.image.features, config.model.image.dense = (16, 32), 64
        config.train.epochs = 15
        config.train.evaluate_every = 15
        config.train.checkpoint_every = 15
        config.train.log_every = 29
    return config
