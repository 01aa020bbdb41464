"""AAE, figure 11: dimension reduction of MNIST, and its errors.

    make reproduce-fig11-aae PROFILE=fast ROWS="a b c d"

a: 2-D, 1000 labels; b: 2-D, 100 labels; c: 2-D, 20 clusters without labels; d: 10-D, 100 labels,
heads fixed to ten times the identity. The paper gives the thresholds no numbers and no training
settings: they are the semi-supervised experiment's (A.2.1), and for c A.3's batch norm and input
dropout.
"""

import ml_collections

from configs.aae.smoke import smoke
from configs.base import base, parse_argument

ROWS = ("a", "b", "c", "d")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("aae_fig11", argument, ROWS)
    if profile == "smoke":
        return _smoke(row)
    config = base("aae_fig11", row, profile, "dimension_reduction_aae")
    model = config.model
    config.data.name = "mnist"
    config.data.unlabelled = 50_000
    if row == "c":
        model.num_categories = 20
        model.head_threshold = 2.0
        model.encoder_batch_norm = "all"
        model.input_noise = 0.0
        model.input_dropout = 0.2
    else:
        config.data.num_labels = 1000 if row == "a" else 100
        config.data.labelled_batch_size = 100
    if row == "d":
        model.heads = "fixed"
        model.style_dim = 10
    config.train.epochs = 5000
    config.train.seeds = 3
    if profile == "fast":
        model.hidden = (500, 500)
        model.discriminator_hidden = (250, 250)
        model.schedule.name = "cosine"
        model.schedule.constant_fraction = 0.7
        config.train.epochs = 40
        config.train.seeds = 1
        config.train.checkpoint_every = 10
    return config


def _smoke(row: str) -> ml_collections.ConfigDict:
    config = smoke("aae_fig11", row, "dimension_reduction_aae")
    model = config.model
    model.style_dim = 2
    if row == "c":
        model.num_categories = 20
        model.head_threshold = 2.0
        model.input_noise = 0.0
        model.input_dropout = 0.2
    else:
        config.data.num_labels = 300 if row == "a" else 100
        config.data.labelled_batch_size = 50
    if row == "d":
        model.heads = "fixed"
        model.style_dim = 10
    config.train.epochs = 60
    return config
