"""AAE: an animated walk over the manifold that table 1's runs learn, as in the paper's video.

make reproduce-walk-aae PROFILE=fast ROWS=mnist_10k
"""

import ml_collections

from configs.aae import table1
from configs.base import parse_argument

ROWS = ("mnist_10k", "tfd_10k")


def get_config(argument: str) -> ml_collections.ConfigDict:
    """Table 1's config, and so its training and its workdir."""
    parse_argument("aae_walk", argument, ROWS)
    return table1.get_config(argument)
