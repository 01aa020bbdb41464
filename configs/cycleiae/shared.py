"""What both figures of the cycle implicit autoencoders share: data, and our recipe where the paper
is silent."""

import ml_collections

from aae_jax.optimizers import adam
from configs.base import base, parse_argument


def row_config(experiment: str, argument: str, rows: tuple[str, ...]) -> ml_collections.ConfigDict:
    """Networks and optimizers of a row and profile; which data and which noise are the figure's."""
    row, profile = parse_argument(experiment, argument, rows)
    config = base(experiment, row, profile, "cycle_implicit_autoencoder")
    config.data.scaling = "symmetric"  # the generators end in tanh
    config.data.batch_size = 64
    config.train.epochs = 100
    config.train.seeds = 3
    if profile != "paper":
        {"fast": _fast, "smoke": _smoke}[profile](config)
    kind = row.rpartition("_")[2]
    if kind in ("l1", "marginal"):
        config.model.reconstruction = kind
    if kind == "l1":
        config.model.reconstruction_weight = 10.0  # CycleGAN's
    return config


def _fast(config: ml_collections.ConfigDict) -> None:
    """A quarter of the width, half the blocks, noise inside the discriminators, and that of the
    pairs faster than the autoencoder."""
    _widths(config, features=16, num_blocks=3, discriminators=(32, 64, 128))
    config.data.batch_size = 30  # 300 and 200 updates an epoch on Fashion-MNIST
    config.train.seeds = 1
    config.train.checkpoint_every = 1


def _smoke(config: ml_collections.ConfigDict) -> None:
    """Small networks on scikit-learn's 8x8 digits."""
    _widths(config, features=4, num_blocks=1, discriminators=(8, 16))
    config.data.name = "digits"
    config.data.batch_size = 25
    config.train.epochs = 20
    config.train.seeds = 2
    config.train.log_every = 20
    config.train.evaluate_every = 5


def _widths(
    config: ml_collections.ConfigDict,
    features: int,
    num_blocks: int,
    discriminators: tuple[int, ...],
) -> None:
    model = config.model
    # From N(0, 0.02) layers this narrow are weaker than the noise between them.
    model.init = "he_normal"
    model.generator.update(features=features, num_blocks=num_blocks)
    for discriminator in (model.reconstruction_discriminator, model.regularization_discriminator):
        discriminator.update(features=discriminators, noise=0.1)
    # A decoder that is not the slower one runs from its discriminator as one image for all codes.
    model.optimizers.autoencoder = adam(0.0002, 0.5)
    model.optimizers.reconstruction_discriminator = adam(0.001, 0.5)
    model.optimizers.regularization_discriminator = adam(0.0002, 0.5)
