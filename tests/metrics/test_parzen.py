"""Parzen-window log-likelihoods against closed forms, float64 NumPy and scikit-learn."""

import warnings

import jax
import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.metrics import check_parzen_settings, parzen, parzen_estimate, parzen_log_likelihoods

SIGMAS = (0.1, 0.2, 0.5)


def reference(samples, images, sigma):
    """The definition, in float64."""
    samples, images = np.asarray(samples, np.float64), np.asarray(images, np.float64)
    dim = images.shape[1]
    squares = np.square(images[:, None] - samples[None]).sum(axis=-1)
    kernels = -squares / (2 * sigma**2) - dim * np.log(sigma * np.sqrt(2 * np.pi))
    return np.logaddexp.reduce(kernels, axis=1) - np.log(len(samples))


def uniform(seed, *shape):
    return np.random.default_rng(seed).random(shape, np.float32)


def strokes(seed, num):
    """784 pixels, mostly a constant background, and a blurred band whose place varies."""
    place = np.random.default_rng(seed).uniform(8, 20, (num, 1, 2))
    axis = np.arange(28)
    bands = np.exp(-np.square((axis - place.swapaxes(1, 2)) / 2.5))
    return (bands[:, 0, :, None] + bands[:, 1, None, :]).clip(0, 1).reshape(num, 784)


def test_one_kernel_is_a_gaussian():
    sample, image = np.array([[0.5, 0.25, 1.0]]), np.array([[0.5, 0.75, 0.0]])
    ours = parzen_log_likelihoods(sample, image, [0.5, 2.0])
    # ||x - s||^2 = 1.25
    expected = [-1.25 / (2 * s**2) - 1.5 * np.log(2 * np.pi * s**2) for s in (0.5, 2.0)]
    np.testing.assert_allclose(ours[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.3])
def test_agrees_with_float64_on_images(sigma):
    noise = 0.05 * np.random.default_rng(2).standard_normal((200, 784))
    images = strokes(0, 200).astype(np.float32)
    samples = np.concatenate([images[:, ::-1], images + noise]).astype(np.float32)
    ours = parzen_log_likelihoods(samples, images, [sigma])[0]
    expected = np.concatenate([reference(samples, rows, sigma) for rows in np.split(images, 10)])
    assert np.abs(expected).mean() > 100  # nats, so that 1e-3 asks for six digits
    # Errors go with 1 / sigma^2; how large they are depends on how the CPU's product adds up.
    assert abs(ours.mean() - expected.mean()) < max(1e-3, 1e-5 / sigma**2)
    np.testing.assert_allclose(ours, expected, atol=max(0.02, 3e-4 / sigma**2))


def test_agrees_with_scikit_learn():
    from sklearn.neighbors import KernelDensity

    samples, images = uniform(0, 60, 20), uniform(1, 30, 20)
    for sigma, ours in zip(SIGMAS, parzen_log_likelihoods(samples, images, SIGMAS)):
        # One leaf, for a tree's bounds cancel (scikit-learn 1.9 is wrong at 784 pixels).
        density = KernelDensity(bandwidth=sigma, leaf_size=len(samples)).fit(samples)
        np.testing.assert_allclose(ours, density.score_samples(images), atol=1e-3)


def test_an_offset_of_all_values_costs_no_digits():
    images, samples = (16 + 0.25 * np.round(4 * uniform(seed, 40, 784)) for seed in (0, 1))
    ours = parzen_log_likelihoods(samples, images, [0.1])[0]
    np.testing.assert_allclose(ours, reference(samples, images, 0.1), atol=0.02)


def test_products_are_float32_on_every_backend():
    state = np.zeros(3, np.float32), np.zeros((3, 1), np.float32)
    lowered = parzen._add_block.lower(
        state, uniform(0, 5, 4), uniform(1, 3, 4), np.zeros(4), np.ones(1), 2
    )
    products = [line for line in lowered.as_text().splitlines() if "dot_general" in line]
    assert products
    assert all("HIGHEST, HIGHEST" in line for line in products)


def test_an_image_far_from_all_samples_has_a_finite_log_likelihood():
    samples, images = uniform(0, 20, 50), 100 + uniform(1, 3, 50)
    ours = parzen_log_likelihoods(samples, images, [0.1])[0]
    np.testing.assert_allclose(ours, reference(samples, images, 0.1), rtol=1e-5)


