"""Priors p(z): what to sample, and, where they have them, densities, classes and percentiles.

Every factory returns a ``Prior``, which is called as ``prior(key, num) -> codes [num, dim]``,
float32.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp, ndtri

from aae_jax.errors import UserError

Sampler = Callable[[jax.Array, int], jax.Array]


class Prior(NamedTuple):
    """A distribution over codes; what it does not have is ``None``.

    Attributes:
        dim: dimension of a code.
        sample: (key, num) -> codes [num, dim].
        num_classes: how many classes it is made of; 0 if it knows none.
        sample_class: (key, labels [n]) -> codes [n, dim] from p(z | y).
        class_log_prob: codes [n, dim] -> log p(z | y = k) in nats, [n, num_classes].
        log_prob: codes [n, dim] -> log p(z) in nats, [n].
        quantile: the inverse map, (percentiles [n, dim] in (0, 1), labels [n]) -> codes
            [n, dim], by which one walks along the prior, or along a class's part of it, evenly in
            probability (AAE, figures 2e, 4b and 4d): of the distribution function itself for
            Gaussians, of position along and offset across the axis for the swiss roll. Priors
            without classes ignore the labels.
    """

    dim: int
    sample: Sampler
    num_classes: int = 0
    sample_class: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    class_log_prob: Callable[[jax.Array], jax.Array] | None = None
    log_prob: Callable[[jax.Array], jax.Array] | None = None
    quantile: Callable[[jax.Array, jax.Array | None], jax.Array] | None = None

    def __call__(self, key: jax.Array, num: int) -> jax.Array:
        return self.sample(key, num)


def gaussian(dim: int, std: float = 1.0) -> Prior:
    """N(0, std² I) in ``dim`` dimensions."""

    def quantile(percentiles: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        return std * ndtri(percentiles)

    return Prior(
        dim,
        sample=lambda key, num: std * jax.random.normal(key, (num, dim)),
        log_prob=lambda codes: _normal_log_prob(codes, std).sum(-1),
        quantile=quantile,
    )


def uniform(dim: int) -> Prior:
    """U(-1, 1) in each of ``dim`` dimensions (Goodfellow et al. 2014)."""

    def quantile(percentiles: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        return 2.0 * percentiles - 1.0

    def log_prob(codes: jax.Array) -> jax.Array:
        inside = jnp.all(jnp.abs(codes) <= 1.0, axis=-1)
        return jnp.where(inside, -dim * math.log(2.0), -jnp.inf)

    return Prior(
        dim,
        sample=lambda key, num: jax.random.uniform(key, (num, dim), minval=-1.0, maxval=1.0),
        log_prob=log_prob,
        quantile=quantile,
    )


def categorical(num_categories: int) -> Prior:
    """Cat(y) with equal probabilities, as one-hot vectors (AAE, section 5)."""

    def sample(key: jax.Array, num: int) -> jax.Array:
        return jax.nn.one_hot(jax.random.randint(key, (num,), 0, num_categories), num_categories)

    return Prior(num_categories, sample)


def product(*factors: Prior) -> Prior:
    """Independent codes side by side: a categorical and a Gaussian noise vector, for instance."""

    def sample(key: jax.Array, num: int) -> jax.Array:
        keys = jax.random.split(key, len(factors))
        return jnp.concatenate([factor(k, num) for factor, k in zip(factors, keys)], axis=-1)

    return Prior(sum(factor.dim for factor in factors), sample)


def gaussian_mixture(
    num_classes: int = 10, radius: float = 1.4, radial_std: float = 0.5, tangential_std: float = 0.1
) -> Prior:
    """A mixture of 2-D Gaussians whose means lie on a circle (AAE, figures 2b and 4a).

    Component k, which is class k, is centred at angle 2πk / num_classes and elongated along its
    radius. The paper gives no numbers; the defaults are those of public code.
    """
    angles = 2 * math.pi * jnp.arange(num_classes) / num_classes
    radial = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)
    tangential = jnp.stack([-jnp.sin(angles), jnp.cos(angles)], axis=-1)

    def place(offsets: jax.Array, labels: jax.Array) -> jax.Array:
        along = radius + radial_std * offsets[:, :1]
        return along * radial[labels] + tangential_std * offsets[:, 1:] * tangential[labels]

    def sample_class(key: jax.Array, labels: jax.Array) -> jax.Array:
        return place(jax.random.normal(key, (labels.shape[0], 2)), labels)

    def class_log_prob(codes: jax.Array) -> jax.Array:
        along = codes @ radial.T - radius
        across = codes @ tangential.T
        return _normal_log_prob(along, radial_std) + _normal_log_prob(across, tangential_std)

    return _of_classes(
        num_classes,
        sample_class,
        class_log_prob,
        lambda percentiles, labels: place(ndtri(percentiles), labels),
    )


def swiss_roll(num_classes: int = 10, std: float = 0.1, turns: float = 2.0) -> Prior:
    """A Gaussian around a swiss roll's axis (AAE, section 2.3 and figure 4c).

    The axis is the spiral of radius 3√u at angle 2π·turns·√u, u in [0, 1), along which u is
    nearly uniform in length; class k has u in [k / num_classes, (k + 1) / num_classes). Shape from
    public code, which has no noise; ``std`` across and along the axis is our choice (paper
    silent).
    """

    def axis(u: jax.Array) -> jax.Array:
        angle = 2 * math.pi * turns * jnp.sqrt(u)
        return 3 * jnp.sqrt(u)[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)

    def sample_class(key: jax.Array, labels: jax.Array) -> jax.Array:
        position_key, noise_key = jax.random.split(key)
        u = (labels + jax.random.uniform(position_key, labels.shape)) / num_classes
        return axis(u) + std * jax.random.normal(noise_key, (*labels.shape, 2))

    # The integral over a class's stretch of the axis, by the midpoint rule; 200 points lie far
    # closer together than std.
    points = 200
    centres = axis((jnp.arange(num_classes * points) + 0.5) / (num_classes * points))

    def class_log_prob(codes: jax.Array) -> jax.Array:
        log_probs = _normal_log_prob(codes[:, None] - centres, std).sum(-1)
        return logsumexp(log_probs.reshape(-1, num_classes, points), axis=-1) - math.log(points)

    def quantile(percentiles: jax.Array, labels: jax.Array) -> jax.Array:
        """First percentile: along the class's stretch of the axis; second: radially across it."""
        centre = axis((labels + percentiles[:, 0]) / num_classes)
        outwards = centre / jnp.maximum(jnp.linalg.norm(centre, axis=-1, keepdims=True), 1e-6)
        return centre + std * ndtri(percentiles[:, 1:]) * outwards

    return _of_classes(num_classes, sample_class, class_log_prob, quantile)


