"""PixelGAN, table 1: clustering and semi-supervised classification error, in percent.

    make reproduce-table1-pixelgan PROFILE=fast ROWS=mnist_unsupervised

The paper's appendix with every setting in it could not be had: all numbers but the decoder's depth
and the number of clusters are our choice.
"""

import ml_collections

from configs.base import base, parse_argument

ROWS = (
    "mnist_unsupervised",
    "mnist_20",
    "mnist_50",
    "mnist_100",
    "svhn_500",
    "svhn_1000",
    "norb_1000",
)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_table1", argument, ROWS)
    config = base("pixelgan_table1", row, profile, "pixelgan")
    dataset, labels = row.split("_")
    on_dataset(config, dataset)
    if labels == "unsupervised":
        config.model.num_categories = 30
    else:
        config.data.num_labels = int(labels)
        config.data.labelled_batch_size = min(100, int(labels))
    config.train.epochs = 200
    config.train.seeds = 3
    if profile == "fast":
        fast_decoder(config)
        # More updates for the same time (docs/notes/pixelgan.md).
        config.data.batch_size = 32
        config.data.labelled_batch_size = min(32, config.data.labelled_batch_size)
        # An epoch of SVHN is 18,887 updates.
        config.train.epochs = {"mnist": 6, "svhn": 1, "norb": 12}[dataset]
        if labels == "unsupervised":
            # Against clusters that freeze (docs/notes/pixelgan.md).
            config.model.optimizers.reconstruction.learning_rate = 0.006
            config.model.decoder.num_blocks = 3
            config.train.epochs = 12
        else:
            config.model.optimizers.reconstruction.learning_rate = 0.003
        config.train.seeds = 3 if row in ("mnist_unsupervised", "mnist_100") else 1
        config.train.checkpoint_every = 1
    elif profile == "smoke":
        pixelgan_on_digits(config)
        if labels == "unsupervised":
            config.model.num_categories = 20
        else:
            config.data.num_labels = min(int(labels), 300)
            config.data.labelled_batch_size = min(50, int(labels))
    return config


def on_dataset(config: ml_collections.ConfigDict, dataset: str) -> None:
    """Data set and head: binarised MNIST, colours of SVHN, grey levels of NORB."""
    if dataset == "mnist":
        config.data.name = "mnist"
        config.data.unlabelled = 50_000
    elif dataset == "svhn":
        # train + extra, as in table 2 of the AAE; the paper's "about 530K" would be extra alone.
        config.data.name = "svhn_cropped"
        config.model.decoder.head = "logistic_mixture"
        config.model.encoder_features = (64, 128, 256)
    else:
        config.data.name = "smallnorb"
        config.model.decoder.head = "logistic_mixture"
        config.model.encoder_features = (64, 128, 256)


def fast_decoder(config: ml_collections.ConfigDict) -> None:
    """A small decoder, for a CPU."""
    config.model.decoder.num_blocks = 6
    config.model.decoder.features = 16
    config.model.discriminator_hidden = (200, 200)


def pixelgan_on_digits(config: ml_collections.ConfigDict) -> None:
    """Shrink to scikit-learn's 8x8 digits of 17 grey levels: seconds instead of hours."""
    config.data.name = "digits"
    config.data.unlabelled = 1200
    config.data.batch_size = 50
    model = config.model
    model.encoder_features = (16, 32)
    model.encoder_dense = 64
    model.discriminator_hidden = (100, 100)
    model.input_noise = 0.2
    model.decoder.num_blocks = 1
    model.decoder.features = 16
    model.decoder.head = "categorical"
    if model.prior == "categorical":
        model.optimizers.reconstruction.learning_rate = 0.003
    model.schedule.name = "constant"
    config.train.epochs = 50
    config.train.seeds = 2
    config.train.log_every = 24
    config.train.evaluate_every = 5
