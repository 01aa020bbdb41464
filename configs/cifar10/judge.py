"""The classifier of ours that judges generated images of CIFAR-10.

    make reproduce-judge-cifar10 PROFILE=fast

Networks, rates and lengths are ours: no paper has one.
"""

import ml_collections

from configs.base import parse_argument
from configs.judges import judge

ROWS = ("cifar10", "cifar10_jpeg")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("cifar10_judge", argument, ROWS)
    config = judge("cifar10_judge", row, profile, (64, 128, 256), 512)
    if profile != "smoke":
        config.train.epochs = {"paper": 40, "fast": 10}[profile]
    return config
