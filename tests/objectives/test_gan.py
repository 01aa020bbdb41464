"""The adversarial losses against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.objectives import discriminator_loss, game, generator_loss, gradient_penalty
from aae_jax.objectives.gan import GAMES


def test_a_discriminator_that_cannot_tell_costs_two_log_two():
    zeros = jnp.zeros(3)
    np.testing.assert_allclose(discriminator_loss(zeros, zeros), [2 * np.log(2)] * 3, rtol=1e-6)
    np.testing.assert_allclose(generator_loss(zeros), [np.log(2)] * 3, rtol=1e-6)


def test_are_the_log_probabilities_per_example():
    rng = np.random.default_rng(0)
    real, fake = 3 * rng.normal(size=(2, 100))
    d = lambda logits: 1 / (1 + np.exp(-logits))  # noqa: E731
    expected = -np.log(d(real)) - np.log(1 - d(fake))
    np.testing.assert_allclose(
        discriminator_loss(jnp.asarray(real), jnp.asarray(fake)), expected, rtol=1e-4
    )
    np.testing.assert_allclose(generator_loss(jnp.asarray(fake)), -np.log(d(fake)), rtol=1e-4)


@pytest.mark.parametrize(
    ("real", "fake", "discriminator", "generator"),
    [(1000.0, -1000.0, 0.0, 1000.0), (-1000.0, 1000.0, 2000.0, 0.0)],
)
def test_are_exact_and_have_finite_gradients_at_huge_logits(real, fake, discriminator, generator):
    real, fake = jnp.float32(real), jnp.float32(fake)
    assert discriminator_loss(real, fake) == discriminator
    assert generator_loss(fake) == generator
    gradients = jax.grad(discriminator_loss, (0, 1))(real, fake)
    wrong = float(discriminator > 0)
    np.testing.assert_array_equal(gradients, [-wrong, wrong])
    assert jax.grad(generator_loss)(fake) == -float(generator > 0)


def test_the_generator_does_not_saturate():
    # The gradient of log(1 - D) would be e^-20 here, where the discriminator is sure.
    assert jax.grad(generator_loss)(jnp.float32(-20.0)) == pytest.approx(-1.0)


def test_every_game_by_hand():
    """D = σ(log 3) = 3/4 on the real, σ(0) = 1/2 on the fake; raw outputs log 3 and 0."""
    real, fake = jnp.log(jnp.array([3.0])), jnp.zeros(1)
    log3 = np.log(3)
    expected = {
        "non_saturating": (-np.log(0.75) - np.log(0.5), -np.log(0.5)),
        "minimax": (-np.log(0.75) - np.log(0.5), np.log(0.5)),
        "least_squares": (0.5 * (log3 - 1) ** 2, 0.5),
        "wasserstein": (-log3, 0.0),
    }
    assert expected.keys() == GAMES.keys()
    for name, (discriminator, generator) in expected.items():
        losses = game(name)
        np.testing.assert_allclose(losses.discriminator(real, fake), [discriminator], rtol=1e-6)
        np.testing.assert_allclose(losses.generator(fake), [generator], rtol=1e-6, atol=1e-7)
    with pytest.raises(UserError, match="unknown game 'hinge': choose one of non_saturating"):
        game("hinge")


def test_the_minimax_generator_saturates_where_the_discriminator_is_sure():
    gradient = jax.grad(game("minimax").generator)(jnp.float32(-20.0))
    assert float(gradient) == pytest.approx(-np.exp(-20.0), rel=1e-3)


def test_the_gradient_penalty_and_its_gradient_by_hand():
    """f(x) = a ‖x‖² / 2 has the slope a x: at x̂ = (3, 4) / 2 and a = 2 a norm of 5."""
    real, fake = jnp.array([[3.0, 4.0], [1.0, 0.0]]), jnp.zeros((2, 2))
    mix = jnp.array([0.5, 0.25])

    def penalty(a):
        return gradient_penalty(lambda x: 0.5 * a * jnp.square(x).sum(-1), real, fake, mix)

    # ‖a x̂‖ is 2.5 a and 0.25 a, so (‖a x̂‖ - 1)² has the derivatives 2 (2.5 a - 1) 2.5 and so on.
    np.testing.assert_allclose(penalty(2.0), [16.0, 0.25], rtol=1e-6)
    slopes = jax.jacobian(penalty)(2.0)
    np.testing.assert_allclose(slopes, [2 * 4.0 * 2.5, 2 * -0.5 * 0.25], rtol=1e-5)


def test_the_gradient_penalty_of_a_flat_critic_has_a_finite_gradient():
    x = jnp.ones((2, 3))

    def total(a):
        return gradient_penalty(lambda x: a * x.sum(-1), x, -x, jnp.full(2, 0.3)).sum()

    assert float(total(0.0)) == pytest.approx(2.0, abs=1e-4)
    assert np.isfinite(float(jax.grad(total)(0.0)))
