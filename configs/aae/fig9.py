"""AAE, figure 9: the 16 clusters of table 3's run.

make reproduce-fig9-aae PROFILE=fast
"""

import ml_collections

from configs.aae import table3
from configs.base import parse_argument

ROWS = ("mnist_16",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    """Table 3's config, and so its training and its workdir."""
    parse_argument("aae_fig9", argument, ROWS)
    return table3.get_config(argument)
