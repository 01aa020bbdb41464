"""VAE, GAN and VAE/GAN of one architecture side by side, and the slide's two-dimensional walks.

    make reproduce-reconstruction-vaegan PROFILE=fast ROWS="mnist_vae mnist_gan mnist_vaegan"

Optimizer, batch and γ are Larsen et al.'s (γ as in their authors' code: 1e-6 for CelebA, 1e-5 for
CIFAR-10; MNIST: ours). Networks of MNIST and CIFAR-10, the codes' sizes there, and epochs are ours.
CelebA in 64x64 is prepared as a set of one's own (docs/own_data.md) under the name celeba_64.
"""

import ml_collections

from aae_jax.optimizers import adam
from configs.base import base, parse_argument

DATA = ("mnist", "cifar10_jpeg", "celeba")
SYSTEMS = {"vae": "vae", "gan": "gan", "vaegan": "vae_gan"}
ROWS = (
    *(f"{data}_{system}" for data in DATA for system in SYSTEMS),
    "mnist_vae_2d",
    "mnist_gan_2d",
)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("vaegan_reconstruction", argument, ROWS)
    data, system = row.removesuffix("_2d").rsplit("_", 1)
    config = base("vaegan_reconstruction", row, profile, "vae_gan")
    model = config.model
    model.system = SYSTEMS[system]
    config.data.batch_size = 64
    if profile == "smoke":
        _smoke(config)
    elif data == "mnist":
        config.data.name = "mnist"
        config.data.unlabelled = 50_000
        model.code_dim = 32
        config.train.epochs = 100
    elif data == "cifar10_jpeg":
        config.data.name = "cifar10_jpeg"
        _colour(config, (64, 128, 256), layer=2)
        model.gamma = 1e-5
        config.train.epochs = 200
    else:
        config.data.name = "celeba_64"
        _colour(config, (64, 128, 256), layer=2)
        model.encoder.dense = (2048,)
        config.train.epochs = 40
    if row.endswith("_2d"):
        model.code_dim = 2
    if profile == "fast":
        _fast(config, data)
    return config


def _colour(config: ml_collections.ConfigDict, widths: tuple[int, ...], layer: int) -> None:
    """Three convolutions to images that end in tanh."""
    config.data.scaling = "symmetric"
    model = config.model
    model.encoder.features = model.discriminator.features = widths
    model.decoder.features = widths[::-1]
    model.decoder.output = "tanh"
    model.discriminator.layer = layer


def _fast(config: ml_collections.ConfigDict, data: str) -> None:
    """Half of the widths or less, Adam, rates that end at zero, a game that does not saturate."""
    model = config.model
    widths = (32, 64) if data == "mnist" else (32, 64, 128)
    model.encoder.features = model.discriminator.features = widths
    model.encoder.dense = (256,)
    model.decoder.features = widths[::-1]
    model.discriminator.dense = (256,)
    for name in ("encoder", "decoder", "discriminator"):
        model[name].kernel_size = 4
    model.discriminator.slope = 0.2
    model.game = "non_saturating"
    model.gamma = 0.01
    model.schedule.name = "cosine"
    _adam(config)
    config.train.epochs = {"mnist": 8, "cifar10_jpeg": 10, "celeba": 1}[data]
    config.train.checkpoint_every = 1


def _smoke(config: ml_collections.ConfigDict) -> None:
    config.data.name = "digits"
    model = config.model
    model.code_dim = 8
    model.encoder.features = model.discriminator.features = (16, 32)
    model.encoder.dense = model.discriminator.dense = (64,)
    model.decoder.features = (32, 16)
    for name in ("encoder", "decoder", "discriminator"):
        model[name].kernel_size = 4
    model.discriminator.slope = 0.2
    model.game = "non_saturating"
    model.gamma = 0.01
    _adam(config)
    config.train.epochs = 20
    config.train.log_every = 18
    config.train.evaluate_every = 5


def _adam(config: ml_collections.ConfigDict) -> None:
    with config.unlocked(), config.model.unlocked():
        config.model.optimizers.encoder = adam(0.0005, 0.5)
        config.model.optimizers.decoder = adam(0.0005, 0.5)
        config.model.optimizers.discriminator = adam(0.0002, 0.5)
