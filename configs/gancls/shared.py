"""What the joint embedding and the GANs that start from it have in common."""

import ml_collections

DATA = ("captioned_digits", "flowers", "birds")


def captioned(config: ml_collections.ConfigDict, data: str) -> None:
    """The data, and the size of the sentences' embedding in this profile."""
    config.data.name = data
    config.data.batch_size = 64
    text = config.model.text
    if config.profile == "smoke":
        config.data.name = "captioned_digits/small"
        config.data.batch_size = 50
        text.kind, text.width, text.dim = "convolutional", 32, 32
    elif config.profile == "fast":
        text.width, text.dim = 64, 64
