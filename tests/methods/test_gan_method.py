"""The plain GAN: steps against NumPy, and dropout in training only."""

import jax
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.errors import UserError
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    np_decoder,
    np_discriminator,
    np_tree,
    np_updates,
    softplus,
)

SPEC = methods.DataSpec((2, 3, 1), 3, labelled=False)
TRAINS = {"discriminator": ("discriminator",), "generator": ("generator",)}
RATES = {"discriminator": (0.5, 0.1), "generator": (0.4, 0.2)}


def tiny(**changes):
    config = methods.default_config("gan")
    config.update(
        hidden=(5, 4),
        discriminator_hidden=(8, 6),
        noise_dim=3,
        dropout=0.0,
        init="lecun_normal",
        optimizers={phase: sgd(*rates) for phase, rates in RATES.items()},
        schedule={"name": "constant"},
    )
    config.update(changes)
    return methods.build("gan", config, spec=SPEC)


def losses(batch, drawn):
    images = np.float64(batch.images).reshape(6, -1)
    first, second = drawn
    for noise in drawn:
        assert noise.shape == (6, 3)
        assert -1 <= noise.min() < -0.3 and 0.3 < noise.max() <= 1
    assert not np.allclose(first, second)  # each phase draws its own

    def fake(p, noise):
        return np_discriminator(p["discriminator"], np_decoder(p["generator"], noise))

    return {
        "discriminator": lambda p: (
            softplus(-np_discriminator(p["discriminator"], images)) + softplus(fake(p, first))
        ).mean(),
        "generator": lambda p: softplus(-fake(p, second)).mean(),
    }


def test_updates_match_numpy(draws, tiny_batches):
    method = tiny()
    state, params = check_updates(method, tiny_batches, draws, losses, TRAINS, RATES)
    images = tiny_batches[0].images
    logits = np_discriminator(params["discriminator"], np.float64(images).reshape(6, -1))
    np.testing.assert_allclose(method.evaluate(state, images)[:, 0], softplus(-logits), rtol=1e-3)
    assert method.encode is None and method.classify is None


def test_dropout_is_in_training_only(tiny_batches):
    dropped, plain = tiny(dropout=0.5), tiny()
    state, batch = dropped.init(jax.random.key(0)), tiny_batches[0]
    np.testing.assert_array_equal(
        dropped.evaluate(state, batch.images), plain.evaluate(state, batch.images)
    )
    key = jax.random.key(1)
    (_, with_dropout), (_, without) = (m.train_step(state, batch, key) for m in (dropped, plain))
    for phase in TRAINS:  # in both, the generator's game too
        assert with_dropout[f"{phase}/loss"] != without[f"{phase}/loss"]


def test_samples_are_decoded_uniform_noise(draws):
    method = tiny()
    state = method.init(jax.random.key(0))
    draws.clear()
    images = method.sample(state, jax.random.key(1), 500)
    (noise,) = draws
    assert noise.shape == (500, 3)
    assert float(noise.min()) == pytest.approx(-1, abs=0.02)
    assert float(noise.max()) == pytest.approx(1, abs=0.02)
    decoded = np_decoder(np_tree(state.params)["generator"], np.float64(noise))
    np.testing.assert_allclose(images.reshape(500, -1), decoded, rtol=1e-3, atol=1e-5)


def test_a_one_hot_and_a_gaussian_noise_vector_side_by_side(draws, tiny_batches):
    method = tiny(num_categories=4, noise="gaussian")
    state = method.init(jax.random.key(0))
    draws.clear()
    images = method.sample(state, jax.random.key(1), 500)
    categories, noise = draws
    assert sorted(np.unique(categories)) == [0, 1, 2, 3]
    assert float(np.abs(noise).max()) > 2  # not uniform
    z = np.concatenate([np.eye(4)[np.asarray(categories)], np.float64(noise)], axis=1)
    decoded = np_decoder(np_tree(state.params)["generator"], z)
    np.testing.assert_allclose(images.reshape(500, -1), decoded, rtol=1e-3, atol=1e-5)
    _, metrics = method.train_step(state, tiny_batches[0], jax.random.key(2))
    assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_categories": -1}, "num_categories is -1"),
        ({"noise": "cauchy"}, "unknown model.noise"),
        ({"critic_steps": 0}, "critic_steps is 0; it must be at least 1"),
        ({"game": "hinge"}, "unknown model.game 'hinge'"),
        ({"maxout_pieces": 1}, "a maxout unit has at least 2"),
    ],
)
def test_noise_that_cannot_be(changes, message):
    with pytest.raises(UserError, match=message):
        tiny(**changes)


def test_k_steps_take_a_minibatch_and_noise_each(draws, tiny_batches):
    """Algorithm 1 with k = 3: by gradient descent without momentum, step by step."""
    images = tiny_batches[0].images  # six
    method = tiny(critic_steps=3, optimizers={phase: sgd(0.3, 0.0) for phase in TRAINS})
    state = method.init(jax.random.key(1))
    params, velocity = np_tree(state.params), {}
    draws.clear()
    after, _ = method.train_step(state, tiny_batches[0], jax.random.key(0))
    noise = [np.float64(drawn) for drawn in draws]
    assert [z.shape for z in noise] == [(2, 3)] * 4
    flat = np.float64(images).reshape(6, -1)

    def fake(p, z):
        return np_discriminator(p["discriminator"], np_decoder(p["generator"], z))

    for i in range(3):

        def loss(p, i=i):
            d_real = np_discriminator(p["discriminator"], flat[2 * i : 2 * i + 2])
            return (softplus(-d_real) + softplus(fake(p, noise[i]))).mean()

        trains = {"discriminator": ("discriminator",)}
        np_updates({"discriminator": loss}, params, velocity, trains, {"discriminator": (0.3, 0)})

    def generator(p):
        return softplus(-fake(p, noise[3])).mean()

    trains = {"generator": ("generator",)}
    np_updates({"generator": generator}, params, velocity, trains, {"generator": (0.3, 0)})
    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-4, atol=5e-5), after.params, params
    )


def test_batches_that_do_not_divide_by_k_are_refused(tiny_batches):
    method = tiny(critic_steps=4)
    with pytest.raises(UserError, match="6 images does not divide into the 4 minibatches"):
        method.train_step(method.init(jax.random.key(0)), tiny_batches[0], jax.random.key(0))


def test_the_minimax_game_is_the_generators_alone(tiny_batches):
    """The discriminator's loss is that of the other game; the generator's is log(1 - D)."""
    key, batch = jax.random.key(2), tiny_batches[0]
    plain, minimax = tiny(), tiny(game="minimax")
    state = plain.init(jax.random.key(0))
    (_, of_plain), (_, of_minimax) = (m.train_step(state, batch, key) for m in (plain, minimax))
    assert of_plain["discriminator/loss"] == of_minimax["discriminator/loss"]
    assert of_plain["generator/loss"] > 0 > of_minimax["generator/loss"]
