"""What the flipped implicit autoencoder's experiments share: our recipe, where the paper is
silent."""

import ml_collections

from aae_jax.optimizers import adam


def fast(config: ml_collections.ConfigDict) -> None:
    """Half the width of table 1, small batches, noise inside slow discriminators against their
    winning."""
    model = config.model
    model.generator.dense = (512,)
    model.generator.features = (64, 32)
    model.recognition.dense = (512,)
    model.recognition.features = (32, 64)
    for discriminator in (model.discriminator, model.reconstruction_discriminator):
        discriminator.dense = (512,)
        discriminator.features = (32, 64)
        discriminator.noise = 0.2
    model.optimizers.regularization = adam(0.0005, 0.5)
    model.optimizers.reconstruction = adam(0.0005, 0.5)
    model.schedule.name = "cosine"
    config.data.batch_size = 64
    config.train.checkpoint_every = 1


def smoke(config: ml_collections.ConfigDict) -> None:
    """Small networks of its own on scikit-learn's 8x8 digits: seconds a run."""
    model = config.model
    model.generator.dense = (64,)
    model.generator.features = (32, 16)
    model.recognition.dense = (64,)
    model.recognition.features = (16, 32)
    for discriminator in (model.discriminator, model.reconstruction_discriminator):
        discriminator.dense = (64,)
        discriminator.features = (16, 32)
        discriminator.noise = 0.2
    for phase in model.optimizers:
        model.optimizers[phase].learning_rate = 0.0005
    config.data.name = "digits"
    config.data.batch_size = 50
    config.train.epochs = 20
    config.train.seeds = 2
    config.train.log_every = 24
    config.train.evaluate_every = 5
