"""The conditional GAN: rows of one label, of MNIST by MLPs and of CIFAR-100 by convolutions.

    make reproduce-classes-cgan PROFILE=fast ROWS="mnist mnist_conv"

Networks, gradient descent, rates, momentum and dropout of `mnist` under `paper` are the paper's;
lengths and initial weights are ours (paper silent). The convolutional rows are the survey's, which
gives no settings: they are DCGAN's.
"""

import ml_collections

from aae_jax.optimizers import adam
from configs.base import base, parse_argument
from configs.parzen import parzen_section

ROWS = ("mnist", "mnist_conv", "cifar100", "cifar10_jpeg")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("cgan_classes", argument, ROWS)
    if profile == "smoke":
        return _smoke(row)
    config = base("cgan_classes", row, profile, "conditional_gan")
    config.data.name = "mnist" if row.startswith("mnist") else row
    config.data.unlabelled = 50_000 if row.startswith("mnist") else 40_000
    _batches(config, 100)
    if row != "mnist":
        _convolutional(config)
        _batches(config, 128)
    if row in ("cifar100", "cifar10_jpeg"):
        config.data.scaling = "symmetric"
        model = config.model
        model.generator.dense = ()
        model.generator.features = (256, 128, 64)
        model.generator.output = "tanh"
        model.discriminator.dense = ()
        model.discriminator.features = (64, 128, 256)
    parzen_section(config)
    config.train.epochs = 200
    config.train.seeds = 3 if row.startswith("mnist") else 1
    if profile == "fast":
        _fast(config)
    return config


def _batches(config: ml_collections.ConfigDict, size: int) -> None:
    config.data.batch_size = config.data.labelled_batch_size = size


def _convolutional(config: ml_collections.ConfigDict) -> None:
    model = config.model
    model.networks = "convolutional"
    model.init = "normal_0.02"
    _adam(config, 0.0002)
    model.schedule.name = "constant"


def _adam(config: ml_collections.ConfigDict, rate: float) -> None:
    for phase in config.model.optimizers:
        config.model.optimizers[phase] = adam(rate, 0.5)


def _fast(config: ml_collections.ConfigDict) -> None:
    """Adam, rates that end at zero; half the width and, for the MLPs, He's initial weights and more
    of the generator's first layer for the noise; 4x4 kernels."""
    model = config.model
    model.schedule.name = "cosine"
    model.schedule.factor = 0.1
    config.train.checkpoint_every = 1
    if model.networks == "mlp":
        # Neither label nor noise may drown the other (docs/notes/gans.md).
        model.mlp.update(label_hidden=200, noise_hidden=400, hidden=600)
        model.mlp.update(image_units=120, label_units=25, joint_units=120)
        model.init = "he_normal"
        _adam(config, 0.0002)
        config.train.epochs = 100
        config.train.seeds = 1
        return
    for network in (model.generator, model.discriminator):
        network.features = tuple(width // 2 for width in network.features)
        network.dense = tuple(width // 2 for width in network.dense)
        network.kernel_size = 4
    _batches(config, 64)
    config.train.epochs = 6


def _smoke(row: str) -> ml_collections.ConfigDict:
    config = base("cgan_classes", row, "smoke", "conditional_gan")
    config.data.name = "digits"
    config.data.unlabelled = 1200
    _batches(config, 50)
    model = config.model
    model.noise_dim = 16
    model.mlp.update(label_hidden=32, noise_hidden=32, hidden=64)
    model.mlp.update(image_units=32, label_units=16, joint_units=32)
    model.mlp.dropout = 0.0
    _adam(config, 0.001)
    model.schedule.name = "constant"
    if row != "mnist":
        model.networks = "convolutional"
        model.init = "normal_0.02"
        for network in (model.generator, model.discriminator):
            network.kernel_size = 4
            network.dense = (64,)
        model.generator.features = (32, 16)
        model.discriminator.features = (16, 32)
    parzen_section(config)
    config.parzen.num_samples = config.parzen.selection_samples = 1000
    config.train.epochs = 20
    config.train.seeds = 1
    config.train.log_every = 24
    config.train.evaluate_every = 5
    return config
