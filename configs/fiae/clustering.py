"""Implicit Autoencoders, section 4.1: clusters of MNIST by a flipped implicit autoencoder.

    make reproduce-clustering-fiae PROFILE=fast

Sizes of code and noise are the paper's; networks, batches, optimizers and epochs are ours (paper
silent). Clusters are named on the 10,000 images that are not trained on.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.fiae import shared

ROWS = ("mnist_10",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("fiae_clustering", argument, ROWS)
    config = base("fiae_clustering", row, profile, "flipped_implicit_autoencoder")
    config.model.recognition.head_batch_norm = "shared"  # keeps all categories in use
    if profile == "smoke":
        shared.smoke(config)
        return config
    config.data.name = "mnist"
    config.data.unlabelled = 50_000
    config.train.epochs = 200
    config.train.seeds = 3
    if profile == "fast":
        shared.fast(config)
        config.model.input_noise = 0.3
        # With ε from the start the generator forgets the category.
        config.model.recognition_noise_rise = (0.5, 1.0)
        config.train.epochs = 12
        config.train.seeds = 1
    return config
