"""Learning priors, figures 10 and 11: priors conditioned on labels, of 10 labels and 54-D noise.

    make reproduce-fig10-learnedprior PROFILE=fast ROWS="mnist_ours mnist_aae"

The AAE beside it takes the label and the noise for its code, and has the perceptual loss and the
cost of finding the label again too (the paper's words). `fast` trains Q on the images too.
"""

import ml_collections

from configs.base import parse_argument
from configs.learnedprior import shared
from configs.scores import scores_section

SYSTEMS = ("ours", "aae")
DATA = ("mnist", "svhn_cropped", *shared.CIFAR10)
ROWS = tuple(f"{data}_{system}" for data in DATA for system in SYSTEMS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("learnedprior_fig10", argument, ROWS)
    data, system = shared.split(row, SYSTEMS)
    config = shared.on("learnedprior_fig10", row, profile, data)
    shared.conditional(config, "labels", noise_dim=54)
    config.model.learned_prior = system == "ours"
    if profile != "paper":
        # Otherwise labels change places before the discriminator of codes has learnt them.
        config.model.classification_weight = 1.0
    scores_section(config)
    return config
