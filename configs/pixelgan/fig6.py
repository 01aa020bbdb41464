"""PixelGAN, figure 6: samples of every cluster; table 1's runs, drawn.

make reproduce-fig6-pixelgan PROFILE=fast
"""

import ml_collections

from configs.base import parse_argument
from configs.pixelgan import table1

ROWS = ("mnist_unsupervised",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    """Table 1's config, and so its training and its workdir."""
    parse_argument("pixelgan_fig6", argument, ROWS)
    return table1.get_config(argument)
