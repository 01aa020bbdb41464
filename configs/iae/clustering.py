"""Implicit Autoencoders, section 2.1.2 and figure 6: clusters of MNIST, error in percent.

    make reproduce-clustering-iae PROFILE=fast

30 clusters and 10-D noise are the paper's; batches, optimizers and epochs are ours (paper silent).
Clusters are named on the 10,000 images that are not trained on.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.iae import shared
from configs.iae.smoke import smoke

ROWS = ("mnist_30",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("iae_clustering", argument, ROWS)
    if profile == "smoke":
        config = smoke("iae_clustering", row)
        shared.categorical_code(config)
        config.model.num_categories = 20
        config.model.encoder.head_batch_norm = "shared"
        return config
    config = base("iae_clustering", row, profile, "implicit_autoencoder")
    shared.categorical_code(config)
    config.data.name = "mnist"
    config.data.unlabelled = 50_000
    config.model.num_categories = 30
    config.train.epochs = 200
    config.train.seeds = 3
    if profile == "fast":
        shared.fast(config)
        # A soft code, moved by what the discriminator of pairs says of it (docs/notes/iae.md).
        config.model.encoder.head_batch_norm = "fixed"
        config.model.encoder.head_scale = 2.0
        config.model.backpropagate = "both"
        config.model.encoder_rate = 0.5
        config.train.epochs = 6
    return config
