"""PixelGAN, figure 8: semi-supervised error against epochs; table 1's runs, drawn.

make reproduce-fig8-pixelgan PROFILE=fast
"""

import ml_collections

from configs.base import parse_argument
from configs.pixelgan import table1

ROWS = ("mnist_20", "mnist_50", "mnist_100", "svhn_500", "svhn_1000")


def get_config(argument: str) -> ml_collections.ConfigDict:
    """Table 1's config, and so its training and its workdir."""
    parse_argument("pixelgan_fig8", argument, ROWS)
    return table1.get_config(argument)