def from_config(config, dim: int) -> Prior:
    """The prior that ``config.name`` names ("gaussian", with ``config.std``, "mixture" or
    "swiss_roll"), for codes of ``dim`` dimensions.

    The 2-D priors have shapes of their own, for which ``config.std`` says nothing.

    Raises:
        UserError: for an unknown name, a standard deviation that is not positive, codes of no
            dimension, or one of the 2-D priors with codes of another dimension.
    """
    if dim < 1:
        raise UserError(f"model.code_dim is {dim}; it must be at least 1")
    if config.name == "gaussian":
        if config.std <= 0:
            raise UserError(f"prior.std is {config.std}; it must be positive")
        return gaussian(dim, config.std)
    if config.name not in ("mixture", "swiss_roll"):
        raise UserError(f"unknown prior {config.name!r}: choose gaussian, mixture or swiss_roll")
    if dim != 2:
        raise UserError(
            f"the {config.name} prior is 2-D, but model.code_dim is {dim}: set it to 2, or choose "
            "the gaussian prior"
        )
    return gaussian_mixture() if config.name == "mixture" else swiss_roll()


def _normal_log_prob(x: jax.Array, std: float) -> jax.Array:
    return -0.5 * jnp.square(x / std) - math.log(std * math.sqrt(2 * math.pi))


def _of_classes(num_classes: int, sample_class, class_log_prob, quantile) -> Prior:
    """Equal parts of the classes."""

    def sample(key: jax.Array, num: int) -> jax.Array:
        label_key, code_key = jax.random.split(key)
        return sample_class(code_key, jax.random.randint(label_key, (num,), 0, num_classes))

    def log_prob(codes: jax.Array) -> jax.Array:
        return logsumexp(class_log_prob(codes), axis=-1) - math.log(num_classes)

    return Prior(2, sample, num_classes, sample_class, class_log_prob, log_prob, quantile)
