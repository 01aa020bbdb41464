"""Pure losses on arrays, per example until the call site reduces them."""

from aae_jax.objectives.elbo import gaussian_mixture_log_prob, kl_monte_carlo, kl_to_gaussian
from aae_jax.objectives.gan import Game, discriminator_loss, game, generator_loss, gradient_penalty
from aae_jax.objectives.information import categorical_information, uniform_information
from aae_jax.objectives.likelihood import bits_per_dimension, log_likelihood
from aae_jax.objectives.reconstruction import half_squared_error

__all__ = [
    "Game",
    "bits_per_dimension",
    "categorical_information",
    "discriminator_loss",
    "game",
    "gaussian_mixture_log_prob",
    "generator_loss",
    "gradient_penalty",
    "half_squared_error",
    "kl_monte_carlo",
    "kl_to_gaussian",
    "log_likelihood",
    "uniform_information",
]
