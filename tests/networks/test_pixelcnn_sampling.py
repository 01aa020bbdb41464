"""Cached sampling against whole passes, inpainting, and what the loop on the device does."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import UserError
from aae_jax.networks import pixelcnn_sampling
from aae_jax.networks.heads import Bernoulli, Categorical, LogisticMixture, to_images
from aae_jax.objectives import log_likelihood

HEADS = [
    Bernoulli(),
    Categorical(5),
    Categorical(4, channels=3),
    LogisticMixture(channels=3, components=2),
    LogisticMixture(channels=1, num_levels=16, components=2),
]
CONDITIONINGS = ["none", "location_invariant", "location_dependent", "spatial"]
KEY = jax.random.key(3)


def random_levels(head, shape):
    levels = np.random.default_rng(4).integers(0, head.num_levels, (*shape, head.channels))
    return jnp.asarray(levels, jnp.int32)


def sample_naively(decoder, params, levels, codes, given_rows=0):
    _, height, width, _ = levels.shape
    given, total = (
        pixelcnn_sampling.num_steps(decoder.head, h, width) for h in (given_rows, height)
    )
    for index in range(given, total):
        levels = pixelcnn_sampling.naive_step(decoder, params, KEY, levels, index, *codes)
    return levels


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("head", HEADS)
def test_teacher_forced_outputs_are_those_of_a_whole_pass(made, head, conditioning):
    shape = (2, 5, 4, head.channels)
    decoder, params, codes = made(head, shape, conditioning=conditioning)
    apply = partial(decoder.apply, {"params": params})

    def step(images, biases, caches, index):
        position = jnp.divmod(index, 4)
        pixel = jax.lax.dynamic_slice(images, (0, *position, 0), (2, 1, 1, head.channels))
        caches = apply(caches, position, pixel, method="set_pixel")
        outputs, caches = apply(caches, biases, position, method="at_pixel")
        return caches, outputs[:, 0, 0]

    @jax.jit
    def both_ways(images):
        # Other images at the start: whatever lies ahead must not matter.
        caches, biases = apply(1 - images, *codes, method="fill")
        _, outputs = jax.lax.scan(partial(step, images, biases), caches, jnp.arange(20))
        return outputs.transpose(1, 0, 2).reshape(2, 5, 4, -1), apply(images, *codes)

    images = to_images(random_levels(head, shape[:3]), head.num_levels)
    np.testing.assert_allclose(*both_ways(images), atol=1e-5)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("head", HEADS)
def test_samples_are_those_of_naive_sampling(made, head, conditioning):
    shape = (3, 4, 5, head.channels)
    decoder, params, codes = made(head, shape, conditioning=conditioning)
    samples = pixelcnn_sampling.sample(decoder, params, KEY, shape, *codes)
    # Naive sampling from other values: all of them are replaced before they are seen.
    expected = sample_naively(decoder, params, random_levels(head, shape[:3]), codes)
    assert (samples.shape, samples.dtype) == (shape, jnp.int32)
    np.testing.assert_array_equal(samples, expected)
    assert len(np.unique(samples)) > 1


@pytest.mark.parametrize("head", [HEADS[0], HEADS[2]])
def test_samples_of_a_dilated_decoder_are_those_of_naive_sampling(made, head):
    shape = (3, 5, 6, head.channels)
    decoder, params, codes = made(head, shape, dilations=(2, 3))
    samples = pixelcnn_sampling.sample(decoder, params, KEY, shape, *codes)
    expected = sample_naively(decoder, params, random_levels(head, shape[:3]), codes)
    np.testing.assert_array_equal(samples, expected)
    undilated, _, _ = made(head, shape)
    assert not np.array_equal(
        samples, pixelcnn_sampling.sample(undilated, params, KEY, shape, *codes)
    )


def test_samples_have_the_models_likelihoods(made):
    num = 20_000
    decoder, params, _ = made(Bernoulli(), (1, 2, 2, 1), conditioning="none")
    samples = pixelcnn_sampling.sample(decoder, params, KEY, (num, 2, 2, 1))
    index = np.asarray(samples).reshape(num, 4) @ [8, 4, 2, 1]
    images = jnp.asarray([[i >> 3, i >> 2, i >> 1, i] for i in range(16)]) & 1
    images = images.reshape(16, 2, 2, 1)
    outputs = decoder.apply({"params": params}, to_images(images, 2))
    expected = np.exp(log_likelihood(Bernoulli(), outputs, images))
    deviations = np.sqrt(expected * (1 - expected) / num)
    frequencies = np.bincount(index, minlength=16) / num
    np.testing.assert_array_less(np.abs(frequencies - expected), 5 * deviations)


@pytest.mark.parametrize("head", [Bernoulli(), Categorical(4, channels=3)])
def test_inpainting_keeps_the_given_rows_and_goes_on_from_them(made, head):
    shape = (2, 5, 4, head.channels)
    decoder, params, codes = made(head, shape)
    levels = random_levels(head, shape[:3])
    results = []
    for rows in (0, 2, 5):
        result = pixelcnn_sampling.inpaint(decoder, params, KEY, levels, rows, *codes)
        np.testing.assert_array_equal(result[:, :rows], levels[:, :rows])
        np.testing.assert_array_equal(result, sample_naively(decoder, params, levels, codes, rows))
        results.append(result)
    other = levels.at[:, 2:].set(0)
    again = pixelcnn_sampling.inpaint(decoder, params, KEY, other, 2, *codes)
    np.testing.assert_array_equal(again, results[1])
    assert not np.array_equal(results[0][:, 2:], results[1][:, 2:])
    with pytest.raises(UserError, match="6 of 5 rows cannot be given"):
        pixelcnn_sampling.inpaint(decoder, params, KEY, levels, 6, *codes)


def test_samples_are_a_function_of_key_and_code(made):
    shape = (4, 5, 6, 1)
    decoder, params, (code,) = made(Bernoulli(), shape)
    first, again, other_key, other_code = (
        np.asarray(pixelcnn_sampling.sample(decoder, params, key, shape, code))
        for key, code in (
            (KEY, code),
            (KEY, code),
            (jax.random.key(4), code),
            (KEY, code.at[1].add(9)),
        )
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other_key)
    changed = (first != other_code).any(axis=(1, 2, 3))
    assert changed.tolist() == [False, True, False, False]


@pytest.mark.parametrize("head", HEADS[1:4])
def test_the_loop_has_no_convolution_and_copies_no_cache(made, head):
    shape = (3, 9, 11, head.channels)
    decoder, params, codes = made(head, shape, conditioning="location_dependent")
    levels = jnp.zeros(shape, jnp.int32)
    lowered = pixelcnn_sampling.inpaint.lower(decoder, params, KEY, levels, 0, *codes)
    program = lowered.compile().as_text()
    bodies = [
        computation
        for computation in re.split(r"\n(?=\S)", program)
        if re.search(rf"body={re.escape(computation.split(' ')[0])}\b", program)
    ]
    loops = "".join(bodies)
    assert "f32[3,10,13,4]" in loops  # the cache of a 3x3 layer
    assert " convolution(" in program
    assert " convolution(" not in loops
    copied = re.findall(r"= \w+\[([\d,]*)\]\S* copy\(", loops)
    sizes = [np.prod([int(n) for n in dims.split(",") if n], initial=1) for dims in copied]
    assert max(sizes, default=0) < levels.size
