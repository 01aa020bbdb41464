"""What the ``smoke`` rows of this paper share: small networks on scikit-learn's 8x8 digits."""

import ml_collections

from configs.base import base


def smoke(experiment: str, row: str) -> ml_collections.ConfigDict:
    """The method's defaults with small networks of its own: seconds a run."""
    config = base(experiment, row, "smoke", "implicit_autoencoder")
    config.data.name = "digits"
    config.data.batch_size = 50
    model = config.model
    model.decoder_noise_dim = 10
    model.encoder.dense = (200, 200)
    model.decoder.dense = (64,)
    model.decoder.features = (32, 16)
    model.reconstruction_discriminator.dense = (64,)
    model.reconstruction_discriminator.features = (16, 32)
    model.reconstruction_discriminator.noise = 0.2
    model.discriminator_hidden = (100, 100)
    model.optimizers.reconstruction.learning_rate = 0.001
    model.optimizers.reconstruction_discriminator.learning_rate = 0.0005
    config.train.epochs = 40
    config.train.seeds = 2
    config.train.log_every = 24
    config.train.evaluate_every = 5
    return config
