"""Flax linen networks."""

from aae_jax.networks.common import Network, corrupt, init_networks, initializer
from aae_jax.networks.heads import make_head
from aae_jax.networks.mlp import Decoder, Discriminator, Encoder
from aae_jax.networks.pixelcnn import PixelCNN

__all__ = [
    "Decoder",
    "Discriminator",
    "Encoder",
    "Network",
    "PixelCNN",
    "corrupt",
    "init_networks",
    "initializer",
    "make_head",
]
