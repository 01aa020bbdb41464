"""PixelGAN, figure 5: three digits on the softmax simplex, with and without the prior.

    make reproduce-fig5-pixelgan PROFILE=fast

Digits 0, 1 and 2 of the whole of MNIST ("18000 training and 3000 test points"): 18,000 of the
18,623 are trained on, the others name the clusters. Networks, batches, optimizers and epochs are
ours (paper silent).
"""

import ml_collections

from configs.base import base, parse_argument
from configs.pixelgan.smoke import smoke

ROWS = ("three_digits", "three_digits_unregularized")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_fig5", argument, ROWS)
    if profile == "smoke":
        config = smoke_three_digits("pixelgan_fig5", row)
    else:
        config = base("pixelgan_fig5", row, profile, "pixelgan")
        three_digits(config)
    config.model.regularized = row == "three_digits"
    if profile == "fast":
        config.data.batch_size = 32
        config.model.decoder.num_blocks = 6
        config.model.decoder.features = 16
        config.model.discriminator_hidden = (200, 200)
        # As in table 1 with labels: blocks that see the whole image, a soft code that hardens.
        config.model.decoder.dilations = (1, 2, 4, 1, 2, 4)
        config.model.head_scale = {"name": "ramp", "start": 2.0, "end": 10.0, "fraction": 0.5}
        config.train.epochs = 12
        config.train.seeds = 3 if row == "three_digits" else 1  # its point is the picture
        config.train.checkpoint_every = 2
    return config


def three_digits(config: ml_collections.ConfigDict) -> None:
    """Three digits of MNIST in three clusters."""
    config.data.name = "mnist"
    config.data.classes = (0, 1, 2)
    config.data.unlabelled = 18_000
    config.model.num_categories = 3
    config.train.epochs = 200
    config.train.seeds = 3


def smoke_three_digits(experiment: str, row: str) -> ml_collections.ConfigDict:
    """The same three of the 8x8 digits."""
    config = smoke(experiment, row)
    config.data.classes = (0, 1, 2)
    config.data.unlabelled = 400
    config.model.num_categories = 3
    config.model.optimizers.reconstruction.learning_rate = 0.001
    config.train.epochs = 60
    return config
