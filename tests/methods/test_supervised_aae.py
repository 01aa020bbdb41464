"""The supervised AAE: the decoder is told the label, and labelled images are all it sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.errors import UserError
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    np_decoder,
    np_discriminator,
    np_half_squared_error,
    np_heads,
    softplus,
)

SPEC = methods.DataSpec((2, 3, 1), 3)
TRAINS = {
    "reconstruction": ("encoder", "decoder"),
    "discriminator": ("discriminator",),
    "generator": ("encoder",),
}
RATES = {"reconstruction": (0.2, 0.9), "discriminator": (0.5, 0.1), "generator": (0.4, 0.2)}


def tiny(spec=SPEC):
    config = methods.default_config("supervised_aae")
    config.update(
        hidden=(5, 4),
        discriminator_hidden=(4, 3),
        code_dim=2,
        prior={"name": "gaussian", "std": 2.0},
        init="lecun_normal",
        optimizers={phase: sgd(*rates) for phase, rates in RATES.items()},
        schedule={"name": "constant"},
    )
    return methods.build("supervised_aae", config, spec=spec)


def losses(batch, drawn):
    images, (real,) = np.float64(batch.labelled_images), drawn
    y = np.eye(3)[np.asarray(batch.labels)]

    def encoded(p):
        return np_heads(p["encoder"], images)[0]

    def logits(p, codes):
        return np_discriminator(p["discriminator"], codes)

    return {
        "reconstruction": lambda p: np_half_squared_error(
            np_decoder(p["decoder"], y, encoded(p)), images
        ).mean(),
        "discriminator": lambda p: (
            softplus(-logits(p, 2.0 * real)) + softplus(logits(p, encoded(p)))
        ).mean(),
        "generator": lambda p: softplus(-logits(p, encoded(p))).mean(),
    }


def test_updates_match_numpy_and_never_look_at_unlabelled_images(draws, tiny_batches):
    nothing = jnp.full((6, 2, 3, 1), jnp.nan)
    batches = [batch._replace(images=nothing) for batch in tiny_batches]
    _state, params = check_updates(tiny(), batches, draws, losses, TRAINS, RATES)
    assert params["decoder"]["Trunk_0"]["Layer_0"]["Dense_0"]["kernel"].shape == (3 + 2, 5)


def test_evaluate_is_the_cost_under_every_label(tiny_batches):
    method, images = tiny(), tiny_batches[0].images
    state = method.init(jax.random.key(0))
    costs = np.asarray(method.evaluate(state, images))
    assert costs.shape == (6, 3)
    (z,) = method.encode(state, images)
    for label in range(3):
        decoded = method.decode(state, jnp.tile(jnp.eye(3)[label], (6, 1)), z)
        expected = 0.5 * np.square(decoded - images).reshape(6, -1).sum(1)
        np.testing.assert_allclose(costs[:, label], expected, rtol=1e-4)
    assert (costs.std(axis=1) > 1e-4).all()  # the label makes a difference
    assert method.classify is None


def test_samples_are_decoded_with_labels_and_styles_of_the_priors(draws):
    method = tiny()
    state = method.init(jax.random.key(0))
    draws.clear()
    images = method.sample(state, jax.random.key(1), 5)
    labels, styles = draws
    y = jnp.eye(3)[labels]
    np.testing.assert_allclose(images, method.decode(state, y, 2.0 * styles), atol=1e-6)


def test_labelled_batches_are_needed():
    with pytest.raises(UserError, match=r"needs data\.labelled_batch_size > 0"):
        tiny(SPEC._replace(labelled=False))


def test_the_papers_setting():
    config = methods.default_config("supervised_aae")  # figure 7: a 15-D Gaussian
    assert (config.code_dim, config.prior.name, config.prior.std) == (15, "gaussian", 1.0)
