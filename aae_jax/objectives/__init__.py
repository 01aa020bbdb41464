"""Pure losses on arrays, per example until the call site reduces them."""

from aae_jax.objectives.elbo import kl_monte_carlo, kl_to_gaussian
from aae_jax.objectives.gan import discriminator_loss, generator_loss
from aae_jax.objectives.likelihood import bits_per_dimension, log_likelihood
from aae_jax.objectives.reconstruction import half_squared_error

__all__ = [
    "bits_per_dimension",
    "discriminator_loss",
    "generator_loss",
    "half_squared_error",
    "kl_monte_carlo",
    "kl_to_gaussian",
    "log_likelihood",
]
