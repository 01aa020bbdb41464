"""Learning priors, table 1: the adversarial autoencoder, the VAE, the VAE with a VampPrior and the
learned prior with one autoencoder, on CIFAR-10 with codes of 64.

    make reproduce-table1-learnedprior PROFILE=fast ROWS="cifar10_jpeg_aae cifar10_jpeg_vae"

The rows of the AAE and of the learned prior share the training of table 3's first and last; a
change on the command line changes it for both. The VAEs' settings beyond their networks are ours;
the VampPrior has its own paper's K, in `fast` a fifth of it.
"""

import ml_collections

from aae_jax import methods
from configs.base import parse_argument
from configs.learnedprior import shared, table3

# Of table 3, and like it.
SYSTEMS = {"aae": "baseline", "vae": "baseline", "vampprior": "baseline", "ours": "full"}
ROWS = tuple(f"{data}_{system}" for data in shared.CIFAR10 for system in SYSTEMS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("learnedprior_table1", argument, ROWS)
    data, system = row.rsplit("_", 1)
    config = table3.get_config(f"{data}_{SYSTEMS[system]},{profile}")
    if system == "vae":
        _vae(config)
    if system == "vampprior":
        _vampprior(config)
    config.experiment, config.row = "learnedprior_table1", row
    return config


def _vae(config: ml_collections.ConfigDict) -> None:
    """A VAE with the autoencoder of a config, its rates and its length."""
    like, model = config.model, methods.default_config("vae_gan")
    model.system, model.networks, model.code_dim = "vae", "residual", like.code_dim
    model.encoder.features, model.decoder.features = like.encoder.features, like.decoder.features
    for name in ("encoder", "decoder"):
        model[name].batch_norm = "before_relu" if like[name].batch_norm else ""
    model.decoder.output = like.decoder.output
    model.schedule.name = like.schedule.name
    with config.unlocked(), model.unlocked():
        for name in ("encoder", "decoder"):
            model.optimizers[name] = like.optimizers[name]
        config.method, config.model = "vae_gan", model


def _vampprior(config: ml_collections.ConfigDict) -> None:
    """The same with a VampPrior, whose KL divergence is warmed up over the paper's 100 epochs, or
    over a tenth of a shorter run."""
    like, model = config.model, methods.default_config("vamp_prior_vae")
    model.code_dim, model.decoder.output = like.code_dim, like.decoder.output
    for name in ("encoder", "decoder"):
        model[name].features, model[name].batch_norm = like[name].features, like[name].batch_norm
    model.schedule.name = like.schedule.name
    if config.profile != "paper":
        model.warm_up = config.train.epochs / 10
        # All of them go through the encoder at every update.
        model.num_pseudo_inputs = {"fast": 100, "smoke": 20}[config.profile]
    with config.unlocked(), model.unlocked():
        model.optimizers.elbo = like.optimizers.decoder
        config.method, config.model = "vamp_prior_vae", model
