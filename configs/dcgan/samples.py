"""DCGAN: samples of MNIST, CIFAR-10 and bedrooms.

    make reproduce-samples-dcgan PROFILE=fast ROWS="mnist cifar10_jpeg"

Bedrooms are LSUN's, prepared as a set of one's own (docs/own_data.md) under the name
`lsun_bedroom_64`, in colour, 64x64.
"""

import ml_collections

from configs.base import parse_argument
from configs.dcgan import shared

ROWS = ("mnist", "cifar10", "cifar10_jpeg", "lsun_bedroom")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("dcgan_samples", argument, ROWS)
    if profile == "smoke":
        return shared.smoke("dcgan_samples", row)
    large = row == "lsun_bedroom"
    data = "lsun_bedroom_64" if large else row
    config = shared.paper("dcgan_samples", row, profile, data, large)
    if large:
        config.train.epochs = 5  # the survey shows one and five
    if profile == "fast":
        shared.fast(config)
        if large:
            config.train.epochs = 1
    return config
