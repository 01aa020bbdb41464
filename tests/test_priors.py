"""Priors p(z): samples and their moments, classes, densities, and walks by percentiles."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import scipy.special
import scipy.stats

from aae_jax import priors
from aae_jax.errors import UserError


@pytest.mark.parametrize("std", [1.0, 5.0])
def test_gaussian_has_the_standard_deviation_asked_for(std):
    samples = np.asarray(priors.gaussian(3, std)(jax.random.key(0), 20_000))
    assert samples.shape == (20_000, 3)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples.mean(axis=0), 0, atol=0.04 * std)
    np.testing.assert_allclose(np.cov(samples.T), std**2 * np.eye(3), atol=0.05 * std**2)


def test_categorical_is_one_hot_and_uniform():
    samples = np.asarray(priors.categorical(5)(jax.random.key(1), 20_000))
    assert samples.shape == (20_000, 5)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(np.sort(samples, axis=1), np.tile([0, 0, 0, 0, 1], (20_000, 1)))
    np.testing.assert_allclose(samples.mean(axis=0), 0.2, atol=0.015)


def test_a_product_is_of_independent_codes_side_by_side():
    prior = priors.product(priors.categorical(3), priors.gaussian(2, 4.0))
    samples = np.asarray(prior(jax.random.key(0), 20_000))
    assert prior.dim == 5 and samples.shape == (20_000, 5)
    assert set(np.unique(samples[:, :3])) == {0, 1}
    np.testing.assert_array_equal(samples[:, :3].sum(axis=1), 1)
    np.testing.assert_allclose(samples[:, 3:].std(axis=0), 4, rtol=0.03)
    np.testing.assert_allclose(np.corrcoef(samples.T)[:3, 3:], 0, atol=0.03)


@pytest.mark.parametrize("sampler", [priors.gaussian(2), priors.categorical(4)])
def test_samples_are_a_function_of_the_key(sampler):
    first, again, other = (sampler(jax.random.key(k), 50) for k in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


NAMES = ("mixture", "swiss_roll")
CLASSES = (priors.gaussian_mixture(), priors.swiss_roll())


def per_class(prior, num, seed=0):
    """Samples [classes, num, 2] of every class."""
    labels = jnp.repeat(jnp.arange(prior.num_classes), num)
    samples = np.asarray(prior.sample_class(jax.random.key(seed), labels))
    return samples.reshape(prior.num_classes, num, 2)


def uniform_percentiles(num, seed=0):
    return jax.random.uniform(jax.random.key(seed), (num, 2), minval=1e-6, maxval=1 - 1e-6)


def roll_axis(u):
    """The swiss roll's axis as public code writes it: radius 3√u, angle 4π√u."""
    r, angle = 3 * np.sqrt(u), 4 * np.pi * np.sqrt(u)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=-1)


@pytest.mark.parametrize("prior", CLASSES, ids=NAMES)
def test_a_prior_of_classes_is_sampled_in_two_dimensions_from_the_key_alone(prior):
    first, again, other = (prior(jax.random.key(k), 50) for k in (3, 3, 4))
    assert first.shape == (50, 2) and first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (prior.dim, prior.num_classes) == (2, 10)
    labels = jnp.asarray([9, 0, 3])
    one, two, three = (prior.sample_class(jax.random.key(k), labels) for k in (1, 1, 2))
    assert one.shape == (3, 2)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


@pytest.mark.parametrize("num_classes", [3, 10])
def test_a_component_is_centred_on_the_circle_and_elongated_along_its_radius(num_classes):
    prior = priors.gaussian_mixture(num_classes, radius=2.0, radial_std=0.5, tangential_std=0.1)
    for k, samples in enumerate(per_class(prior, 20_000)):
        angle = 2 * np.pi * k / num_classes
        turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        along, across = turned @ samples.T
        assert along.mean() == pytest.approx(2.0, abs=0.02)
        assert across.mean() == pytest.approx(0.0, abs=0.004)
        np.testing.assert_allclose(np.cov(along, across), [[0.25, 0], [0, 0.01]], atol=6e-3)


