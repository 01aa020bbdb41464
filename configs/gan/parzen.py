"""GAN, table 1: Parzen-window log-likelihood of MNIST and TFD, in nats.

    make reproduce-parzen-gan PROFILE=fast ROWS=mnist

TFD's five folds train in directories beside its workdir, a seed each, whatever ``data.name`` says.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.gan import shared
from configs.parzen import parzen_section

ROWS = ("mnist", "tfd")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("gan_parzen", argument, ROWS)
    if profile == "smoke":
        config = shared.smoke("gan_parzen", row, "gan")
        parzen_section(config)
        config.parzen.num_samples = config.parzen.selection_samples = 1000
        return config
    config = base("gan_parzen", row, profile, "gan")
    parzen_section(config)
    shared.paper(config)
    config.train.epochs = 500
    if row == "mnist":
        config.data.name = "mnist"
        config.data.unlabelled = 50_000
        config.train.seeds = 3
    else:
        config.data.name = "tfd/0"  # and the other folds: one for each seed
        config.data.scaling = "standardised"
        config.model.output = "linear"
        config.train.seeds = 5
    if profile == "fast":
        shared.fast(config)
        config.train.epochs = 100 if row == "mnist" else 50
        config.train.seeds = 1 if row == "mnist" else 5
    return config
