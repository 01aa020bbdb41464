"""KL divergences of the variational bound (AAE, section 2.1, equation 2), per example, in nats, and
the density of a mixture of posteriors."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp


def kl_to_gaussian(mean: jax.Array, log_std: jax.Array, prior_std: float = 1.0) -> jax.Array:
    """KL(N(mean, diag(std²)) || N(0, prior_std² I)) in closed form; [b, d] and [b, d] -> [b]."""
    variance_ratio = jnp.exp(2 * log_std) / prior_std**2
    terms = variance_ratio + jnp.square(mean / prior_std) - 1.0
    return (0.5 * terms - log_std + math.log(prior_std)).sum(axis=-1)


def kl_monte_carlo(
    z: jax.Array,
    mean: jax.Array,
    log_std: jax.Array,
    log_prior: Callable[[jax.Array], jax.Array],
) -> jax.Array:
    """log q(z|x) - log p(z) at a draw z ~ N(mean, diag(std²)): an unbiased estimate of the KL
    divergence for any prior whose density is known; [b, d]... -> [b]."""
    standardised = (z - mean) * jnp.exp(-log_std)
    log_posterior = -0.5 * jnp.square(standardised) - log_std - 0.5 * math.log(2 * math.pi)
    return log_posterior.sum(axis=-1) - log_prior(z)


def gaussian_mixture_log_prob(z: jax.Array, means: jax.Array, log_stds: jax.Array) -> jax.Array:
    """log 1/K Σ_k N(z; means_k, diag(stds_k²)) (Tomczak and Welling 2018, equation 8: the density
    of a VampPrior, from the posteriors of its pseudo-inputs); [b, d] and [K, d]... -> [b]."""
    standardised = (z[:, None] - means) * jnp.exp(-log_stds)
    terms = -0.5 * jnp.square(standardised) - log_stds - 0.5 * math.log(2 * math.pi)
    return logsumexp(terms.sum(axis=-1), axis=-1) - math.log(means.shape[0])
