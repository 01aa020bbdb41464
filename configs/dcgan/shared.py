"""What DCGAN's experiments share: its settings by data set, our recipe for two CPU cores, and the
networks of the smoke profile."""

import ml_collections

from configs.base import base

SMALL = ("mnist",)  # 28x28, which two convolutions can halve


def paper(
    experiment: str, row: str, profile: str, data: str, large: bool = False
) -> ml_collections.ConfigDict:
    """Adam, initial weights, leak and batches of the paper, for images of 28x28, 32x32 or, if
    ``large``, 64x64, where the generator has the 1024 channels of its figure 1. Lengths are ours
    (the survey is silent)."""
    config = base(experiment, row, profile, "dcgan")
    config.data.name = data
    config.data.scaling = "symmetric"
    config.data.batch_size = 128
    if data in SMALL:
        config.model.generator.features = (128, 64)
        config.model.discriminator.features = (64, 128)
    if large:
        config.model.generator.features = (1024, 512, 256, 128)
        config.model.discriminator.features = (128, 256, 512, 1024)
    config.train.epochs = 50
    config.train.seeds = 1
    return config


def fast(config: ml_collections.ConfigDict) -> None:
    """Half the width, 4x4 kernels, small batches, rates that end at zero."""
    model = config.model
    for network in (model.generator, model.discriminator):
        network.features = tuple(width // 2 for width in network.features)
        network.kernel_size = 4
    model.schedule.name = "cosine"
    config.data.batch_size = 64
    config.train.epochs = 8
    config.train.checkpoint_every = 1


def smoke(experiment: str, row: str) -> ml_collections.ConfigDict:
    """Small networks on scikit-learn's 8x8 digits: seconds a run."""
    config = base(experiment, row, "smoke", "dcgan")
    config.data.name = "digits"
    config.data.scaling = "symmetric"
    config.data.batch_size = 50
    model = config.model
    model.noise_dim = 16
    model.generator.features = (32, 16)
    model.discriminator.features = (16, 32)
    model.generator.kernel_size = model.discriminator.kernel_size = 4
    config.train.epochs = 20
    config.train.seeds = 1
    config.train.log_every = 24
    config.train.evaluate_every = 5
    return config
