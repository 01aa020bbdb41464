"""The quickstart: three methods of the suite on scikit-learn's 8x8 digits, a stand-in.

make quickstart
"""

import ml_collections

from configs.base import base, on_digits, parse_argument
from configs.pixelgan.table1 import pixelgan_on_digits

ROWS = {
    "semi_supervised": "semi_supervised_aae",
    "clustering": "clustering_aae",
    "pixelgan": "pixelgan",
}


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("quickstart", argument, ROWS)
    config = base("quickstart", row, profile, ROWS[row])
    if row == "pixelgan":
        pixelgan_on_digits(config)
        config.model.num_categories = 20
        config.train.epochs = 100
        config.train.checkpoint_every = 100
        return config
    on_digits(config)
    config.data.unlabelled = 1200
    if row == "semi_supervised":
        config.data.num_labels = 100
        config.data.labelled_batch_size = 50
        config.train.epochs = 150
    else:
        config.model.num_categories = 20
        config.train.epochs = 200
    config.train.seeds = 2
    config.train.checkpoint_every = 100
    return config
