"""PixelGAN, figure 5: three digits on the softmax simplex, with and without the prior.

    make reproduce-fig5-pixelgan PROFILE=fast

Digits 0, 1 and 2 of the whole of MNIST ("18000 training and 3000 test points"): 18,000 of the
18,623 are trained on, the others name the clusters. Networks, batches, optimizers and epochs are
ours (paper silent).
"""

import ml_collections

from configs.base import base, parse_argument
from configs.pixelgan.table1 import fast_decoder, pixelgan_on_digits

ROWS = ("three_digits", "three_digits_unregularized")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_fig5", argument, ROWS)
    config = base("pixelgan_fig5", row, profile, "pixelgan")
    config.data.name = "mnist"
    config.data.classes = (0, 1, 2)
    config.data.unlabelled = 18_000
    config.model.num_categories = 3
    config.model.regularized = row == "three_digits"
    config.train.epochs = 200
    config.train.seeds = 3
    if profile == "fast":
        fast_decoder(config)
        config.data.batch_size = 32
        config.train.epochs = 8
        config.train.seeds = 3 if row == "three_digits" else 1  # its point is the picture
        config.train.checkpoint_every = 2
    elif profile == "smoke":
        pixelgan_on_digits(config)
        config.data.unlabelled = 400
        config.model.optimizers.reconstruction.learning_rate = 0.001
        config.train.epochs = 60
    return config
