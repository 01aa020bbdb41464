"""What the experiments with learned priors share: tables A.1 to A.3 by the images' size, our recipe
for two CPU cores, and the networks of the smoke profile."""

from collections.abc import Iterable

import ml_collections

from aae_jax.optimizers import adam
from configs.base import base

CIFAR10 = ("cifar10", "cifar10_jpeg")
SLOW = ("image_discriminator", "recognition")


def on(
    experiment: str, row: str, profile: str, data: str, method: str = "learned_prior_aae"
) -> ml_collections.ConfigDict:
    """A row's config on a data set, images in [-1, 1] where the decoder's tanh ends. The paper is
    silent on batches, optimizers and lengths."""
    config = base(experiment, row, profile, method)
    config.data.name = data
    config.data.scaling = "symmetric"
    config.data.batch_size = 64
    config.train.epochs = 50 if data == "mnist" else 100
    if profile == "smoke":
        _smoke(config)
        return config
    model = config.model
    if data != "mnist":
        # In colour D_I wins, and what one batch of both normalises is then without a slope.
        model.perceptual_moments = "running"
    if data in ("mnist", "captioned_digits"):
        # The tables are for 32x32. Of 28x28, three halvings to the 4x4 that table A.1 averages
        # over, and two doublings from 7x7.
        model.encoder.features, model.decoder.features = (64, 128, 256), (512, 256, 128)
    if profile == "fast":
        _fast(config)
    return config


def split(row: str, systems: Iterable[str]) -> tuple[str, str]:
    """("cifar10_jpeg", "ours") of a row's name."""
    system = next(system for system in systems if row.endswith(f"_{system}"))
    return row.removesuffix(f"_{system}"), system


def conditional(config: ml_collections.ConfigDict, condition: str, noise_dim: int) -> None:
    """A prior of s and so much noise; the code is as large as both together, so that the noise and
    s could be the code themselves."""
    model = config.model
    model.condition = condition
    model.noise_dim = noise_dim
    model.code_dim = noise_dim + 10
    if condition == "labels":
        config.data.labelled_batch_size = config.data.batch_size


def plain(config: ml_collections.ConfigDict) -> None:
    """The adversarial autoencoder with a Gaussian prior and the squared error of pixels."""
    model = config.model
    model.learned_prior = model.perceptual = model.decoder_in_both = False
    model.noise_dim = model.code_dim


def _fast(config: ml_collections.ConfigDict) -> None:
    """A quarter of the widths, batch norm in the decoder's blocks, an image discriminator slower
    than what plays against it, rates that end at zero."""
    model = config.model
    for network in (model.encoder, model.decoder, model.image_discriminator):
        network.features = tuple(width // 4 for width in network.features)
    if model.decoder.features[-1] > 16:  # 28x28 pixels of 32 channels are dear
        model.decoder.features = tuple(width // 2 for width in model.decoder.features)
    model.decoder.batch_norm = True
    model.image_discriminator.dense = (256,)
    model.code_discriminator_hidden = (256, 128, 64)
    # A sum over pixels or features outweighs the code's adversary.
    model.encoder_weight = 0.1
    model.schedule.name = "cosine"
    _rates(config)
    small = config.data.name in ("mnist", "captioned_digits")
    # An image of 32x32 pixels is 0.4 GFLOP: more updates for the same time.
    config.data.batch_size = 64 if small else 32
    config.train.epochs = 4 if small else 3
    config.train.checkpoint_every = 1


def _rates(config: ml_collections.ConfigDict) -> None:
    optimizers = config.model.optimizers
    with config.unlocked(), config.model.unlocked():
        for phase in optimizers:
            optimizers[phase] = adam(0.0002 if phase in SLOW else 0.0005, 0.5)


def _smoke(config: ml_collections.ConfigDict) -> None:
    """Small networks on scikit-learn's 8x8 digits: seconds a run."""
    config.data.name = "digits"
    config.data.batch_size = 50
    model = config.model
    model.encoder.features, model.decoder.features = (8, 16), (16, 8)
    model.image_discriminator.features, model.image_discriminator.dense = (8, 16), (32,)
    model.code_discriminator_hidden = (32,)
    model.encoder_weight = 0.1
    _rates(config)
    config.train.epochs = 10
    config.train.log_every = 24
    config.train.evaluate_every = 5
