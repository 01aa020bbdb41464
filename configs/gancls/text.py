"""Text-to-image GANs: GAN, GAN-CLS, GAN-INT and GAN-INT-CLS.

    make reproduce-text-gancls PROFILE=fast ROWS="captioned_digits_gan captioned_digits_gan_cls"

Flowers and birds as the paper has them (64x64; widths of the networks: paper silent); captioned
digits, a stand-in, with narrower networks in every profile. All rows of a data set start from the
text encoder that ``gancls_embedding`` trains on it in the same profile.
"""

import ml_collections

from configs.base import base, parse_argument
from configs.gancls.shared import DATA, captioned

VARIANTS = ("gan", "gan_cls", "gan_int", "gan_int_cls")
ROWS = tuple(f"{data}_{variant}" for data in DATA for variant in VARIANTS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("gancls_text", argument, ROWS)
    data, variant = next((data, row[len(data) + 1 :]) for data in DATA if row.startswith(data))
    config = base("gancls_text", row, profile, "text_gan")
    captioned(config, data)
    model = config.model
    model.matching_aware = "cls" in variant
    model.interpolation = "int" in variant
    config.train.epochs = 600
    if data == "captioned_digits":
        model.generator.features, model.discriminator.features = (128, 64), (64, 128)
        model.style_encoder.features = (64, 128)
        model.generator.output = "sigmoid"
        model.noise_dim = 32
        config.train.epochs = 60
    else:
        config.data.scaling = "symmetric"
    if profile != "paper":
        model.schedule.name = "cosine"
        config.train.checkpoint_every = 1
    if profile == "fast":
        if data == "captioned_digits":
            model.generator.dense = (256,)
            model.generator.features, model.discriminator.features = (64, 32), (32, 64)
            model.discriminator.dense = (512,)  # two convolutions see 10 of 28 pixels
            model.style_encoder.features, model.style_encoder.dense = (16, 32), (128,)
            model.text_dim = 32
            # From N(0, 0.02) an embedding this small is hardly heard (docs/notes/gans.md).
            model.init = "he_normal"
            model.optimizers.generator.learning_rate = 0.0005
            model.optimizers.discriminator.learning_rate = 0.0005
            config.train.epochs = 16
        else:
            model.generator.features, model.discriminator.features = (128, 64, 32), (32, 64, 128)
            model.style_encoder.features, model.style_encoder.dense = (16, 32, 64), (256,)
            config.train.epochs = 20
    if profile == "smoke":
        _smoke(config)
    return config


def _smoke(config: ml_collections.ConfigDict) -> None:
    config.data.scaling = "unit"
    model = config.model
    model.generator.output = "sigmoid"
    model.generator.features, model.discriminator.features = (16, 8), (8, 16)
    model.style_encoder.features, model.style_encoder.dense = (8,), (32,)
    model.noise_dim, model.text_dim = 8, 16
    model.optimizers.generator.learning_rate = 0.001
    model.optimizers.discriminator.learning_rate = 0.0005
    config.train.epochs = 20
    config.train.log_every = 29
    config.train.evaluate_every = 10
    config.train.checkpoint_every = 10
