"""The adversarial losses against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.objectives import discriminator_loss, generator_loss


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
