"""PixelGAN, table 1: clustering and semi-supervised classification error, in percent.

    make reproduce-table1-pixelgan PROFILE=fast ROWS=mnist_unsupervised

The paper's appendix with every setting in it could not be had: all numbers but the decoder's depth
and the number of clusters are our choice.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.pixelgan.smoke import smoke

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
    if profile == "smoke":
        return _smoke(row)
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
        config.model.decoder.num_blocks = 6
        config.model.decoder.features = 16
        config.model.discriminator_hidden = (200, 200)
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
        if dataset == "mnist" and labels != "unsupervised":
            # Blocks that see the whole image above, and a soft code that hardens; labels and prior
            # shape it before the reconstruction does (docs/notes/pixelgan.md).
            config.model.decoder.dilations = (1, 2, 4, 1, 2, 4)
            config.model.head_scale = {"name": "ramp", "start": 2.0, "end": 10.0, "fraction": 0.5}
            config.model.decoder_alone = 0.1
            config.train.epochs = 30
        config.train.seeds = 3 if row in ("mnist_unsupervised", "mnist_100") else 1
        config.train.checkpoint_every = 1
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


def _smoke(row: str) -> ml_collections.ConfigDict:
    config = smoke("pixelgan_table1", row)
    labels = row.split("_")[1]
    if labels == "unsupervised":
        config.model.num_categories = 20
    else:
        config.data.num_labels = min(int(labels), 300)
        config.data.labelled_batch_size = min(50, int(labels))
    return config
