"""GAN, figure 2: samples of MNIST, TFD and CIFAR-10.

    make reproduce-samples-gan PROFILE=fast ROWS="mnist cifar10_jpeg_conv"

The convolutional rows are DCGAN's networks without batch norm; their sizes, rates and lengths are
ours (the survey is silent).
"""

import ml_collections

from configs.base import base, parse_argument
from configs.gan import shared

ROWS = (
    "mnist",
    "tfd",
    "cifar10_mlp",
    "cifar10_conv",
    "cifar10_jpeg_mlp",
    "cifar10_jpeg_conv",
)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("gan_samples", argument, ROWS)
    convolutional = row.endswith("_conv")
    method = "dcgan" if convolutional else "gan"
    if profile == "smoke":
        config = shared.smoke("gan_samples", row, method)
        if convolutional:
            _without_batch_norm(config)
        return config
    config = base("gan_samples", row, profile, method)
    config.data.name = "tfd/0" if row == "tfd" else row.removesuffix("_conv").removesuffix("_mlp")
    config.train.epochs = 200
    config.train.seeds = 1
    if convolutional:
        config.data.scaling = "symmetric"
        _without_batch_norm(config)
        config.data.batch_size = 128
    else:
        shared.paper(config)
        if row != "mnist":
            config.data.scaling = "standardised"
            config.model.output = "linear"
    if profile == "fast":
        config.train.epochs = 50
        config.train.checkpoint_every = 1
        if convolutional:
            config.model.generator.features = (128, 64, 32)
            config.model.discriminator.features = (32, 64, 128)
            config.model.generator.kernel_size = config.model.discriminator.kernel_size = 4
            config.data.batch_size = 64
            config.train.epochs = 15
        else:
            shared.fast(config)
    return config


def _without_batch_norm(config: ml_collections.ConfigDict) -> None:
    config.model.generator.batch_norm = ""
    config.model.discriminator.batch_norm = ""
    config.model.init = "he_normal"
