"""The quickstart: three methods of the suite on scikit-learn's 8x8 digits, a stand-in.

make quickstart
"""

import ml_collections

from aae_jax.errors import UserError
from configs.aae.smoke import smoke as aae_smoke
from configs.base import parse_argument
from configs.pixelgan.smoke import smoke as pixelgan_smoke

ROWS = ("semi_supervised", "clustering", "pixelgan")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("quickstart", argument, ROWS)
    if profile != "smoke":
        raise UserError(f"the quickstart has no profile {profile!r}: its profile is smoke")
    if row == "semi_supervised":
        config = aae_smoke("quickstart", row, "semi_supervised_aae")
        config.data.num_labels = 100
        config.data.labelled_batch_size = 50
        config.train.epochs = 150
    elif row == "clustering":
        config = aae_smoke("quickstart", row, "clustering_aae")
        config.model.num_categories = 20
        config.train.epochs = 200
    else:
        config = pixelgan_smoke("quickstart", row)
        config.model.num_categories = 20
        config.train.epochs = 100
    config.train.checkpoint_every = 100
    return config
