"""AAE, figure 2: AAE against VAE, 2-D codes, on a Gaussian and a mixture of ten Gaussians.

    make reproduce-fig2-aae PROFILE=fast

The paper gives nothing but the priors' names: networks are A.1's, the AAE's rates A.2.1's, and
the VAE's optimizer and its Bernoulli likelihood are ours; they weigh its reconstruction against
its KL term, and so the distance that is measured.
"""

import ml_collections

from configs.aae.smoke import smoke
from configs.base import base, parse_argument

ROWS = ("aae_gaussian", "aae_mixture", "vae_gaussian", "vae_mixture")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("aae_fig2", argument, ROWS)
    if profile == "smoke":
        return _smoke(row)
    method, prior = row.split("_")
    config = base("aae_fig2", row, profile, method)
    config.data.name = "mnist"
    config.data.unlabelled = 50_000
    config.model.code_dim = 2
    config.model.prior.name = prior
    config.model.prior.std = 1.0  # paper silent
    config.train.epochs = 1000  # paper silent
    config.train.seeds = 3
    if profile == "fast":
        config.model.hidden = (500, 500)
        config.train.epochs = 25
        config.model.schedule.name = "cosine"
        config.model.schedule.constant_fraction = 0.7
        if method == "aae":
            config.model.discriminator_hidden = (500, 500)
        config.train.checkpoint_every = 10
    return config


def _smoke(row: str) -> ml_collections.ConfigDict:
    method, prior = row.split("_")
    config = smoke("aae_fig2", row, method)
    config.model.code_dim = 2
    config.model.prior.name = prior
    config.model.prior.std = 1.0
    config.train.epochs = 30
    return config
