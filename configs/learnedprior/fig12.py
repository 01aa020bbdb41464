"""Learning priors, figures 12 and 13: priors conditioned on one of ten categories that stand for
nothing, and 90-D noise.

    make reproduce-fig12-learnedprior PROFILE=fast ROWS="mnist_ours mnist_aae"

The AAE beside it takes the category and the noise for its code, and differs in nothing else.
"""

import ml_collections

from configs.base import parse_argument
from configs.learnedprior import shared
from configs.scores import scores_section

SYSTEMS = ("ours", "aae")
DATA = ("mnist", "svhn_cropped", *shared.CIFAR10)
ROWS = tuple(f"{data}_{system}" for data in DATA for system in SYSTEMS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("learnedprior_fig12", argument, ROWS)
    data, system = shared.split(row, SYSTEMS)
    config = shared.on("learnedprior_fig12", row, profile, data)
    shared.conditional(config, "categories", noise_dim=90)
    config.model.num_categories = 10
    config.model.learned_prior = system == "ours"
    scores_section(config)
    return config
