"""PixelGAN, figure 6: samples of every cluster; table 1's runs, drawn.

make reproduce-fig6-pixelgan PROFILE=fast
"""

import ml_collections

from configs import pixelgan_table1
from configs.base import parse_argument

ROWS = ("mnist_unsupervised",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    """Table 1's config, and so its training and its workdir."""
    parse_argument("pixelgan_fig6", argument, ROWS)
    return pixelgan_table1.get_config(argument)
