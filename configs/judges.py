"""What the configs of all judges share: a row is named as its data set is."""

import ml_collections

from configs.base import base


def judge(
    experiment: str, row: str, profile: str, features: tuple[int, ...], dense: int
) -> ml_collections.ConfigDict:
    """Strided convolutions with batch norm and a dense layer, on all training images with their
    labels, with 20 % of the pixels dropped; in the smoke profile on digits, and narrower."""
    config = base(experiment, row, profile, "supervised_mlp")
    config.data.name = row
    config.data.batch_size = config.data.labelled_batch_size = 100
    config.model.features = features
    config.model.hidden = (dense,)
    config.model.optimizers.classification.learning_rate = 0.01
    config.train.checkpoint_every = 5
    if profile == "smoke":
        config.data.name = "digits"
        config.model.features = (8, 16)
        config.model.hidden = (32,)
        config.train.epochs = 12
        config.train.evaluate_every = 4
        config.train.log_every = 12
    return config
