"""Learning priors, table 2: BEGAN, DCGAN, LSGAN, WGAN-GP and the learned prior on CIFAR-10.

    make reproduce-table2-learnedprior PROFILE=fast ROWS="cifar10_jpeg_dcgan cifar10_jpeg_wgangp"

`paper` has each system as its own paper has it, as far as that speaks (the methods' defaults say
where it does not); the numbers that the table cites are not of runs of its authors'. Lengths are
ours but for WGAN-GP's 100,000 updates. The row of the learned prior shares the training of table
3's last; a change on the command line changes it for both. `cifar10_jpeg` is a stand-in: all of
CIFAR-10's images, compressed.
"""

import ml_collections

from aae_jax.optimizers import adam
from configs.base import base, parse_argument
from configs.dcgan import shared as dcgan
from configs.learnedprior import shared, table3
from configs.scores import scores_section

SYSTEMS = {"began": "began", "dcgan": "dcgan", "lsgan": "lsgan", "wgangp": "wgan_gp", "ours": ""}
ROWS = tuple(f"{data}_{system}" for data in shared.CIFAR10 for system in SYSTEMS)
EXPERIMENT = "learnedprior_table2"


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument(EXPERIMENT, argument, ROWS)
    data, system = row.rsplit("_", 1)
    if system == "ours":
        config = table3.get_config(f"{data}_full,{profile}")
        config.experiment, config.row = EXPERIMENT, row
        return config
    if profile == "smoke" and system == "dcgan":
        config = dcgan.smoke(EXPERIMENT, row)
    elif profile == "smoke":
        config = _smoke(row, system)
    elif system == "dcgan":
        config = dcgan.paper(EXPERIMENT, row, profile, data)
    else:
        config = _paper(row, profile, data, system)
    if profile == "fast":
        {"began": _fast_began, "wgangp": _fast_wgangp}.get(system, dcgan.fast)(config)
    config.train.seeds = 1
    scores_section(config)
    return config


def _paper(row: str, profile: str, data: str, system: str) -> ml_collections.ConfigDict:
    config = base(EXPERIMENT, row, profile, SYSTEMS[system])
    config.data.name = data
    config.data.scaling = "symmetric"
    # WGAN-GP: five steps of the critic on 64 images each.
    config.data.batch_size = {"began": 16, "lsgan": 64, "wgangp": 320}[system]
    config.train.epochs = {"began": 50, "lsgan": 50, "wgangp": 641}[system]
    return config


def _fast_began(config: ml_collections.ConfigDict) -> None:
    """An eighth of the width, faster rates that end at zero."""
    config.model.features = 16
    for phase in config.model.optimizers.values():
        phase.learning_rate = 0.0002
    config.model.schedule.name = "cosine"
    config.train.epochs = 6
    config.train.checkpoint_every = 1


def _fast_wgangp(config: ml_collections.ConfigDict) -> None:
    """A fifth of the width, half of the batches, faster rates."""
    model = config.model
    model.generator.features = model.critic.features = 24
    model.generator_batch = 64
    for phase in model.optimizers.values():
        phase.learning_rate = 0.0005
    config.data.batch_size = 160
    config.train.epochs = 10
    config.train.checkpoint_every = 1


def _smoke(row: str, system: str) -> ml_collections.ConfigDict:
    """Small networks on scikit-learn's 8x8 digits: seconds a run."""
    config = base(EXPERIMENT, row, "smoke", SYSTEMS[system])
    config.data.name = "digits"
    config.data.scaling = "symmetric"
    config.data.batch_size = 50
    model = config.model
    model.noise_dim = 16
    if system == "began":
        model.features, model.halvings, model.code_dim = 8, 1, 16
    elif system == "lsgan":
        model.generator.features, model.discriminator.features = (32, 16), (16, 32)
        model.generator.kernel_size = model.discriminator.kernel_size = 4
    else:
        model.generator.features = model.critic.features = 8
        model.generator.num_blocks = model.critic.halvings = 1
        model.critic.num_blocks = model.critic_steps = 2
        model.generator_batch = 0
    with config.unlocked(), model.unlocked():
        for phase in model.optimizers:
            model.optimizers[phase] = adam(0.0005, 0.5)
    config.train.epochs = 10
    config.train.log_every = 24
    config.train.evaluate_every = 5
    return config
