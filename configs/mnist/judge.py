"""The classifier of ours that judges generated images of MNIST.

    make reproduce-judge-mnist PROFILE=fast

Networks, rates and lengths are ours: no paper has one.
"""

import ml_collections

from configs.base import parse_argument
from configs.judges import judge

ROWS = ("mnist",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("mnist_judge", argument, ROWS)
    config = judge("mnist_judge", row, profile, (32, 64), 128)
    if profile != "smoke":
        config.train.epochs = {"paper": 20, "fast": 10}[profile]
    return config
