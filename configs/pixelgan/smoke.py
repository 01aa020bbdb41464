"""What the ``smoke`` rows of this paper share: small networks on scikit-learn's 8x8 digits."""

import ml_collections

from configs.base import base


def smoke(experiment: str, row: str) -> ml_collections.ConfigDict:
    """The method's defaults with small networks of its own, on the digits of 17 grey levels:
    seconds a run."""
    config = base(experiment, row, "smoke", "pixelgan")
    config.data.name = "digits"
    config.data.unlabelled = 1200
    config.data.batch_size = 50
    model = config.model
    model.encoder_features = (16, 32)
    model.encoder_dense = 64
    model.discriminator_hidden = (100, 100)
    model.input_noise = 0.2
    model.decoder.num_blocks = 1
    model.decoder.features = 16
    model.decoder.head = "categorical"
    model.optimizers.reconstruction.learning_rate = 0.003
    model.schedule.name = "constant"
    config.train.epochs = 50
    config.train.seeds = 2
    config.train.log_every = 24
    config.train.evaluate_every = 5
    return config
