"""Learning priors, figure 8: samples of the learned prior and of the adversarial autoencoder, with
codes of 8 on MNIST and of 64 on CIFAR-10.

    make reproduce-fig8-learnedprior PROFILE=fast ROWS="mnist_ours mnist_aae"

The rows on CIFAR-10 share the training of table 3's last and first; a change on the command line
changes it for both.
"""

import ml_collections

from configs.base import parse_argument
from configs.learnedprior import shared, table3
from configs.scores import scores_section

SYSTEMS = {"ours": "full", "aae": "baseline"}  # of table 3, and like it
DATA = ("mnist", *shared.CIFAR10)
ROWS = tuple(f"{data}_{system}" for data in DATA for system in SYSTEMS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("learnedprior_fig8", argument, ROWS)
    data, system = shared.split(row, SYSTEMS)
    if data in shared.CIFAR10:
        config = table3.get_config(f"{data}_{SYSTEMS[system]},{profile}")
        config.experiment, config.row = "learnedprior_fig8", row
        return config
    config = shared.on("learnedprior_fig8", row, profile, data)
    config.model.code_dim = 8
    if system == "aae":
        shared.plain(config)
    scores_section(config)
    return config
