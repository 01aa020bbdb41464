"""AAE, figure 5: samples and their nearest training neighbours, from table 1's runs.

make reproduce-fig5-aae PROFILE=fast ROWS=mnist_10k
"""

import ml_collections

from configs.aae import table1
from configs.base import parse_argument

ROWS = ("mnist_10k", "tfd_10k")


def get_config(argument: str) -> ml_collections.ConfigDict:
    """Table 1's config, and so its training and its workdir."""
    parse_argument("aae_fig5", argument, ROWS)
    return table1.get_config(argument)
