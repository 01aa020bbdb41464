"""Implicit Autoencoders, section 4.1: clusters of MNIST by a flipped implicit autoencoder.

    make reproduce-clustering-fiae PROFILE=fast

Sizes of code and noise are the paper's; networks, batches, optimizers and epochs are ours (paper
silent). A recognition network of its own learns signs that generated images have and others have
not; so it shares the trunk of the images' discriminator, as InfoGAN's. Clusters are named on the
10,000 images that are not trained on.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.fiae import shared

ROWS = ("mnist_10",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("fiae_clustering", argument, ROWS)
    config = base("fiae_clustering", row, profile, "flipped_implicit_autoencoder")
    model = config.model
    model.recognition.head_batch_norm = "shared"  # keeps all categories in use
    model.recognition.shares_trunk = True
    model.backpropagate = "both"
    model.reconstruction_discriminator.conditioning = "dense"
    model.reconstruction_discriminator.code_noise = 0.3
    model.generator_noise_rise = (0.0, 0.5)  # categories come first
    model.recognition_noise_rise = (0.5, 1.0)  # before, the generator would forget them
    if profile == "smoke":
        shared.smoke(config)
    else:
        _mnist(config, profile)
    # A hidden layer as InfoGAN's Q has it, in the place of convolutions.
    model.recognition.features, model.recognition.dense = (), (128,)
    return config


def _mnist(config: ml_collections.ConfigDict, profile: str) -> None:
    config.data.name = "mnist"
    config.data.unlabelled = 50_000
    config.train.epochs = 200
    config.train.seeds = 3
    if profile == "fast":
        shared.fast(config)
        # The discriminator of pairs has to be ahead of what it judges.
        optimizers = config.model.optimizers
        optimizers.reconstruction_discriminator.learning_rate = 0.0005
        optimizers.reconstruction.learning_rate = 0.0002
        config.train.epochs = 16
        config.train.seeds = 1
    # As InfoGAN's: in one batch with real images the generator makes few digits and many ones.
    discriminator = config.model.discriminator
    discriminator.one_batch, discriminator.batch_norm = False, "before_relu"
    discriminator.noise = 0.0
