"""What several of the implicit autoencoder's experiments share: the networks of the appendix's
tables, what it says of categorical codes, and our recipe where it is silent."""

import ml_collections

from aae_jax.optimizers import adam, sgd


def svhn(config: ml_collections.ConfigDict) -> None:
    """Table 2: SVHN. Images end in tanh, and so are in [-1, 1]."""
    _convolutional(config, "svhn_cropped", (64, 128, 256), kernel_size=4)


def celeba(config: ml_collections.ConfigDict) -> None:
    """Table 3: CelebA in 48x48, prepared as a set of one's own (docs/own_data.md) under this name,
    the attribute "Male" as its label."""
    _convolutional(config, "celeba_48", (128, 256, 512), kernel_size=6)


def _convolutional(
    config: ml_collections.ConfigDict, name: str, widths: tuple[int, ...], kernel_size: int
) -> None:
    config.data.name = name
    config.data.scaling = "symmetric"
    model = config.model
    model.decoder_noise_dim = 1000
    for network in (model.encoder, model.decoder, model.reconstruction_discriminator):
        network.dense = ()
        network.features = widths
        network.kernel_size = kernel_size
    model.encoder.batch_norm = "after_relu"
    model.decoder.features = widths[::-1]
    model.decoder.output = "tanh"


def code_sizes(config: ml_collections.ConfigDict, noise_dim: int) -> None:
    """What a row's name says, ``deterministic_20d`` or ``stochastic_10d``."""
    kind, code_dim = config.row.split("_")
    config.model.code_dim = int(code_dim.removesuffix("d"))
    config.model.decoder_noise_dim = noise_dim if kind == "stochastic" else 0


def categorical_code(config: ml_collections.ConfigDict) -> None:
    """A categorical code (section 2.1.2), conditioning as appendix B.1 has it for these runs, and
    rates of ours: the paper gives no optimizer."""
    model = config.model
    model.prior = "categorical"
    model.decoder_noise_dim = 10
    model.reconstruction_discriminator.conditioning = "location_invariant"
    # As in the AAE: with Adam the discriminator of the simplex wins at once.
    model.optimizers.regularization_discriminator = sgd(0.1, 0.1)
    model.optimizers.regularization = sgd(0.1, 0.1)
    # An encoder that follows the reconstruction GAN at the decoder's rate forgets its labels.
    model.optimizers.reconstruction = adam(0.0005, 0.5)
    model.encoder_rate = 0.05


def fast(config: ml_collections.ConfigDict) -> None:
    """Half the width of table 1, a quarter of its time, small batches, noise inside the
    discriminator against its winning."""
    model = config.model
    model.encoder.dense = (1000, 1000)
    model.decoder.dense = (512,)
    model.decoder.features = (64, 32)
    model.reconstruction_discriminator.dense = (512,)
    model.reconstruction_discriminator.features = (32, 64)
    model.reconstruction_discriminator.noise = 0.2
    model.discriminator_hidden = (500, 500)
    model.schedule.name = "cosine"
    config.data.batch_size = 64
    config.train.checkpoint_every = 1


def convolutional_encoder(config: ml_collections.ConfigDict) -> None:
    """Two convolutions with batch norm in the place of the dense layers of table 1's encoder, which
    make more of few labels (docs/notes/iae.md)."""
    encoder = config.model.encoder
    encoder.features, encoder.dense = (32, 64), (256,)
    encoder.batch_norm = "before_relu"
