"""AAE, section 2's remark as an experiment: the likelihood of MNIST under the three posteriors.

    make reproduce-posteriors-aae PROFILE=fast

"After extensive hyper-parameter search, we obtained similar test-likelihood with each type of
q(z|x)"; and, A.1, codes of higher dimension want a probabilistic one: the rows of 100 dimensions.
"""

import ml_collections

from configs.aae import table1
from configs.base import parse_argument

ROWS = ("deterministic", "gaussian", "universal", "gaussian_100", "universal_100")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("aae_posteriors", argument, ROWS)
    config = table1.get_config(f"mnist_10k,{profile}")
    config.experiment, config.row = "aae_posteriors", row
    config.model.posterior = row.split("_")[0]
    config.model.input_noise = 0.0  # or no posterior would be deterministic
    if profile == "fast":
        config.model.hidden = (500, 500)
        config.model.schedule.constant_fraction = 0.5
        config.train.epochs = 10  # without the noise, longer training lowers the likelihood
        for phase in ("discriminator", "generator"):  # the game is short enough to stay level
            config.model.optimizers[phase].epsilon = 1e-8
    if row.endswith("_100"):
        config.model.code_dim = 100
        config.model.prior.std = 1.0  # paper silent
    return config
