"""Cycle implicit autoencoders, figure 9: female faces whose code is a male face, by a stochastic
encoder and a deterministic decoder.

    make reproduce-fig9-cycleiae PROFILE=fast ROWS=fashion_boots

ε of 100 dimensions is the paper's, and so are the generators (CycleGAN's); image size, blocks,
discriminators, batches, optimizers and epochs are ours (paper silent). CelebA in 48x48 is a set of
one's own (docs/own_data.md), the attribute "Male" its label; the rows of Fashion-MNIST, sneakers
whose code is an ankle boot, stand in for it.
"""

import ml_collections

from configs.cycleiae import shared

ROWS = ("celeba", "celeba_marginal", "fashion_boots", "fashion_boots_marginal")


def get_config(argument: str) -> ml_collections.ConfigDict:
    config = shared.row_config("cycleiae_fig9", argument, ROWS)
    fashion = config.row.startswith("fashion")
    config.data.domains = "classes"
    config.model.decoder_noise_dim = 0
    if config.profile == "smoke":
        config.data.classes = (1, 7)
        config.model.encoder_noise_dim = 10
        return config
    config.model.encoder_noise_dim = 100
    config.data.name = "fashion_mnist" if fashion else "celeba_48"
    config.data.classes = (7, 9) if fashion else (0, 1)
    if config.profile == "fast":
        config.train.epochs = 15 if fashion else 1
    return config