@pytest.mark.parametrize(
    ("sample_block", "image_block"), [(1, 1), (7, 4), (23, 23), (46, 5), (500, 500)]
)
def test_blocks_do_not_change_the_result(sample_block, image_block):
    # The last block of 7 holds 4 of the 46 samples, the last of 5 images 3 of the 23.
    samples, images = uniform(0, 46, 30), uniform(1, 23, 30)
    samples = samples[np.argsort(np.square(samples - 0.5).sum(axis=1))]  # the largest term moves
    ours = parzen_log_likelihoods(
        samples, images, SIGMAS, sample_block=sample_block, image_block=image_block
    )
    expected = [reference(samples, images, sigma) for sigma in SIGMAS]
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_several_sigmas_are_one_at_a_time():
    samples, images = uniform(0, 40, 12), uniform(1, 15, 12)
    together = parzen_log_likelihoods(samples, images, SIGMAS, sample_block=16)
    for sigma, row in zip(SIGMAS, together):
        alone = parzen_log_likelihoods(samples, images, [sigma], sample_block=16)
        np.testing.assert_allclose(row, alone[0], rtol=1e-6)


def test_samples_are_drawn_block_by_block():
    asked, images = [], uniform(1, 9, 6)

    def draw(start, num):
        asked.append((start, num))
        return jax.random.uniform(jax.random.fold_in(jax.random.key(0), start), (num, 6))

    ours = parzen_log_likelihoods(draw, images, SIGMAS, num_samples=25, sample_block=10)
    assert asked == [(0, 10), (10, 10), (20, 5)]
    samples = np.concatenate([draw(*block) for block in asked[:3]])
    np.testing.assert_array_equal(
        ours, parzen_log_likelihoods(samples, images, SIGMAS, sample_block=10)
    )


def test_no_block_outlives_its_turn():
    alive = []

    def draw(start, num):
        alive.append(len([a for a in jax.live_arrays() if a.shape == (11, 6)]))
        return jax.numpy.full((num, 6), start / 100.0)

    parzen_log_likelihoods(draw, uniform(1, 9, 6), [0.2], num_samples=77, sample_block=11)
    assert len(alive) == 7
    assert max(alive) <= 1


def test_the_estimate_takes_the_sigma_that_is_best_on_validation_images():
    samples, validation, test = uniform(0, 100, 8), uniform(1, 50, 8), uniform(2, 40, 8)
    grid = (0.02, 0.1, 0.3, 2.0)
    estimate = parzen_estimate(samples, validation, test, sigma_grid=grid)
    means = [reference(samples, validation, sigma).mean() for sigma in grid]
    np.testing.assert_allclose(estimate.validation, means, atol=1e-3)
    assert estimate.sigma == grid[int(np.argmax(means))] == 0.3
    nats = reference(samples, test, 0.3)
    assert estimate.mean == pytest.approx(nats.mean(), abs=1e-3)
    assert estimate.standard_error == pytest.approx(nats.std() / np.sqrt(40), rel=1e-4)
    assert estimate.num_samples == 100
    assert estimate.sigma_grid == grid


def test_only_the_first_1000_validation_images_are_used():
    samples, validation = uniform(0, 30, 2), uniform(1, 1003, 2)
    estimates = [
        parzen_estimate(samples, images, validation[:5], sigma_grid=(0.01, 0.1, 1.0))
        for images in (validation, validation[:1000], validation[:999])
    ]
    assert estimates[0].validation == estimates[1].validation
    assert estimates[0].validation != estimates[2].validation


