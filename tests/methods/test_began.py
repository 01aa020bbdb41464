"""BEGAN: updates and its k against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.optimizers import sgd
from tests.methods import tiny_parts
from tests.methods.numpy_reference import moved_off_zero, np_tree, np_updates

SPEC = methods.DataSpec(tiny_parts.SHAPE, labelled=False, scaling="symmetric")
RATES = {"discriminator": (0.1, 0.1), "generator": (0.2, 0.3)}


def tiny(**changes):
    config = methods.default_config("began")
    config.update({"noise_dim": 2, "halvings": 1, **changes})
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    parts = {"generator": tiny_parts.Generator(), "discriminator": tiny_parts.Autoencoder()}
    return methods.build("began", config, spec=SPEC, parts=parts)


def test_two_updates_and_the_balance(draws):
    rng = np.random.default_rng(0)
    method = tiny(gamma=0.7, k_rate=0.5)
    state = method.init(jax.random.key(3))
    state = state._replace(
        params=moved_off_zero(state.params),
        batch_stats={**state.batch_stats, "balance": {"k": jnp.float32(0.4)}},
    )
    params, velocity, k = np_tree(state.params), {}, 0.4

    def error(p, x):
        return np.abs(tiny_parts.np_autoencoder(p["discriminator"], x) - x).mean()

    def of_samples(p, z):
        return error(p, tiny_parts.np_generator(p["generator"], z))

    for update in range(2):
        images = jnp.asarray(rng.uniform(-1, 1, (5, *tiny_parts.SHAPE)), jnp.float32)
        draws.clear()
        state, metrics = method.train_step(state, Batch(images), jax.random.key(update))
        z_d, z_g = (np.float64(z) for z in draws)
        x = np.float64(images)
        real, fake = error(params, x), of_samples(params, z_d)
        losses = {
            "discriminator": lambda p, x=x, z=z_d, k=k: error(p, x) - k * of_samples(p, z),
            "generator": lambda p, z=z_g: of_samples(p, z),
        }
        trains = {phase: (phase,) for phase in losses}
        expected = np_updates(losses, params, velocity, trains, RATES)
        lead = 0.7 * real - expected["generator/loss"]
        k = min(max(k + 0.5 * lead, 0.0), 1.0)
        expected |= {"discriminator/real": real, "discriminator/fake": fake}
        expected |= {"k": k, "convergence": real + abs(lead)}
        assert set(metrics) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
        jax.tree.map(
            lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-4, atol=5e-5),
            state.params,
            params,
        )
        np.testing.assert_allclose(state.batch_stats["balance"]["k"], k, rtol=1e-5)
    assert int(state.step) == 2 and 0 < k < 1


@pytest.mark.parametrize(("gamma", "end"), [(0.0, 0.0), (1e3, 1.0)])
def test_k_stays_within_zero_and_one(gamma, end):
    method = tiny(gamma=gamma, k_rate=10.0)
    state = method.init(jax.random.key(0))
    assert float(state.batch_stats["balance"]["k"]) == 0.0
    images = jnp.full((3, *tiny_parts.SHAPE), 0.5)
    state, metrics = method.train_step(state, Batch(images), jax.random.key(1))
    assert float(metrics["k"]) == end


def test_images_that_cannot_be_halved_so_often_are_refused():
    spec = methods.DataSpec((28, 28, 1), scaling="symmetric")
    config = methods.default_config("began")
    config.halvings = 3
    with pytest.raises(UserError, match=r"model\.halvings is 3, and images of 28 x 28 x 1"):
        methods.build("began", config, spec=spec)


def test_the_papers_networks():
    spec = methods.DataSpec((32, 32, 3), scaling="symmetric")
    method = methods.build("began", spec=spec)
    state = jax.eval_shape(method.init, jax.random.key(0))
    autoencoder = state.params["discriminator"]
    shapes = [autoencoder[f"Conv_{i}"]["kernel"].shape[2:] for i in range(9)]
    assert shapes == [
        (3, 128),
        *((128, 128),) * 2,
        (128, 256),
        *((256, 256),) * 2,
        (256, 384),
        *((384, 384),) * 2,
    ]
    assert autoencoder["Dense_0"]["kernel"].shape == (8 * 8 * 384, 64)
    assert state.params["generator"].keys() == autoencoder["BeganDecoder_0"].keys()
    assert state.params["generator"]["Dense_0"]["kernel"].shape == (64, 8 * 8 * 128)
    samples = jax.eval_shape(lambda s, k: method.sample(s, k, 2), state, jax.random.key(0))
    assert samples.shape == (2, 32, 32, 3)
