"""PixelGAN, section 4: mappings from one domain to another, images to labels and shoes to edges.

    make reproduce-crossdomain-pixelgan PROFILE=fast ROWS="fashion_edges_pixelgan fashion_edges_odm"

The section has no experiment: all numbers are ours. Rows of one group differ in the decoder
alone: a PixelCNN (``pixelgan``), none (``odm``, output distribution matching), or a deterministic
one (``aae``).
"""

import ml_collections

from aae_jax.optimizers import adam, sgd
from configs.base import base, parse_argument

DECODERS = {"pixelgan": "pixelcnn", "odm": "none", "aae": "deterministic"}
ROWS = tuple(f"{group}_{kind}" for group in ("mnist_100", "fashion_edges") for kind in DECODERS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_crossdomain", argument, ROWS)
    kind = row.rpartition("_")[2]
    # To labels and with a PixelCNN it is the semi-supervised PixelGAN autoencoder itself.
    method = "pixelgan" if row == "mnist_100_pixelgan" else "cross_domain_pixelgan"
    config = base("pixelgan_crossdomain", row, profile, method)
    if method != "pixelgan":
        config.model.decoder.name = DECODERS[kind]
    config.train.seeds = 3
    (_labels if row.startswith("mnist") else _edges)(config)
    return config


def _labels(config: ml_collections.ConfigDict) -> None:
    """The networks, rates and length that table 1 had for 100 labels before its dilated blocks,
    whatever the decoder."""
    data, model, train = config.data, config.model, config.train
    if config.method != "pixelgan":
        model.second_domain = "labels"
    model.input_noise = 0.3
    model.decoder.head = "bernoulli"
    model.optimizers.discriminator = sgd(0.1, 0.1)
    model.optimizers.generator = sgd(0.1, 0.1)
    model.optimizers.classification = sgd(0.1, 0.9)
    data.name, data.unlabelled = "mnist", 50_000
    data.num_labels = data.labelled_batch_size = 100
    train.epochs = 200
    if config.profile == "fast":
        model.decoder.num_blocks, model.decoder.features = 6, 16
        model.discriminator_hidden = (200, 200)
        model.optimizers.reconstruction.learning_rate = 0.003
        data.batch_size = data.labelled_batch_size = 32
        train.epochs = 6
        train.checkpoint_every = 1
    elif config.profile == "smoke":
        _digits(config)
        data.labelled_batch_size = 50
        model.encoder_features, model.encoder_dense = (16, 32), 64
        model.discriminator_hidden = (100, 100)


def _edges(config: ml_collections.ConfigDict) -> None:
    """Sandals, sneakers and ankle boots of 14x14 pixels to their Sobel edges."""
    data, model, train = config.data, config.model, config.train
    data.name, data.classes = "fashion_mnist", (5, 7, 9)
    data.domains = "half_edges"
    model.decoder.num_levels = 16
    train.epochs = 100
    if config.profile != "paper":
        model.generator.update(features=16, num_blocks=3)
        model.image_discriminator.update(features=(32, 64), noise=0.1)
        model.optimizers.discriminator = adam(0.0005, 0.5)
        model.optimizers.generator = adam(0.001, 0.5)
    if config.profile == "fast":
        model.decoder.num_blocks, model.decoder.features = 3, 16
        data.batch_size = 32
        train.epochs = 20
        train.checkpoint_every = 1
    elif config.profile == "smoke":
        _digits(config)
        data.classes, data.domains = (0, 6, 8), "edges"
        data.unlabelled = 0
        model.generator.update(features=4, num_blocks=1)
        model.image_discriminator.features = (8, 16)


def _digits(config: ml_collections.ConfigDict) -> None:
    """Small decoders on scikit-learn's 8x8 digits of 17 grey levels, seconds a run."""
    decoder = config.model.decoder
    decoder.num_blocks, decoder.features, decoder.head = 1, 16, "categorical"
    if config.method != "pixelgan":
        decoder.hidden = (100, 100)
    config.data.name, config.data.unlabelled = "digits", 1200
    config.data.batch_size = 50
    config.model.schedule.name = "constant"
    config.train.epochs = 20
    config.train.seeds = 2
    config.train.log_every = 20
    config.train.evaluate_every = 5
