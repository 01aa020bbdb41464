"""Parzen-window estimate of the log-likelihood (AAE, section 3).

The protocol is that of Goodfellow et al. 2014 (``parzen_ll.py``): Gaussian kernels of one sigma
around samples of the model, sigma chosen on validation images. With samples s_1 ... s_m and images
of d pixels, in nats,

    log p(x) = log mean_j exp(-||x - s_j||^2 / (2 sigma^2)) - d log(sigma sqrt(2 pi)).

The estimate grows with the number of samples: 10,000 and 10 million are different rows of a table.
"""

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax.errors import UserError

Draw = Callable[[int, int], jax.Array | np.ndarray]

SIGMA_GRID = tuple(float(sigma) for sigma in np.logspace(-1, 0, 10))
SELECTION_IMAGES = 1000
_MIN_SAMPLES = 2


class ParzenEstimate(NamedTuple):
    """What ``parzen_estimate`` returns; log-likelihoods are nats an image.

    Attributes:
        mean: mean log-likelihood of the test images.
        standard_error: their standard deviation (divided by n) over sqrt(n).
        sigma: the grid's value with the highest mean log-likelihood of the validation images.
        num_samples: the number of kernels.
        sigma_grid: the values that sigma was chosen from.
        validation: mean log-likelihood of the validation images for each of them.
    """

    mean: float
    standard_error: float
    sigma: float
    num_samples: int
    sigma_grid: tuple[float, ...]
    validation: tuple[float, ...]


def check_parzen_settings(
    num_samples: int, sigma_grid: Sequence[float], num_validation: int
) -> None:
    """Refuse settings that ``parzen_estimate`` would refuse, for a look before training.

    Args:
        num_samples: kernels; at least 2, for one is a single Gaussian around one sample, whose
            sigma says nothing about the model.
        sigma_grid: positive, strictly ascending; one value fixes sigma.
        num_validation: validation images; at least 1, and the first 1,000 are used.

    Raises:
        UserError: if one of them is out of its range.
    """
    if num_samples < _MIN_SAMPLES:
        raise UserError(f"{num_samples} samples are too few to choose sigma: draw 2 or more")
    if num_validation < 1:
        raise UserError("there are no validation images to choose sigma on: hold some out")
    _check_sigmas(sigma_grid)


def parzen_estimate(
    samples: Draw | jax.Array | np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    *,
    num_samples: int | None = None,
    sigma_grid: Sequence[float] = SIGMA_GRID,
    sample_block: int = 2000,
    image_block: int = 500,
) -> ParzenEstimate:
    """Log-likelihood of the test images with sigma chosen on the first 1,000 validation images.

    The samples are gone through twice, once for all sigmas and once for the test images, so that
    memory does not grow with their number. The best sigma falls as that number grows: 10 million
    samples want a grid that reaches below 0.1. A ``UserWarning`` says when the best sigma is the
    first or last of several.

    Args:
        samples: [m, d], or a function that draws them (see ``parzen_log_likelihoods``).
        validation: [n, d] float, in the samples' range: [0, 1] is the papers' for MNIST and TFD.
        test: the same of the test set.
        num_samples: m; needed with a function, default all of an array.
        sigma_grid: see ``check_parzen_settings``; the default is 10 values from 0.1 to 1.
        sample_block: see ``parzen_log_likelihoods``.
        image_block: likewise.

    Raises:
        UserError: see ``check_parzen_settings`` and ``parzen_log_likelihoods``.
    """
    num_samples = _num_samples(samples, num_samples)
    check_parzen_settings(num_samples, sigma_grid, len(validation))
    validation, test = _as_images(validation, "validation"), _as_images(test, "test")
    if validation.shape[1] != test.shape[1]:
        raise UserError(
            f"validation images of {validation.shape[1]} pixels and test images of "
            f"{test.shape[1]}: flatten the same pixels of both"
        )
    log_likelihoods = functools.partial(
        parzen_log_likelihoods,
        samples,
        num_samples=num_samples,
        sample_block=sample_block,
        image_block=image_block,
    )
    means = log_likelihoods(validation[:SELECTION_IMAGES], sigma_grid).mean(axis=1)
    best = int(np.argmax(means))
    sigma = float(sigma_grid[best])
    if len(sigma_grid) > 1 and best in (0, len(sigma_grid) - 1):
        warnings.warn(
            f"the best sigma, {sigma:.4g}, is the {'largest' if best else 'smallest'} of the "
            f"grid: let the grid reach {'above' if best else 'below'} it",
            stacklevel=2,
        )
    (nats,) = log_likelihoods(test, [sigma])
    return ParzenEstimate(
        mean=float(nats.mean()),
        standard_error=float(nats.std() / math.sqrt(len(nats))),
        sigma=sigma,
        num_samples=num_samples,
        sigma_grid=tuple(float(value) for value in sigma_grid),
        validation=tuple(float(mean) for mean in means),
    )


