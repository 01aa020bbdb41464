"""PixelGAN, figure 3: depth and conditioning of the decoder against what a 2-D code tells.

    make reproduce-fig3-pixelgan PROFILE=fast

And the row that section 2.1 points at: a 30-D code with a deep decoder. Encoder, an MLP,
batches, optimizers and epochs: paper silent.
"""

import ml_collections

from aae_jax.optimizers import adam
from configs.base import base, parse_argument
from configs.pixelgan.smoke import smoke

ROWS = (
    "shallow_invariant",
    "shallow_dependent",
    "deep_invariant",
    "deep_dependent",
    "deep_invariant_30d",
)
NUM_BLOCKS = {"shallow": 3, "deep": 12}


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("pixelgan_fig3", argument, ROWS)
    if profile == "smoke":
        return _smoke(row)
    config = base("pixelgan_fig3", row, profile, "pixelgan")
    depth, bias = row.split("_")[:2]
    config.data.name = "mnist"
    config.data.unlabelled = 50_000
    config.train.epochs = 200
    config.train.seeds = 3
    gaussian_code(config.model)
    config.model.decoder.num_blocks = NUM_BLOCKS[depth]
    config.model.decoder.conditioning = f"location_{bias}"
    if row.endswith("_30d"):
        config.model.code_dim = 30
    if profile == "fast":
        config.data.batch_size = 32
        config.model.decoder.features = 16
        config.model.encoder_hidden = (500, 500)
        config.model.discriminator_hidden = (250, 250)
        config.train.epochs = 4
        config.train.seeds = 1
        config.train.checkpoint_every = 1
    return config


def _smoke(row: str) -> ml_collections.ConfigDict:
    config = smoke("pixelgan_fig3", row)
    depth, bias = row.split("_")[:2]
    gaussian_code(config.model)
    config.model.encoder_hidden = (100, 100)
    config.model.optimizers.reconstruction.learning_rate = 0.001
    config.model.decoder.num_blocks = 1 if depth == "shallow" else 2
    config.model.decoder.conditioning = f"location_{bias}"
    if row.endswith("_30d"):
        config.model.code_dim = 30
    return config


def gaussian_code(model: ml_collections.ConfigDict) -> None:
    """A 2-D Gaussian code and an MLP encoder."""
    model.prior = "gaussian"
    model.encoder = "mlp"
    model.head_batch_norm = False
    model.code_dim = 2
    # Nothing bounds a Gaussian code: gradient descent at the simplex's rates diverges.
    model.optimizers.discriminator = adam(0.0002, 0.5)
    model.optimizers.generator = adam(0.0002, 0.5)
