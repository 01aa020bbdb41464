"""Label-informed regularization: which codes meet which switch of the discriminator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods, priors
from aae_jax.core import Batch
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


@pytest.fixture
def three_classes(monkeypatch):
    """Every prior is a mixture of three components, as many as the toy data have."""
    monkeypatch.setattr(
        priors, "from_config", lambda config, dim: priors.gaussian_mixture(3, 1.4, 0.5, 0.1)
    )


def tiny(spec=SPEC, **changes):
    config = methods.default_config("label_informed_aae")
    config.update(
        hidden=(5, 4),
        discriminator_hidden=(4, 3),
        init="lecun_normal",
        optimizers={phase: sgd(*rates) for phase, rates in RATES.items()},
        schedule={"name": "constant"},
    )
    config.update(changes)
    return methods.build("label_informed_aae", config, spec=spec)


def component(labels, offsets):
    """Codes of these classes: 1.4 along the radius at 2πk/3, deviations 0.5 and 0.1."""
    angles = 2 * np.pi * labels / 3
    along, across = 1.4 + 0.5 * offsets[:, 0], 0.1 * offsets[:, 1]
    return np.stack(
        [
            along * np.cos(angles) - across * np.sin(angles),
            along * np.sin(angles) + across * np.cos(angles),
        ],
        axis=1,
    )


def losses(batch, drawn):
    images = np.float64(jnp.concatenate([batch.images, batch.labelled_images]))
    labels = np.asarray(batch.labels)
    whole_labels, whole_offsets, class_offsets = drawn
    assert (whole_labels.shape, whole_offsets.shape) == ((6,), (6, 2))
    assert class_offsets.shape == (4, 2)
    # Six unlabelled rows: the extra class, and samples of all components. Four labelled rows:
    # their class's one-hot, and samples of that class.
    positives = np.concatenate(
        [component(whole_labels, whole_offsets), component(labels, class_offsets)]
    )
    switch = np.array(6 * [[0, 0, 0, 1.0]] + [[*np.eye(3)[label], 0.0] for label in labels])

    def logits(p, codes):
        return np_discriminator(p["discriminator"], np.concatenate([codes, switch], axis=1))

    def encoded(p):
        return np_heads(p["encoder"], images)[0]

    return {
        "reconstruction": lambda p: np_half_squared_error(
            np_decoder(p["decoder"], encoded(p)), images
        ).mean(),
        "discriminator": lambda p: (
            softplus(-logits(p, positives)) + softplus(logits(p, encoded(p)))
        ).mean(),
        "generator": lambda p: softplus(-logits(p, encoded(p))).mean(),
    }


def test_updates_match_numpy(three_classes, draws, tiny_batches):
    _state, params = check_updates(tiny(), tiny_batches, draws, losses, TRAINS, RATES)
    # Two dimensions of the code and a switch of three classes and one more.
    kernel = params["discriminator"]["Trunk_0"]["Layer_0"]["Dense_0"]["kernel"]
    assert kernel.shape == (2 + 3 + 1, 4)


def test_the_switch_alone_tells_classes_apart(three_classes, tiny_batches):
    """Other labels change what the adversaries see, and nothing else does."""
    method, batch = tiny(), tiny_batches[0]
    state, key = method.init(jax.random.key(0)), jax.random.key(1)
    _, before = method.train_step(state, batch, key)
    _, after = method.train_step(state, batch._replace(labels=batch.labels[::-1]), key)
    assert before["reconstruction/loss"] == after["reconstruction/loss"]
    assert before["discriminator/loss"] != after["discriminator/loss"]


def test_classify_names_the_part_of_the_prior_that_a_code_lies_in(three_classes, tiny_batches):
    method = tiny()
    state, images = method.init(jax.random.key(0)), tiny_batches[0].images
    (z,) = method.encode(state, images)
    log_probs = np.asarray(priors.gaussian_mixture(3).class_log_prob(z), np.float64)
    expected = np.exp(log_probs - log_probs.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(method.classify(state, images), expected, atol=1e-5)
    assert method.sample(state, jax.random.key(0), 5).shape == (5, 2, 3, 1)
    assert method.evaluate is None


def test_classes_find_their_parts(three_classes):
    """A separable toy set ends with every image in the part of its class."""
    labels = jnp.arange(30) % 3
    noise = 0.1 * jax.random.normal(jax.random.key(0), (30, 2, 3, 1))
    images = jax.nn.one_hot(labels, 6).reshape(30, 2, 3, 1) + noise
    config = methods.default_config("label_informed_aae")
    config.update(hidden=(32,), discriminator_hidden=(32,), schedule={"name": "constant"})
    config.optimizers.update({n: {"learning_rate": 0.01} for n in ("generator", "discriminator")})
    method = methods.build("label_informed_aae", config, spec=SPEC)
    state, step = jax.jit(method.init)(jax.random.key(0)), jax.jit(method.train_step)
    for i in range(400):
        state, _ = step(state, Batch(images, images, labels), jax.random.key(i))
    named = np.asarray(method.classify(state, images)).argmax(1)
    assert (named == np.asarray(labels)).mean() > 0.9


def test_a_prior_with_other_classes_than_the_data_is_refused():
    with pytest.raises(UserError, match="'mixture' has 10 classes and the data 3"):
        tiny()
    with pytest.raises(UserError, match="'gaussian' has 0 classes and the data 3"):
        tiny(prior={"name": "gaussian", "std": 1.0})
    with pytest.raises(UserError, match="the swiss_roll prior is 2-D"):
        tiny(prior={"name": "swiss_roll", "std": 1.0}, code_dim=4)


def test_labelled_batches_are_needed(three_classes):
    with pytest.raises(UserError, match=r"needs data\.labelled_batch_size > 0"):
        tiny(spec=SPEC._replace(labelled=False))