def test_the_whole_mixture_has_equal_parts_of_all_components():
    prior = priors.gaussian_mixture(radial_std=0.1, tangential_std=0.05)  # far apart
    samples = np.asarray(prior(jax.random.key(0), 20_000))
    angles = np.arctan2(samples[:, 1], samples[:, 0])
    nearest = np.round(angles / (2 * np.pi / 10)).astype(int) % 10
    np.testing.assert_allclose(np.bincount(nearest, minlength=10) / 20_000, 0.1, atol=0.01)


def test_the_whole_roll_has_equal_parts_of_all_its_stretches():
    prior = priors.swiss_roll(std=0.01)
    samples = np.asarray(prior(jax.random.key(0), 20_000))
    u = np.square(np.linalg.norm(samples, axis=1) / 3)  # the radius tells how far along it is
    counts, _ = np.histogram(u, bins=10, range=(0, 1))
    np.testing.assert_allclose(counts / 20_000, 0.1, atol=0.01)


def test_classes_follow_each_other_along_the_rolls_axis():
    u = (np.arange(4000) + 0.5) / 4000
    distances_to = roll_axis(u)
    for k, samples in enumerate(per_class(priors.swiss_roll(std=0.05), 500)):
        squared = ((samples[:, None] - distances_to) ** 2).sum(-1)
        np.testing.assert_array_less(squared.min(1), (6 * 0.05) ** 2)
        nearest = u[squared.argmin(1)]
        inside = (nearest > k / 10 - 0.02) & (nearest < (k + 1) / 10 + 0.02)
        assert inside.mean() > 0.99
        assert nearest.mean() == pytest.approx((k + 0.5) / 10, abs=0.01)


def test_the_roll_turns_as_often_as_asked_for():
    once = priors.swiss_roll(num_classes=4, std=1e-6, turns=1.0)
    codes = once.quantile(jnp.asarray([[0.5, 0.5]]), jnp.asarray([3]))
    s = np.sqrt(3.5 / 4)
    expected = [[3 * s * np.cos(2 * np.pi * s), 3 * s * np.sin(2 * np.pi * s)]]
    np.testing.assert_allclose(codes, expected, atol=1e-4)


def test_noise_around_the_roll_has_the_standard_deviation_asked_for():
    tight, wide = (per_class(priors.swiss_roll(std=std), 4000) for std in (1e-6, 0.3))
    np.testing.assert_allclose((wide - tight).std(axis=(0, 1)), 0.3, rtol=0.02)
    np.testing.assert_allclose((wide - tight).mean(axis=(0, 1)), 0.0, atol=0.01)


def test_the_gaussians_inverse_map():
    prior = priors.gaussian(2, std=3.0)
    np.testing.assert_allclose(prior.quantile(jnp.full((1, 2), 0.5), None), 0.0, atol=1e-6)
    # The 15.87th and 97.725th percentiles lie one standard deviation below and two above.
    codes = prior.quantile(jnp.asarray([[0.158655, 0.977250]]), None)
    np.testing.assert_allclose(codes, [[-3.0, 6.0]], rtol=1e-4)
    codes = np.asarray(prior.quantile(uniform_percentiles(20_000), None))
    np.testing.assert_allclose(np.cov(codes.T), 9 * np.eye(2), atol=0.3)


def test_the_mixtures_inverse_map_gives_each_component_back():
    prior = priors.gaussian_mixture()
    drawn = per_class(prior, 20_000)
    percentiles = uniform_percentiles(20_000)
    for k in range(10):
        codes = np.asarray(prior.quantile(percentiles, jnp.full(20_000, k)))
        np.testing.assert_allclose(codes.mean(0), drawn[k].mean(0), atol=0.02)
        np.testing.assert_allclose(np.cov(codes.T), np.cov(drawn[k].T), atol=0.01)


