"""Cycle implicit autoencoders, figure 8: shoes whose code is an image of their edges, by a
deterministic encoder and a stochastic decoder.

    make reproduce-fig8-cycleiae PROFILE=fast ROWS=fashion_edges

n of 100 dimensions is the paper's, and so are the generators (CycleGAN's); image size, blocks,
discriminators, batches, optimizers and epochs are ours (paper silent). ``edges2shoes`` is a set of
one's own of pairs side by side, as pix2pix gives them out, 64 pixels high (docs/own_data.md);
the rows of Fashion-MNIST (sandals, sneakers and ankle boots) stand in for it.
"""

import ml_collections

from configs.cycleiae import shared

ROWS = ("edges2shoes", "edges2shoes_l1", "fashion_edges", "fashion_edges_l1")


def get_config(argument: str) -> ml_collections.ConfigDict:
    config = shared.row_config("cycleiae_fig8", argument, ROWS)
    fashion = config.row.startswith("fashion")
    config.data.domains = "edges"
    if config.profile == "smoke":
        config.data.classes = (0, 6, 8)
        config.model.decoder_noise_dim = 10
        return config
    config.model.decoder_noise_dim = 100
    config.model.encoder_noise_dim = 0
    if fashion:
        config.data.name = "fashion_mnist"
        config.data.classes = (5, 7, 9)
    else:
        config.data.name = "edges2shoes"
        config.data.domains = "right_to_left"
    if config.profile == "fast":
        config.train.epochs = 10 if fashion else 1
    return config
