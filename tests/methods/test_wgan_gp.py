"""WGAN-GP: critic steps, the penalty and its gradient against NumPy, and its networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.networks import conv as convolutions
from aae_jax.networks.wgan_gp import WganBlock, WganCritic, doubled, halved
from aae_jax.objectives import gradient_penalty
from aae_jax.optimizers import sgd
from tests.methods import tiny_parts
from tests.methods.numpy_reference import moved_off_zero, np_tree, np_updates

SPEC = methods.DataSpec(tiny_parts.SHAPE, labelled=False, scaling="symmetric")
RATES = {"critic": (0.02, 0.1), "generator": (0.2, 0.3)}


def tiny(**changes):
    config = methods.default_config("wgan_gp")
    small = {"noise_dim": 2, "critic_steps": 2, "generator_batch": 7, "penalty_weight": 3.0}
    blocks = {"generator.num_blocks": 1, "critic.halvings": 1}
    config.update_from_flattened_dict({**small, **blocks, **changes})
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    parts = {"generator": tiny_parts.Generator(), "critic": tiny_parts.Critic()}
    return methods.build("wgan_gp", config, spec=SPEC, parts=parts)


def test_two_steps_of_the_critic_then_one_of_the_generator(draws):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(-1, 1, (8, *tiny_parts.SHAPE)), jnp.float32)
    method = tiny()
    state = method.init(jax.random.key(3))
    state = state._replace(params=moved_off_zero(state.params))
    params, velocity = np_tree(state.params), {}
    compiled, _ = jax.jit(method.train_step)(state, Batch(images), jax.random.key(1))
    draws.clear()
    with jax.disable_jit():  # a scan whose draws are seen
        state, metrics = method.train_step(state, Batch(images), jax.random.key(1))
    *of_critic, z_g = (np.float64(drawn) for drawn in draws)
    assert [drawn.shape for drawn in draws] == [(4, 2), (4,), (4, 2), (4,), (7, 2)]
    x = np.float64(images)

    def parts(p, x, z, mix):
        fake = tiny_parts.np_generator(p["generator"], z)
        mix = mix.reshape(-1, 1, 1, 1)
        slopes = tiny_parts.np_slopes(p["critic"], mix * x + (1 - mix) * fake)
        scores = (tiny_parts.np_critic(p["critic"], inputs).mean() for inputs in (x, fake))
        real, of_fake = scores
        penalty = np.square(np.linalg.norm(slopes, axis=1) - 1).mean()
        return real - of_fake, penalty

    for i in range(2):
        given = x[4 * i : 4 * i + 4], of_critic[2 * i], of_critic[2 * i + 1]

        def critic(p, given=given):
            distance, penalty = parts(p, *given)
            return 3.0 * penalty - distance

        distance, penalty = parts(params, *given)
        expected = np_updates({"critic": critic}, params, velocity, {"critic": ("critic",)}, RATES)
    assert penalty > 0.01
    expected |= {"critic/distance": distance, "critic/penalty": penalty}

    def generator(p):
        return -tiny_parts.np_critic(
            p["critic"], tiny_parts.np_generator(p["generator"], z_g)
        ).mean()

    of_generator = {"generator": ("generator",)}
    expected |= np_updates({"generator": generator}, params, velocity, of_generator, RATES)
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-4, atol=5e-5), state.params, params
    )
    assert int(state.step) == 1
    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-6), compiled, state
    )


def test_the_penaltys_gradient_is_that_of_laxs_own_convolutions(monkeypatch):
    """Of the residual critic, on which the convolutions are differentiated twice."""
    critic = WganCritic(features=3, halvings=1, num_blocks=2)
    rng = np.random.default_rng(1)
    real, fake = jnp.asarray(rng.uniform(-1, 1, (2, 3, 4, 4, 2)), jnp.float32)
    variables = critic.init(jax.random.key(0), real, train=False)
    variables = {"params": moved_off_zero(variables["params"])}

    def penalty(variables):
        def scores(x):
            return critic.apply(variables, x, train=True)

        return gradient_penalty(scores, real, fake, jnp.array([0.2, 0.5, 0.8])).sum()

    found = jax.value_and_grad(penalty)(variables)
    monkeypatch.setattr(convolutions, "own_gradients", lambda: False)
    expected = jax.value_and_grad(penalty)(variables)
    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-3, atol=1e-5), *(found, expected)
    )
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(found[1])) > 0.1


def test_a_block_resizes_both_of_its_ways():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(halved(doubled(x)), x)
    np.testing.assert_array_equal(halved(x)[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    for resize, first in (("up", False), ("down", False), ("down", True)):
        block = WganBlock(1, resize, first=first)
        params = block.init(jax.random.key(0), x, train=False)["params"]
        # Without the convolutions' way a 1x1 kernel of 2 is left: twice the resized input.
        zeros = jax.tree.map(jnp.zeros_like, params)
        zeros["skip"]["kernel"] += 2.0
        found = block.apply({"params": zeros}, x, train=False)
        np.testing.assert_allclose(found, 2 * (doubled(x) if resize == "up" else halved(x)))


def test_the_papers_networks_and_settings():
    spec = methods.DataSpec((32, 32, 3), scaling="symmetric")
    method = methods.build("wgan_gp", spec=spec)
    state = jax.eval_shape(method.init, jax.random.key(0))
    assert state.params["generator"]["Dense_0"]["kernel"].shape == (128, 4 * 4 * 128)
    assert list(state.batch_stats["critic"]) == []  # none in the critic
    blocks = [state.params["critic"][f"WganBlock_{i}"] for i in range(4)]
    assert ["skip" in block for block in blocks] == [True, True, False, False]
    sizes = {
        name: sum(leaf.size for leaf in jax.tree.leaves(params))
        for name, params in state.params.items()
    }
    assert sizes == {"generator": 1_204_483, "critic": 1_053_825}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"critic_steps": 0}, "critic_steps is 0; it must be at least 1"),
        ({"generator.num_blocks": 2}, "generator.num_blocks is 2, and images of 4 x 2 x 1"),
        ({"critic.num_blocks": 0}, "critic.num_blocks is 0; it must be at least 1"),
        ({"generator.output": "sigmoid"}, "set it to 'tanh'"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(UserError, match=message):
        tiny(**changes)