def parzen_log_likelihoods(
    samples: Draw | jax.Array | np.ndarray,
    images: np.ndarray,
    sigmas: Sequence[float],
    *,
    num_samples: int | None = None,
    sample_block: int = 2000,
    image_block: int = 500,
) -> np.ndarray:
    """Log-likelihood of every image under every sigma, nats, [k, n] float64.

    The products are float32 on every backend. On MNIST they leave the mean over images right to
    1e-3 nats down to sigma 0.1, and a single image's value to about 0.02; errors go with
    1 / sigma^2 and depend on the CPU (at sigma 0.05 up to 2e-3 nats of the mean and 0.06 of an
    image were seen). Summing over parts of the pixels mends that and takes 1.4 times as long.

    Args:
        samples: [m, d], or ``draw(start, num) -> [num, d]`` that returns samples start, ...,
            start + num - 1 and the same ones each time, for instance by folding ``start`` into a
            key (under jit, ``num`` is static). It is called for one block after another; the last
            may be smaller.
        images: [n, d] float, in the samples' range.
        sigmas: [k] positive, strictly ascending; they share the distances, so several cost little
            more than one.
        num_samples: m; needed with a function, default all of an array.
        sample_block: samples that are drawn at once; an accelerator likes 10,000.
        image_block: images that are compared with them at once. The defaults keep a block of
            distances in a CPU's cache.

    Raises:
        UserError: for shapes or numbers out of these ranges, or values that are not finite.
    """
    num_samples = _num_samples(samples, num_samples)
    if num_samples < 1 or sample_block < 1 or image_block < 1:
        raise UserError("num_samples, sample_block and image_block must be 1 or more")
    _check_sigmas(sigmas)
    images = _as_images(images, "evaluated")
    num_images, dim = images.shape
    # Centred distances lose fewer digits. The shift is a multiple of 1/64, so that products of two
    # background pixels are exact: their rounding errors are alike in all images and would add up.
    shift = np.round(64 * images.mean(axis=0)) / 64
    images = images - shift
    variances = np.square(np.asarray(sigmas, np.float64))
    arrays = [jnp.asarray(array, jnp.float32) for array in (images, shift, 1 / variances)]
    state = jnp.full(num_images, -jnp.inf), jnp.zeros((num_images, len(variances)))
    for start in range(0, num_samples, sample_block):
        num = min(sample_block, num_samples - start)
        block = samples(start, num) if callable(samples) else samples[start : start + num]
        if block.shape != (num, dim):
            raise UserError(
                f"samples of shape {block.shape} where images of {dim} pixels need {(num, dim)}: "
                "flatten the same pixels of both"
            )
        state, finite = _add_block(state, jnp.asarray(block, jnp.float32), *arrays, image_block)
        if not finite:  # waits, so that one block at a time is in memory
            raise UserError(
                f"there is a value that is not finite among samples {start} to {start + num - 1}: "
                "look at the model's parameters"
            )
    largest, sums = (np.asarray(array, np.float64) for array in state)
    exponents = largest - 0.5 * np.square(images, dtype=np.float64).sum(axis=1)
    log_normaliser = math.log(num_samples) + 0.5 * dim * np.log(2 * np.pi * variances)
    return exponents / variances[:, None] + np.log(sums.T) - log_normaliser[:, None]


@functools.partial(jax.jit, static_argnums=5, donate_argnums=0)
def _add_block(state, samples, images, shift, precisions, image_block):
    """A running log-sum-exp over samples: for each image the largest x.s - ||s||^2 / 2, and for
    each precision (1 / sigma^2) the sum of exponentials relative to it.

    Returns the state, ([n], [n, k]), and whether all samples were finite.
    """
    samples = samples - shift
    half_norms = 0.5 * jnp.sum(jnp.square(samples), axis=1)

    def add(carry):
        image, largest, sums = carry
        product = jnp.matmul(samples, image, precision=jax.lax.Precision.HIGHEST)
        exponents = product - half_norms
        new = jnp.maximum(largest, exponents.max())
        terms = jnp.exp((exponents - new) * precisions[:, None])
        return new, sums * jnp.exp((largest - new) * precisions) + terms.sum(axis=1)

    state = jax.lax.map(add, (images, *state), batch_size=image_block)
    return state, jnp.isfinite(half_norms).all()


def _num_samples(samples: Draw | jax.Array | np.ndarray, num_samples: int | None) -> int:
    if callable(samples):
        if num_samples is None:
            raise UserError("num_samples is needed with a function that draws samples")
        return num_samples
    if num_samples is not None and num_samples > len(samples):
        raise UserError(f"{num_samples} samples were asked for, but there are {len(samples)}")
    return len(samples) if num_samples is None else num_samples


def _as_images(images: np.ndarray, name: str) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 2 or not len(images):
        raise UserError(f"the {name} images have shape {images.shape}: give [n, d] with n > 0")
    if not np.issubdtype(images.dtype, np.floating) or not np.isfinite(images).all():
        raise UserError(f"the {name} images must be finite floats in the samples' range")
    return images.astype(np.float32)


def _check_sigmas(sigmas: Sequence[float]) -> None:
    values = np.asarray(sigmas, np.float64)
    if values.ndim != 1 or not len(values):
        raise UserError("the grid of sigmas is empty: give one value or more")
    if not (np.isfinite(values).all() and (values > 0).all() and (np.diff(values) > 0).all()):
        listed = ", ".join(f"{value:g}" for value in values)
        raise UserError(f"sigmas must be positive and ascending, not {listed}")