def test_walking_along_a_component_goes_outwards_through_its_centre():
    prior = priors.gaussian_mixture()
    t = (np.arange(9) + 1) / 10
    for k in range(10):
        angle = 2 * np.pi * k / 10
        outwards = np.array([np.cos(angle), np.sin(angle)])
        along = jnp.asarray(np.stack([t, np.full(9, 0.5)], axis=1))
        across = along[:, ::-1]
        labels = jnp.full(9, k)
        np.testing.assert_allclose(prior.quantile(along, labels)[4], 1.4 * outwards, atol=1e-5)
        radii = np.asarray(prior.quantile(along, labels)) @ outwards
        assert (np.diff(radii) > 0).all()
        sideways = np.asarray(prior.quantile(across, labels)) @ [-outwards[1], outwards[0]]
        assert (np.diff(sideways) > 0).all()
        # Ten and ninety percent: 1.2816 standard deviations to either side.
        np.testing.assert_allclose(
            radii[[0, -1]], 1.4 + 0.5 * 1.28155 * np.array([-1, 1]), rtol=1e-4
        )
        np.testing.assert_allclose(sideways[-1], 0.1 * 1.28155, rtol=1e-3)


def test_walking_along_the_roll_follows_its_axis_class_by_class():
    prior = priors.swiss_roll()
    t = (np.arange(20) + 0.5) / 20
    grid = jnp.asarray(np.stack([t, np.full(20, 0.5)], axis=1))
    walk = np.concatenate([prior.quantile(grid, jnp.full(20, k)) for k in range(10)])
    np.testing.assert_allclose(walk, roll_axis((np.arange(200) + 0.5) / 200), atol=1e-4)
    assert (np.diff(np.linalg.norm(walk, axis=1)) > 0).all()
    np.testing.assert_allclose(
        prior.quantile(jnp.asarray([[0.0, 0.5], [0.5, 0.5]]), jnp.asarray([0, 7])),
        [[0, 0], roll_axis(0.75)],
        atol=1e-5,
    )


def test_the_rolls_second_percentile_moves_across_it():
    prior = priors.swiss_roll(std=0.2)
    percentiles = jnp.asarray([[0.3, 0.5], [0.3, 0.841345], [0.3, 0.158655]])
    middle, outer, inner = np.asarray(prior.quantile(percentiles, jnp.full(3, 6)))
    radius = np.linalg.norm(middle)
    np.testing.assert_allclose(outer, middle * (1 + 0.2 / radius), atol=1e-4)
    np.testing.assert_allclose(inner, middle * (1 - 0.2 / radius), atol=1e-4)


def test_uniform_percentiles_lie_along_the_roll_as_its_samples_do():
    prior = priors.swiss_roll(std=0.05)
    percentiles = uniform_percentiles(5000)
    for k, drawn in enumerate(per_class(prior, 5000)):
        codes = np.asarray(prior.quantile(percentiles, jnp.full(5000, k)))
        # The noise is across the axis only, so that the covariance lacks its share along it.
        np.testing.assert_allclose(codes.mean(0), drawn.mean(0), atol=0.03)
        np.testing.assert_allclose(np.cov(codes.T), np.cov(drawn.T), atol=0.05)


def grid(limit, num):
    ticks = np.linspace(-limit, limit, num)
    x, y = np.meshgrid(ticks, ticks, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32), ticks[1] - ticks[0]


@pytest.mark.parametrize("prior", CLASSES, ids=NAMES)
def test_densities_integrate_to_one(prior):
    codes, spacing = grid(4.0, 101)  # a spacing of 0.08, less than the smallest deviation
    density = np.exp(np.asarray(prior.class_log_prob(jnp.asarray(codes))))
    np.testing.assert_allclose(density.sum(0) * spacing**2, np.ones(10), rtol=2e-3)


def test_the_gaussians_density():
    codes = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    expected = scipy.stats.multivariate_normal(np.zeros(3), 4 * np.eye(3)).logpdf(codes)
    np.testing.assert_allclose(priors.gaussian(3, 2.0).log_prob(codes), expected, rtol=1e-5)


def test_the_mixtures_density_against_scipy():
    codes = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    expected = []
    for k in range(10):
        c, s = np.cos(2 * np.pi * k / 10), np.sin(2 * np.pi * k / 10)
        turn = np.array([[c, -s], [s, c]])
        covariance = turn @ np.diag([0.25, 0.01]) @ turn.T
        component = scipy.stats.multivariate_normal([1.4 * c, 1.4 * s], covariance)
        expected.append(component.logpdf(codes))
    expected = np.stack(expected, axis=1)
    prior = priors.gaussian_mixture()
    np.testing.assert_allclose(prior.class_log_prob(codes), expected, rtol=1e-3, atol=2e-3)
    whole = scipy.special.logsumexp(expected, axis=1) - np.log(10)
    np.testing.assert_allclose(prior.log_prob(codes), whole, rtol=1e-3, atol=2e-3)


