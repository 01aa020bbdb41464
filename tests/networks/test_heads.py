"""Output heads: normalisation, closed forms, samples against probabilities, levels."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import UserError
from aae_jax.networks import make_head
from aae_jax.networks.heads import Bernoulli, Categorical, LogisticMixture, quantize, to_images

HEADS = [
    Bernoulli(),
    Categorical(6),
    Categorical(4, channels=3),
    LogisticMixture(channels=1, num_levels=256, components=3),
    LogisticMixture(channels=3, num_levels=4, components=3),
]


def all_pixels(head):
    """[levels ** channels, channels]"""
    pixels = itertools.product(range(head.num_levels), repeat=head.channels)
    return jnp.asarray(list(pixels), jnp.int32)


def some_outputs(head, num, scale=1.0):
    return scale * jax.random.normal(jax.random.key(1), (num, head.num_outputs))


def probabilities(head, outputs):
    """[outputs, pixels]"""
    pixels = all_pixels(head)
    outputs = jnp.broadcast_to(outputs[:, None], (len(outputs), len(pixels), head.num_outputs))
    return np.exp(
        jax.jit(head.log_prob)(
            outputs, jnp.broadcast_to(pixels, (*outputs.shape[:2], head.channels))
        )
    )


@pytest.mark.parametrize("scale", [1.0, 30.0])  # 30: far-off means, scales at their limit
@pytest.mark.parametrize("head", HEADS)
def test_probabilities_of_all_pixels_sum_to_one(head, scale):
    p = probabilities(head, some_outputs(head, 8, scale))
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-4)
    assert p.max() > 1.2 / p.shape[1]  # not uniform


@pytest.mark.parametrize("head", HEADS)
def test_samples_have_their_probabilities(head):
    num = 20_000
    outputs = some_outputs(head, 1)
    expected = probabilities(head, outputs)[0]
    drawn = head.sample(jax.random.key(2), jnp.broadcast_to(outputs, (num, head.num_outputs)))
    assert drawn.dtype == jnp.int32
    assert drawn.shape == (num, head.channels)
    index = np.ravel_multi_index(np.asarray(drawn).T, (head.num_levels,) * head.channels)
    frequencies = np.bincount(index, minlength=len(expected)) / num
    deviations = np.sqrt(expected * (1 - expected) / num)
    np.testing.assert_array_less(np.abs(frequencies - expected), 5 * deviations + 2 / num)


def test_bernoulli_and_categorical_are_softmaxes():
    logit = jnp.asarray([[0.7]])
    p = 1 / (1 + np.exp(-0.7))
    np.testing.assert_allclose(probabilities(Bernoulli(), logit), [[1 - p, p]], rtol=1e-6)
    logits = some_outputs(Categorical(3, channels=2), 1)
    red, green = np.exp(logits).reshape(2, 3) / np.exp(logits).reshape(2, 3).sum(1, keepdims=True)
    np.testing.assert_allclose(
        probabilities(Categorical(3, channels=2), logits)[0],
        np.outer(red, green).ravel(),
        rtol=1e-5,
    )


def test_the_logistic_mixture_is_pixelcnn_pps():
    """Against differences of the distribution function in double precision."""
    head = LogisticMixture(channels=3, num_levels=16, components=2)
    outputs = some_outputs(head, 5)
    pixels = np.random.default_rng(3).integers(0, 16, (5, 3))
    pixels[0], pixels[1] = 0, 15  # both tails
    per_component = np.asarray(outputs, np.float64).reshape(5, 2, 10)
    weights = np.exp(per_component[..., 0])
    weights /= weights.sum(axis=1, keepdims=True)
    means, scales = per_component[..., 1:4], np.exp(per_component[..., 4:7])
    c = np.tanh(per_component[..., 7:])
    x = (pixels / 7.5 - 1)[:, None, :]
    centres = [
        means[..., 0],
        means[..., 1] + c[..., 0] * x[..., 0],
        means[..., 2] + c[..., 1] * x[..., 0] + c[..., 2] * x[..., 1],
    ]
    p = weights
    for i in range(3):
        upper, lower = (
            1 / (1 + np.exp(-(x[..., i] + side / 15 - centres[i]) / scales[..., i]))
            for side in (1, -1)
        )
        upper = np.where(pixels[:, None, i] == 15, 1, upper)
        lower = np.where(pixels[:, None, i] == 0, 0, lower)
        p = p * (upper - lower)
    expected = np.log(p.sum(axis=1))
    result = jax.jit(head.log_prob)(outputs, jnp.asarray(pixels))
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_the_logistic_mixture_is_exact_far_from_its_means():
    # One component at level 0 of the narrowest scale: at level k < 255 the distribution function
    # rises by about exp(-(2 k - 1) / (255 s)), far below float32's smallest number.
    head = LogisticMixture(channels=1, num_levels=256, components=1)
    outputs = jnp.asarray([0.0, -1.0, -20.0])
    levels = jnp.asarray([[50], [254], [255]])
    expected = -np.asarray([2 * 50 - 1, 2 * 254 - 1, 2 * 255 - 1]) / 255 * np.exp(7)
    np.testing.assert_allclose(jax.jit(head.log_prob)(outputs, levels), expected, rtol=1e-3)
    gradient = jax.jit(jax.grad(lambda o: head.log_prob(o, levels).sum()))(outputs)
    np.testing.assert_allclose(gradient[1], 3 * np.exp(7), rtol=1e-3)


def test_a_channel_depends_on_the_ones_before_it_only():
    # Summed over the later channels, the joint does not change with their parameters.
    head = LogisticMixture(channels=3, num_levels=4, components=2)
    outputs = some_outputs(head, 1).reshape(1, 2, 10)
    later = [2, 3, 5, 6, 7, 8, 9]  # means, scales, coefficients of the second and third
    changed = outputs.at[..., jnp.asarray(later)].add(0.5)
    joints = [probabilities(head, o.reshape(1, -1)).reshape(4, 4, 4) for o in (outputs, changed)]
    np.testing.assert_allclose(joints[0].sum((1, 2)), joints[1].sum((1, 2)), atol=1e-6)
    assert np.abs(joints[0].sum((0, 2)) - joints[1].sum((0, 2))).max() > 0.01


@pytest.mark.parametrize("num_levels", [2, 3, 16, 17, 100, 256])
def test_levels_survive_the_way_to_images_and_back(num_levels):
    levels = jnp.arange(num_levels)
    images = to_images(levels, num_levels)
    assert (images[0], images[-1]) == (0, 1)
    np.testing.assert_array_equal(quantize(images, num_levels), levels)


def test_fewer_levels_than_the_data_have():
    images = jnp.arange(256) / 255
    np.testing.assert_array_equal(quantize(images, 2), np.arange(256) >= 128)  # 0.5
    np.testing.assert_array_equal(quantize(images, 16), np.arange(256) // 16)


@pytest.mark.parametrize(
    ("name", "channels", "data_levels", "options", "head"),
    [
        ("bernoulli", 1, 256, {}, Bernoulli()),
        ("categorical", 1, 17, {}, Categorical(17)),
        ("categorical", 3, 256, {"num_levels": 8}, Categorical(8, 3)),
        ("logistic_mixture", 3, 256, {}, LogisticMixture()),
        ("logistic_mixture", 1, 256, {"components": 5}, LogisticMixture(1, 256, 5)),
    ],
)
def test_heads_by_name(name, channels, data_levels, options, head):
    assert make_head(name, channels, data_levels, **options) == head


@pytest.mark.parametrize(
    ("name", "channels", "data_levels", "num_levels", "message"),
    [
        ("softmax", 1, 256, 0, "unknown head 'softmax'"),
        ("bernoulli", 3, 256, 0, "not 3 channels"),
        ("bernoulli", 1, 256, 4, "not 4 levels"),
        ("categorical", 1, 17, 256, "cannot have 256 levels on data of 17: choose 2 to 17"),
        ("categorical", 1, 17, 1, "cannot have 1 levels"),
        ("logistic_mixture", 1, 17, 256, "cannot have 256 levels on data of 17"),
        ("logistic_mixture", 2, 256, 0, "1 or 3 channels, not 2"),
    ],
)
def test_a_head_that_does_not_fit_the_data(name, channels, data_levels, num_levels, message):
    with pytest.raises(UserError, match=message) as error:
        make_head(name, channels, data_levels, num_levels=num_levels)
    assert "\n" not in str(error.value)
