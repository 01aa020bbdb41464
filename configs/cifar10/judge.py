"""The classifier of ours that judges generated images of CIFAR-10: a small residual network,
trained on images that are mirrored and moved.

    make reproduce-judge-cifar10 PROFILE=fast

Networks, rates and lengths are ours: no paper has one.
"""

import ml_collections

from aae_jax.optimizers import sgd
from configs.base import parse_argument
from configs.judges import judge

ROWS = ("cifar10", "cifar10_jpeg")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("cifar10_judge", argument, ROWS)
    wide = profile == "paper"
    config = judge(
        "cifar10_judge", row, profile, (64, 128, 256, 512) if wide else (24, 48, 96, 192), 512
    )
    model = config.model
    model.num_blocks = 1
    if profile == "smoke":
        return config
    if profile == "fast":
        config.data.batch_size = config.data.labelled_batch_size = 64
    model.input_dropout = 0.0
    model.shift, model.mirror = 2 if profile == "fast" else 4, True
    model.weight_decay = 5e-4
    model.optimizers.classification = sgd(0.05, 0.9)
    config.train.epochs = {"paper": 40, "fast": 22}[profile]
    config.train.checkpoint_every = 1
    return config
