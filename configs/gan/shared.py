"""What the GAN's experiments share: the paper's settings as far as they are known, our recipe for
two CPU cores, and the networks of the smoke profile."""

import ml_collections

from aae_jax.optimizers import adam, rising_sgd
from configs.base import base


def paper(config: ml_collections.ConfigDict) -> None:
    """A generator of ReLUs, a discriminator of maxout units with dropout, gradient descent with
    momentum. Widths, rates and initial weights: the survey is silent, and so they are the
    conditional GAN's, whose networks these are but for the labels."""
    model = config.model
    model.hidden = (1200, 1200)
    model.discriminator_hidden = (240, 240)
    model.maxout_pieces = 5
    for phase in model.optimizers:
        model.optimizers[phase] = rising_sgd(0.1, 0.5, 0.7, 125_000)
    model.schedule.lowest = 1e-5
    model.schedule.name = "exponential"
    model.schedule.factor = 1 / 1.00004


def fast(config: ml_collections.ConfigDict) -> None:
    """Half the width, a discriminator of ReLUs, Adam, He's initial weights, rates that end at
    zero."""
    model = config.model
    model.hidden = model.discriminator_hidden = (600, 600)
    model.maxout_pieces = 0
    model.init = "he_normal"
    for phase in model.optimizers:
        model.optimizers[phase] = adam(0.0002, 0.5)
    model.schedule.name = "cosine"
    model.schedule.constant_fraction = 0.5
    config.train.checkpoint_every = 5


def smoke(experiment: str, row: str, method: str) -> ml_collections.ConfigDict:
    """Small networks on scikit-learn's 8x8 digits: seconds a run."""
    config = base(experiment, row, "smoke", method)
    config.data.name = "digits"
    config.data.unlabelled = 1200
    config.data.batch_size = 50
    model = config.model
    if method == "gan":
        model.hidden = model.discriminator_hidden = (64, 64)
        model.noise_dim = 16
    else:
        model.noise_dim = 16
        model.generator.features = (16, 8)
        model.generator.kernel_size = model.discriminator.kernel_size = 4
        model.discriminator.features = (8, 16)
        config.data.scaling = "symmetric"
    model.schedule.name = "constant"
    config.train.epochs = 20
    config.train.seeds = 2
    config.train.log_every = 24
    config.train.evaluate_every = 5
    return config
