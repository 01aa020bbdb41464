"""KL divergences in closed form, by Monte Carlo and against quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from aae_jax import priors
from aae_jax.objectives import gaussian_mixture_log_prob, kl_monte_carlo, kl_to_gaussian


def posteriors(num=4, dim=2, seed=0):
    rng = np.random.default_rng(seed)
    mean, log_std = rng.normal(size=(num, dim)), rng.uniform(-1.0, 0.5, size=(num, dim))
    return jnp.asarray(mean, jnp.float32), jnp.asarray(log_std, jnp.float32)


def draws(mean, log_std, num):
    noise = jax.random.normal(jax.random.key(0), (num, *mean.shape))
    return mean + jnp.exp(log_std) * noise


@pytest.mark.parametrize("prior_std", [1.0, 5.0, 0.5])
def test_the_closed_form_by_hand(prior_std):
    # One dimension: log(s/σ) + (σ² + μ²) / (2 s²) - 1/2.
    mean, std = np.array([0.0, 1.5, -2.0]), np.array([prior_std, 0.2, 3.0])
    expected = np.log(prior_std / std) + (std**2 + mean**2) / (2 * prior_std**2) - 0.5
    actual = kl_to_gaussian(
        jnp.asarray(mean[:, None], jnp.float32), jnp.log(std[:, None]), prior_std
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert actual[0] == pytest.approx(0.0, abs=1e-6)  # the prior itself


def test_the_closed_form_sums_over_dimensions_and_not_over_examples():
    mean, log_std = posteriors(num=3, dim=5)
    kl = kl_to_gaussian(mean, log_std, 2.0)
    assert kl.shape == (3,)
    parts = [kl_to_gaussian(mean[:, i : i + 1], log_std[:, i : i + 1], 2.0) for i in range(5)]
    np.testing.assert_allclose(kl, sum(parts), rtol=1e-5)


@pytest.mark.parametrize("prior_std", [1.0, 2.0])
def test_monte_carlo_means_are_the_closed_form(prior_std):
    mean, log_std = posteriors()
    prior = priors.gaussian(2, prior_std)
    z = draws(mean, log_std, 20_000)
    estimates = jax.vmap(lambda z: kl_monte_carlo(z, mean, log_std, prior.log_prob))(z)
    assert estimates.shape == (20_000, 4)
    error = 5 * np.asarray(estimates).std(axis=0) / np.sqrt(20_000)
    expected = np.asarray(kl_to_gaussian(mean, log_std, prior_std))
    np.testing.assert_array_less(np.abs(np.asarray(estimates).mean(axis=0) - expected), error)


def test_monte_carlo_means_to_a_mixture_of_gaussians_are_the_integral():
    """A VampPrior of three components in two dimensions, by quadrature on a grid."""
    mean, log_std = posteriors(num=1)
    means, log_stds = posteriors(num=3, seed=1)
    axes = [
        np.linspace(m - 8 * np.exp(s), m + 8 * np.exp(s), 201) for m, s in zip(mean[0], log_std[0])
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    components = [
        scipy.stats.multivariate_normal(m, np.diag(np.exp(2 * s))).pdf(grid)
        for m, s in zip(np.float64(means), np.float64(log_stds))
    ]
    p = np.mean(components, axis=0)
    flat = jnp.asarray(grid.reshape(-1, 2), jnp.float32)
    found = gaussian_mixture_log_prob(flat, means, log_stds)
    np.testing.assert_allclose(found.reshape(p.shape), np.log(p), rtol=1e-3, atol=1e-3)

    q = scipy.stats.multivariate_normal(mean[0], np.diag(np.exp(2 * np.float64(log_std[0])))).pdf(
        grid
    )
    inner = [scipy.integrate.trapezoid(row, axes[1]) for row in q * (np.log(q) - np.log(p))]
    expected = scipy.integrate.trapezoid(inner, axes[0])
    z = draws(mean, log_std, 20_000)[:, 0]
    estimates = np.asarray(
        kl_monte_carlo(z, mean, log_std, lambda z: gaussian_mixture_log_prob(z, means, log_stds))
    )
    assert abs(estimates.mean() - expected) < 5 * estimates.std() / np.sqrt(20_000)
    assert expected > 0.3


def test_monte_carlo_at_one_draw_by_hand():
    mean, log_std = posteriors(num=3)
    z = draws(mean, log_std, 1)[0]
    log_prior = jnp.asarray([1.0, -2.0, 3.0])
    expected = scipy.stats.norm(mean, np.exp(log_std)).logpdf(z).sum(axis=1) - log_prior
    actual = kl_monte_carlo(z, mean, log_std, lambda codes: log_prior)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_monte_carlo_to_the_mixture_against_quadrature():
    mean, log_std = jnp.asarray([[1.2, 0.3]]), jnp.log(jnp.asarray([[0.4, 0.2]]))
    prior = priors.gaussian_mixture()
    ticks = [np.linspace(m - 7 * s, m + 7 * s, 201) for m, s in ((1.2, 0.4), (0.3, 0.2))]
    codes = np.stack([c.ravel() for c in np.meshgrid(*ticks, indexing="ij")], axis=1)
    log_q = scipy.stats.norm([1.2, 0.3], [0.4, 0.2]).logpdf(codes).sum(axis=1)
    values = np.exp(log_q) * (log_q - np.asarray(prior.log_prob(codes.astype(np.float32))))
    values = values.reshape(201, 201)
    expected = scipy.integrate.trapezoid(scipy.integrate.trapezoid(values, ticks[1]), ticks[0])
    z = draws(mean, log_std, 40_000)[:, 0]
    repeated = (jnp.repeat(array, 40_000, axis=0) for array in (mean, log_std))
    estimates = np.asarray(kl_monte_carlo(z, *repeated, prior.log_prob))
    assert expected > 0.5
    assert estimates.mean() == pytest.approx(expected, abs=float(5 * estimates.std() / 200))


def test_the_gradient_through_a_draw_is_that_of_the_closed_form():
    mean, log_std = posteriors(num=1)
    prior = priors.gaussian(2, 2.0)
    noise = jax.random.normal(jax.random.key(1), (20_000, 2))

    def estimate(mean, log_std):
        z = mean + jnp.exp(log_std) * noise
        rows = (jnp.broadcast_to(a, z.shape) for a in (mean, log_std))
        return kl_monte_carlo(z, *rows, prior.log_prob).mean()

    actual = jax.grad(estimate, (0, 1))(mean, log_std)
    expected = jax.grad(lambda *a: kl_to_gaussian(*a, 2.0).sum(), (0, 1))(mean, log_std)
    for a, e in zip(actual, expected):
        np.testing.assert_allclose(a, e, atol=0.02)
