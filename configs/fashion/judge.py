"""The classifier of ours that judges generated images of Fashion-MNIST.

    make reproduce-judge-fashion PROFILE=fast

Networks, rates and lengths are ours: no paper has one.
"""

import ml_collections

from configs.base import parse_argument
from configs.judges import judge

ROWS = ("fashion_mnist",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("fashion_judge", argument, ROWS)
    config = judge("fashion_judge", row, profile, (32, 64), 128)
    if profile != "smoke":
        config.train.epochs = {"paper": 30, "fast": 15}[profile]
    return config
