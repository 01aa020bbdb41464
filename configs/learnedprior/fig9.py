"""Learning priors, figure 9: as figure 8, with codes of 100 on MNIST and of 2000 on CIFAR-10.

    make reproduce-fig9-learnedprior PROFILE=fast ROWS="mnist_ours mnist_aae_reparameterised"

The figure's AAE is the re-parameterised one; the deterministic one of figure 8 stands beside it.
The code generator's noise stays at figure 8's 64 (paper silent).
"""

import ml_collections

from configs.base import parse_argument
from configs.learnedprior import shared
from configs.scores import scores_section

SYSTEMS = ("ours", "aae", "aae_reparameterised")
DATA = ("mnist", *shared.CIFAR10)
ROWS = tuple(f"{data}_{system}" for data in DATA for system in SYSTEMS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("learnedprior_fig9", argument, ROWS)
    data, system = shared.split(row, SYSTEMS)
    config = shared.on("learnedprior_fig9", row, profile, data)
    config.model.code_dim = 100 if data == "mnist" or profile == "smoke" else 2000
    if system != "ours":
        shared.plain(config)
    if system == "aae_reparameterised":
        config.model.posterior = "gaussian"
    scores_section(config)
    return config
