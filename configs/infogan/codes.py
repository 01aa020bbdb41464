"""InfoGAN: a categorical and two continuous codes of MNIST.

    make reproduce-codes-infogan PROFILE=fast

Codes, noise, networks, rates and batches of `paper` are InfoGAN's; its length, its initial weights
and that real and fake images are normalised apart are ours (paper silent). Row `gan` differs in
`informed` alone. Clusters are named on the 10,000 images that are not trained on.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.infogan import shared

ROWS = ("mnist", "gan")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("infogan_codes", argument, ROWS)
    if profile == "smoke":
        config = shared.smoke("infogan_codes", row)
    else:
        config = base("infogan_codes", row, profile, "infogan")
        config.data.name = "mnist"
        config.data.unlabelled = 50_000
        config.data.batch_size = 128
        config.train.epochs = 100
        config.train.seeds = 3
    config.model.informed = row != "gan"
    if profile == "fast":
        shared.fast(config)
        config.train.epochs = 32
        config.train.seeds = 3 if row == "mnist" else 1  # its point is the panel
    return config
