"""DCGAN: steps against NumPy with k steps of the discriminator, its features, and settings that it
refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.networks.dcgan import max_pooled
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    conv,
    dense,
    normalised,
    np_tree,
    np_updates,
    softplus,
    transposed_conv,
)

SPEC = methods.DataSpec((4, 4, 1), 3, labelled=False, scaling="symmetric")
RATES = {"discriminator": (0.1, 0.1), "generator": (0.2, 0.3)}


def tiny(spec=SPEC, **changes):
    config = methods.default_config("dcgan")
    config.update_from_flattened_dict(
        {
            "noise_dim": 2,
            "generator.features": (4, 3),
            "generator.kernel_size": 4,
            "discriminator.features": (2, 3),
            "discriminator.kernel_size": 4,
            "init": "he_normal",
        }
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return methods.build("dcgan", config, spec=spec)


def activated(params, name, x, leak):
    x = normalised(params[name]["BatchNorm_0"], x) if name in params else x
    return np.where(x > 0, x, leak * x)


def np_generator(params, z):
    x = dense(params["Dense_0"], z).reshape(len(z), -1)
    x = activated(params, "_Activation_0", x, 0.0).reshape(len(z), 1, 1, 4)
    x = activated(params, "_Activation_1", transposed_conv(params["ConvTranspose_0"], x), 0.0)
    return np.tanh(transposed_conv(params["ConvTranspose_1"], x))


def np_discriminator(params, x):
    trunk = params["trunk"]
    x = activated({}, "", conv(trunk["Conv_0"], x), 0.2)
    x = activated(trunk, "_Activation_1", conv(trunk["Conv_1"], x), 0.2)
    return dense(params["head"], x.reshape(len(x), -1))[:, 0]


def test_two_steps_of_the_discriminator_then_one_of_the_generator(draws):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(-1, 1, (12, 4, 4, 1)), jnp.float32)
    method = tiny(critic_steps=2)
    state = method.init(jax.random.key(3))
    params, velocity = np_tree(state.params), {}
    draws.clear()
    state, metrics = method.train_step(state, Batch(images), jax.random.key(1))
    z = [np.float64(noise) for noise in draws]
    assert [noise.shape for noise in z] == [(6, 2)] * 3

    def game(p, x, z):
        d_real = np_discriminator(p["discriminator"], x)
        d_fake = np_discriminator(p["discriminator"], np_generator(p["generator"], z))
        return (softplus(-d_real) + softplus(d_fake)).mean()

    x = np.float64(images)
    for i in range(2):  # each on its half of the images
        half = {"discriminator": lambda p, i=i: game(p, x[6 * i : 6 * i + 6], z[i])}
        expected = np_updates(half, params, velocity, {"discriminator": ("discriminator",)}, RATES)

    def generator(p):
        fake = np_generator(p["generator"], z[2])
        return softplus(-np_discriminator(p["discriminator"], fake)).mean()

    of_generator = {"generator": ("generator",)}
    expected |= np_updates({"generator": generator}, params, velocity, of_generator, RATES)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-4, atol=5e-5), state.params, params
    )
    assert int(state.step) == 1


def test_features_are_all_layers_on_a_grid():
    method = tiny()
    state = method.init(jax.random.key(0))
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (3, 4, 4, 1)), jnp.float32)
    trunk = np_tree(state.params)["discriminator"]["trunk"]
    first = activated({}, "", conv(trunk["Conv_0"], np.float64(images)), 0.2)
    found = method.features(state, images)
    assert found.shape == (3, 2 * 2 * 2 + 1 * 1 * 3)  # layers that are smaller than the grid
    np.testing.assert_allclose(found[:, :8], first.reshape(3, -1), rtol=1e-4, atol=1e-6)


def test_max_pooling_by_hand():
    x = jnp.arange(36.0).reshape(1, 6, 6, 1)
    np.testing.assert_array_equal(
        max_pooled(x, 3)[0, ..., 0], [[7, 9, 11], [19, 21, 23], [31, 33, 35]]
    )
    # Seven rows into four cells: 0-1, 1-3, 3-5, 5-6.
    ends = [1, 3, 5, 6]
    seven = jnp.arange(49.0).reshape(1, 7, 7, 1)
    expected = [[7 * r + c for c in ends] for r in ends]
    np.testing.assert_array_equal(max_pooled(seven, 4)[0, ..., 0], expected)
    np.testing.assert_array_equal(max_pooled(x[:, :2, :3], 4), x[:, :2, :3])


@pytest.mark.parametrize(
    ("spec", "changes", "message"),
    [
        (SPEC, {"critic_steps": 0}, "critic_steps is 0; it must be at least 1"),
        (SPEC, {"game": "wasserstein"}, "unknown model.game"),
        (SPEC, {"noise_dim": 0}, "noise_dim is 0"),
        (SPEC._replace(scaling="unit"), {}, "set it to 'sigmoid'"),
        (SPEC, {"discriminator.features": (2, 3, 4)}, "has 3 convolutions"),
    ],
)
def test_settings_that_cannot_be(spec, changes, message):
    with pytest.raises(UserError, match=message):
        tiny(spec, **changes)


def test_the_papers_settings():
    spec = methods.DataSpec((32, 32, 3), 10, scaling="symmetric")
    method = methods.build("dcgan", spec=spec)
    state = jax.eval_shape(method.init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    assert jax.eval_shape(method.features, state, images).shape == (2, (64 + 128 + 256) * 16)
    assert state.params["generator"]["ConvTranspose_0"]["kernel"].shape == (5, 5, 256, 128)
    # No batch norm where images go in and come out.
    assert set(state.batch_stats["discriminator"]["trunk"]) == {"_Activation_1", "_Activation_2"}
    assert set(state.batch_stats["generator"]) == {f"_Activation_{i}" for i in range(3)}
