"""Implicit Autoencoders, figures 11 and 12: four data points, an InfoGAN with a factorised Gaussian
posterior and a flipped implicit autoencoder.

    make reproduce-fig11-fiae PROFILE=fast

Four data points, a 2-D Gaussian prior, and that the InfoGAN learns means and standard deviations
are the paper's; where the points lie (toys/four), networks, noise, batches, optimizers and lengths
are ours (paper silent).
"""

import ml_collections

from aae_jax.optimizers import adam
from configs.base import base, parse_argument

ROWS = ("infogan", "fiae")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("fiae_fig11", argument, ROWS)
    config = base("fiae_fig11", row, profile, "flipped_implicit_autoencoder")
    config.data.name = "toys/four"
    config.data.batch_size = 128
    model = config.model
    model.prior = "gaussian"
    model.code_dim = 2
    # With n beside it the FIAE's generator forgets z, and f draws codes from ε alone.
    model.generator_noise_dim = 0
    model.recognition_noise_dim = 10 if row == "fiae" else 0
    model.reconstruction = "adversarial" if row == "fiae" else "likelihood"
    width = 32 if profile == "smoke" else 128
    for network in (
        model.generator,
        model.recognition,
        model.discriminator,
        model.reconstruction_discriminator,
    ):
        network.features = ()
        network.dense = (width, width)
        network.batch_norm = ""
    model.generator.output = "linear"
    # A generator of a continuous code is never at the points: noise inside lets them overlap. With
    # less of it one of the points is given up.
    model.discriminator.noise = 0.6
    model.schedule.name = "cosine"
    # The regularization GAN decides what is made: at the full rate an InfoGAN's generator moves its
    # points away without end, for the codes' sake, and the FIAE's gives points up.
    model.generator_rate = 0.1
    for phase in model.optimizers:
        model.optimizers[phase] = adam(0.001, 0.5)
    config.train.seeds = 3
    config.train.epochs = {"paper": 300, "fast": 150, "smoke": 10}[profile]
    config.train.evaluate_every = {"paper": 30, "fast": 15, "smoke": 10}[profile]
    return config