def test_the_default_grid_is_the_protocols():
    np.testing.assert_allclose(parzen.SIGMA_GRID, 10 ** (np.arange(10) / 9 - 1))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ((0.3, 1.0, 2.0), "0.3, is the smallest of the grid: let the grid reach below it"),
        ((0.02, 0.1, 0.3), "0.3, is the largest of the grid: let the grid reach above it"),
        ((0.1, 0.3, 1.0), None),
        ((0.3,), None),  # not chosen
    ],
)
def test_a_best_sigma_at_the_grids_edge_is_reported(grid, message):
    images = uniform(0, 100, 8), uniform(1, 50, 8), uniform(2, 10, 8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert parzen_estimate(*images, sigma_grid=grid).sigma == 0.3
    said = [str(warning.message) for warning in caught]
    assert len(said) == (message is not None)
    assert message is None or message in said[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((1, SIGMAS, 10), "1 samples are too few to choose sigma"),
        ((2, SIGMAS, 0), "no validation images to choose sigma on: hold some out"),
        ((2, (), 10), "grid of sigmas is empty"),
        ((2, (0.0, 0.1), 10), "positive and ascending, not 0, 0.1"),
        ((2, (-0.1, 0.1), 10), "positive and ascending"),
        ((2, (0.2, 0.1), 10), "positive and ascending"),
        ((2, (0.1, 0.1), 10), "positive and ascending"),
        ((2, (0.1, float("nan")), 10), "positive and ascending"),
        ((2, (0.1, float("inf")), 10), "positive and ascending"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    num_samples, grid, num_validation = settings
    with pytest.raises(UserError, match=message):
        check_parzen_settings(*settings)
    with pytest.raises(UserError, match=message):  # and before any sample is drawn
        parzen_estimate(
            lambda start, num: pytest.fail("drawn"),
            uniform(1, num_validation, 3),
            uniform(2, 4, 3),
            num_samples=num_samples,
            sigma_grid=grid,
        )


def test_the_smallest_good_settings_pass():
    check_parzen_settings(2, (0.1,), 1)
    assert np.isfinite(
        parzen_estimate(uniform(0, 2, 3), uniform(1, 1, 3), uniform(2, 1, 3), sigma_grid=[1]).mean
    )


NAN = np.where(np.arange(12).reshape(4, 3) == 7, np.nan, 0.5)


@pytest.mark.parametrize(
    ("samples", "images", "options", "message"),
    [
        (uniform(0, 4, 3), uniform(1, 4, 2), {}, r"\(2, 3\) where images of 2 pixels"),
        (uniform(0, 4, 3), uniform(1, 4, 3, 1), {}, r"shape \(4, 3, 1\): give \[n, d\]"),
        (uniform(0, 4, 3), uniform(1, 0, 3), {}, r"shape \(0, 3\)"),
        (uniform(0, 4, 3), np.full((4, 3), 255, np.uint8), {}, "finite floats in the samples"),
        (uniform(0, 4, 3), NAN, {}, "evaluated images must be finite"),
        (NAN, uniform(1, 4, 3), {}, "not finite among samples 2 to 3: look at the model"),
        (NAN - np.inf, uniform(1, 4, 3), {}, "not finite among samples 0 to 1"),
        (lambda start, num: uniform(0, 4, 3), uniform(1, 4, 3), {}, "num_samples is needed"),
        (lambda start, num: uniform(0, 4, 3), uniform(1, 4, 3), {"num_samples": 6}, r"\(2, 3\)"),
        (uniform(0, 4, 3), uniform(1, 4, 3), {"num_samples": 5}, "5 samples were asked for"),
        (uniform(0, 4, 3), uniform(1, 4, 3), {"num_samples": 0}, "must be 1 or more"),
        (uniform(0, 4, 3), uniform(1, 4, 3), {"image_block": 0}, "must be 1 or more"),
        (uniform(0, 4, 3), uniform(1, 4, 3), {"sample_block": 0}, "must be 1 or more"),
    ],
)
def test_bad_arrays_are_refused(samples, images, options, message):
    with pytest.raises(UserError, match=message):
        parzen_log_likelihoods(samples, images, SIGMAS, **({"sample_block": 2} | options))


def test_validation_and_test_images_of_different_sizes_are_refused():
    with pytest.raises(UserError, match="validation images of 3 pixels and test images of 4"):
        parzen_estimate(uniform(0, 5, 3), uniform(1, 5, 3), uniform(2, 5, 4))


def test_part_of_an_array_can_be_used():
    samples, images = uniform(0, 10, 3), uniform(1, 4, 3)
    np.testing.assert_array_equal(
        parzen_log_likelihoods(samples, images, SIGMAS, num_samples=6),
        parzen_log_likelihoods(samples[:6], images, SIGMAS),
    )