def test_the_rolls_density_against_quadrature():
    prior = priors.swiss_roll(std=0.2)
    codes = np.asarray(prior(jax.random.key(0), 40))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    for k in (0, 4, 9):
        centres = roll_axis((k + 0.5 * (nodes + 1)) / 10)
        squared = ((codes[:, None] - centres) ** 2).sum(-1)
        terms = -squared / (2 * 0.2**2) - np.log(2 * np.pi * 0.2**2) + np.log(weights / 2)
        expected = scipy.special.logsumexp(terms, axis=1)
        near = expected > -30
        assert near.sum() > 3
        actual = np.asarray(prior.class_log_prob(codes))[:, k]
        np.testing.assert_allclose(actual[near], expected[near], atol=0.01)


@pytest.mark.parametrize("prior", CLASSES, ids=NAMES)
def test_densities_agree_with_histograms_of_samples(prior):
    codes, spacing = grid(3.6, 37)
    densities = np.exp(np.asarray(prior.class_log_prob(jnp.asarray(codes))))
    drawn = per_class(prior, 20_000)
    for k in (2, 7):
        samples, density = drawn[k], densities[:, k]
        edges = np.linspace(-3.6 - spacing / 2, 3.6 + spacing / 2, 38)
        counts = np.histogram2d(*samples.T, bins=(edges, edges))[0].ravel()
        # A bin's share is about the density at its centre: coarse, but far from another class's.
        similarity = np.sqrt(counts / 20_000 * density * spacing**2).sum()
        assert similarity > 0.9
        others = densities[:, (k + 3) % 10]
        assert np.sqrt(counts / 20_000 * others * spacing**2).sum() < 0.5


@pytest.mark.parametrize("prior", CLASSES, ids=NAMES)
def test_samples_of_a_class_are_most_probable_under_it(prior):
    labels = jnp.arange(500) % 10
    samples = prior.sample_class(jax.random.key(5), labels)
    named = np.asarray(prior.class_log_prob(samples)).argmax(1)
    assert (named == np.asarray(labels)).mean() > 0.9
    # The mean log density of samples is minus the entropy, which chance does not reach.
    shuffled = prior.log_prob(samples[:, ::-1] * jnp.asarray([1.0, -1.0]) + 0.3)
    assert prior.log_prob(samples).mean() > shuffled.mean() + 0.5


def test_from_config_builds_what_is_named():
    built = priors.from_config(ml_collections.ConfigDict({"name": "gaussian", "std": 5.0}), 8)
    assert (built.dim, built.num_classes) == (8, 0)
    assert np.asarray(built(jax.random.key(0), 5000)).std() == pytest.approx(5.0, rel=0.02)
    for name, prior in zip(NAMES, CLASSES):
        built = priors.from_config(ml_collections.ConfigDict({"name": name, "std": 1.0}), 2)
        key = jax.random.key(1)
        np.testing.assert_array_equal(built(key, 20), prior(key, 20))


@pytest.mark.parametrize(
    ("name", "std", "dim", "expected"),
    [
        ("mixture", 1.0, 8, r"the mixture prior is 2-D, but model\.code_dim is 8"),
        ("swiss_roll", 1.0, 3, r"the swiss_roll prior is 2-D, but model\.code_dim is 3"),
        ("gausian", 1.0, 2, "unknown prior 'gausian': choose gaussian, mixture or swiss_roll"),
        ("gaussian", 0.0, 2, r"prior\.std is 0\.0; it must be positive"),
        ("gaussian", -1.0, 2, r"prior\.std is -1\.0; it must be positive"),
    ],
)
def test_from_config_refuses_in_one_line(name, std, dim, expected):
    config = ml_collections.ConfigDict({"name": name, "std": std})
    with pytest.raises(UserError, match=expected) as caught:
        priors.from_config(config, dim)
    assert "\n" not in str(caught.value)
