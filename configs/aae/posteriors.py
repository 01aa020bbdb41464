"""AAE, section 2's remark as an experiment: the likelihood of MNIST under the three posteriors.

    make reproduce-posteriors-aae PROFILE=fast

"After extensive hyper-parameter search, we obtained similar test-likelihood with each type of
q(z|x)"; and, A.1, codes of higher dimension want a probabilistic one: the rows of 100 dimensions.
"""

import ml_collections

from aae_jax.optimizers import adam
from configs.aae.smoke import smoke
from configs.base import base, parse_argument
from configs.parzen import parzen_section

ROWS = ("deterministic", "gaussian", "universal", "gaussian_100", "universal_100")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("aae_posteriors", argument, ROWS)
    if profile == "smoke":
        config = smoke("aae_posteriors", row, "aae")
        config.train.epochs = 20
    else:
        config = base("aae_posteriors", row, profile, "aae")
        config.data.name = "mnist"
        config.data.unlabelled = 50_000
        config.train.epochs = 1000
        config.train.seeds = 3
    model = config.model
    model.posterior = row.split("_")[0]
    model.input_noise = 0.0  # or no posterior would be deterministic
    if row.endswith("_100"):
        model.code_dim = 100
        model.prior.std = 1.0  # paper silent
    parzen_section(config)
    if profile == "fast":
        model.hidden = (500, 500)
        model.discriminator_hidden = (250, 250)
        model.init = "he_normal"
        model.optimizers.reconstruction = adam(0.001)
        # The game is short enough to stay level with Adam's own epsilon.
        model.optimizers.discriminator = adam(0.001, 0.5)
        model.optimizers.generator = adam(0.0005, 0.5)
        model.schedule.name = "cosine"
        model.schedule.constant_fraction = 0.5
        config.train.epochs = 10  # without the noise, longer training lowers the likelihood
        config.train.seeds = 1
        config.train.checkpoint_every = 5
    elif profile == "smoke":
        config.parzen.num_samples = 1000
        config.parzen.selection_samples = 1000
    return config
