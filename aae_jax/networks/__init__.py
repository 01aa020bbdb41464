"""Flax linen networks."""

from aae_jax.networks.common import Network, corrupt, initializer
from aae_jax.networks.mlp import Decoder, Discriminator, Encoder

__all__ = ["Decoder", "Discriminator", "Encoder", "Network", "corrupt", "initializer"]
