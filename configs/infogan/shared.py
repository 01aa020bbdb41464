"""What InfoGAN's experiments share: our recipe for two CPU cores, and the networks of the smoke
profile."""

import ml_collections

from configs.base import base


def fast(config: ml_collections.ConfigDict) -> None:
    """Half the width, small batches, rates that end at zero."""
    model = config.model
    model.generator.dense = (512,)
    model.generator.features = (64, 32)
    model.discriminator.features = (32, 64)
    model.discriminator.dense = (512,)
    model.schedule.name = "cosine"
    config.data.batch_size = 64
    config.train.checkpoint_every = 1


def smoke(experiment: str, row: str) -> ml_collections.ConfigDict:
    """Small networks on scikit-learn's 8x8 digits: seconds a run."""
    config = base(experiment, row, "smoke", "infogan")
    config.data.name = "digits"
    config.data.batch_size = 50
    model = config.model
    model.noise_dim = 10
    model.generator.dense = (64,)
    model.generator.features = (32, 16)
    model.discriminator.features = (16, 32)
    model.discriminator.dense = (64,)
    model.discriminator.one_batch = True  # 8x8 pixels are grey noise otherwise
    model.recognition_hidden = 32
    model.init = "he_normal"
    config.train.epochs = 40
    config.train.seeds = 2
    config.train.log_every = 24
    config.train.evaluate_every = 5
    return config
