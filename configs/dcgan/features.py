"""DCGAN: its discriminator as a feature extractor, under a linear SVM on few labels.

    make reproduce-features-dcgan PROFILE=fast ROWS=mnist_1000

`paper`: 1000 labels of SVHN; of CIFAR-10 all labels, from a discriminator trained on CIFAR-10
itself (the paper's was trained on ImageNet). C is chosen among the paper's values on images that
are not trained on.
"""

import ml_collections

from configs.base import parse_argument
from configs.dcgan import shared

ROWS = ("svhn_1000", "cifar10", "mnist_1000", "cifar10_jpeg")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("dcgan_features", argument, ROWS)
    if profile == "smoke":
        config = shared.smoke("dcgan_features", row)
    else:
        data = {"svhn_1000": "svhn_cropped", "mnist_1000": "mnist"}.get(row, row)
        config = shared.paper("dcgan_features", row, profile, data)
        config.data.unlabelled = {"svhn_cropped": 63_257, "mnist": 50_000}.get(data, 40_000)
        config.train.seeds = 3
    config.svm = ml_collections.ConfigDict(
        {
            "num_labels": int(row.split("_")[1]) if row.endswith("_1000") else 0,  # 0: all
            "c": (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2),
            "held_out": 10_000,  # images on which C is chosen, at most
        }
    )
    if profile == "fast":
        shared.fast(config)
        if not config.svm.num_labels:
            config.svm.num_labels = 10_000  # for the time and the memory of the SVM
            config.train.seeds = 1
    if profile == "smoke":
        config.svm.num_labels = 300
    return config
