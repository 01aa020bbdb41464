"""Learning priors, table 1: the adversarial autoencoder, the VAE and the learned prior with one
autoencoder, on CIFAR-10 with codes of 64.

    make reproduce-table1-learnedprior PROFILE=fast ROWS="cifar10_jpeg_aae cifar10_jpeg_vae"

The rows of the AAE and of the learned prior share the training of table 3's first and last; a
change on the command line changes it for both. The VAE's settings beyond its networks are ours.
"""

import ml_collections

from aae_jax import methods
from configs.base import parse_argument
from configs.learnedprior import shared, table3

SYSTEMS = {"aae": "baseline", "vae": "baseline", "ours": "full"}  # of table 3, and like it
ROWS = tuple(f"{data}_{system}" for data in shared.CIFAR10 for system in SYSTEMS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("learnedprior_table1", argument, ROWS)
    data, system = row.rsplit("_", 1)
    config = table3.get_config(f"{data}_{SYSTEMS[system]},{profile}")
    if system == "vae":
        _vae(config)
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
