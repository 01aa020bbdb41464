"""Dimension reduction: the representation is W_C y + z, and who moves the heads W_C."""

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
    softmax,
    softplus,
)

SPEC = methods.DataSpec((2, 3, 1), 3)
RATES = {
    "reconstruction": (0.2, 0.9),
    "heads": (0.3, 0.5),
    "discriminator": (0.5, 0.1),
    "generator": (0.4, 0.2),
    "classification": (0.3, 0.8),
}
DISCRIMINATORS = ("label_discriminator", "style_discriminator")


def trains(learned=True, labelled=True):
    heads = ("cluster_heads",) if learned else ()
    return {
        "reconstruction": ("encoder", "decoder", *heads),
        **({"heads": ("cluster_heads",)} if learned else {}),
        "discriminator": DISCRIMINATORS,
        "generator": ("encoder",),
        **({"classification": ("encoder",)} if labelled else {}),
    }


def tiny(spec=SPEC, **changes):
    config = methods.default_config("dimension_reduction_aae")
    config.update(
        hidden=(8, 6),
        discriminator_hidden=(4, 3),
        init="lecun_normal",
        input_noise=0.0,
        head_threshold=3.0,
        head_weight=0.7,
        optimizers={phase: sgd(*rates) for phase, rates in RATES.items()},
        schedule={"name": "constant"},
    )
    config.update(changes)
    return methods.build("dimension_reduction_aae", config, spec=spec)


def make_losses(batch, drawn):
    images = np.float64(batch.images)
    y_real, z_real = np.eye(3)[drawn[0].astype(int)], drawn[1]

    def codes(p, images=images):
        logits, z = np_heads(p["encoder"], images)
        return softmax(logits), z

    def reconstruction(p):
        y, z = codes(p)
        representation = y @ p["cluster_heads"]["heads"] + z
        return np_half_squared_error(np_decoder(p["decoder"], representation), images).mean()

    def heads(p):
        w = p["cluster_heads"]["heads"]
        pairs = ((0, 1), (0, 2), (1, 2))
        return 0.7 * sum(max(0.0, 3.0 - np.linalg.norm(w[i] - w[j])) for i, j in pairs)

    def discriminator(p):
        return sum(
            (
                softplus(-np_discriminator(p[network], real))
                + softplus(np_discriminator(p[network], fake))
            ).mean()
            for network, real, fake in zip(DISCRIMINATORS, (y_real, z_real), codes(p))
        )

    def generator(p):
        return sum(
            softplus(-np_discriminator(p[network], fake)).mean()
            for network, fake in zip(DISCRIMINATORS, codes(p))
        )

    def classification(p):
        y, _ = codes(p, np.float64(batch.labelled_images))
        return -np.log(y[np.arange(4), np.asarray(batch.labels)]).mean()

    return {
        "reconstruction": reconstruction,
        "heads": heads,
        "discriminator": discriminator,
        "generator": generator,
        "classification": classification,
    }


def test_updates_match_numpy_with_learned_heads(draws, tiny_batches):
    method = tiny()
    before = method.init(jax.random.key(1)).params["cluster_heads"]["heads"]
    _state, params = check_updates(method, tiny_batches, draws, make_losses, trains(), RATES)
    assert params["cluster_heads"]["heads"].shape == (3, 2)
    assert np.abs(params["cluster_heads"]["heads"] - before).max() > 0.05


def test_updates_match_numpy_without_labels(draws, tiny_batches):
    method = tiny(SPEC._replace(labelled=False))
    check_updates(method, tiny_batches[:1], draws, make_losses, trains(labelled=False), RATES)


def test_fixed_heads_are_ten_times_the_identity_and_stay(tiny_batches):
    method = tiny(heads="fixed", style_dim=3)
    state = method.init(jax.random.key(1))
    start = np.asarray(state.params["cluster_heads"]["heads"])
    np.testing.assert_array_equal(start, 10 * np.eye(3))
    after, metrics = method.train_step(state, tiny_batches[0], jax.random.key(0))
    assert [name.split("/")[0] for name in metrics] == list(trains(learned=False))
    assert after.opt_state.keys() == trains(learned=False).keys()
    np.testing.assert_array_equal(after.params["cluster_heads"]["heads"], start)
    assert not np.array_equal(*(jax.tree.leaves(s.params["decoder"])[0] for s in (state, after)))


def test_heads_start_with_unit_deviation():
    method = tiny(num_categories=200, style_dim=20)
    heads = method.init(jax.random.key(0)).params["cluster_heads"]["heads"]
    assert heads.shape == (200, 20)
    assert float(heads.std()) == pytest.approx(1.0, abs=0.05)


def test_the_hinge_alone_drives_heads_apart(tiny_batches):
    rates = {phase: sgd(0.0, 0.0) for phase in RATES} | {"heads": sgd(0.05, 0.0)}
    method = tiny(optimizers=rates)
    state = method.init(jax.random.key(1))
    close = {"heads": 0.1 * state.params["cluster_heads"]["heads"]}
    state = state._replace(params={**state.params, "cluster_heads": close})
    step, costs = jax.jit(method.train_step), []
    for i in range(80):
        state, metrics = step(state, tiny_batches[0], jax.random.key(i))
        costs.append(float(metrics["heads/loss"]))
    assert costs[0] > 3.0 and costs[-1] < 0.05
    heads = np.asarray(state.params["cluster_heads"]["heads"])
    distances = np.linalg.norm(heads[[0, 0, 1]] - heads[[1, 2, 2]], axis=1)
    assert distances.min() == pytest.approx(3.0, abs=0.2)  # to the threshold, and no farther


def test_decode_sees_nothing_but_the_sum(tiny_batches):
    method = tiny()
    state, images = method.init(jax.random.key(1)), tiny_batches[0].images
    y, z = method.encode(state, images)
    heads = np.asarray(state.params["cluster_heads"]["heads"], np.float64)
    expected = np.asarray(y) @ heads + np.asarray(z)
    np.testing.assert_allclose(method.embed(state, y, z), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y.sum(1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(method.classify(state, images), y)
    # Another label and the style that makes up for it: the same image.
    other = jnp.roll(y, 1, axis=1)
    same_sum = z + (y - other) @ state.params["cluster_heads"]["heads"]
    np.testing.assert_allclose(
        method.decode(state, y, z), method.decode(state, other, same_sum), atol=1e-5
    )
    assert method.sample(state, jax.random.key(0), 4).shape == (4, 2, 3, 1)


def test_hidden_noise_is_drawn_in_training(tiny_batches):
    """A setting that the semi-supervised AAE has, and that comes with its config."""
    method = tiny(hidden_noise=0.5)
    state = method.init(jax.random.key(0))
    costs = [
        float(
            method.train_step(state, tiny_batches[0], jax.random.key(k))[1]["reconstruction/loss"]
        )
        for k in (0, 1)
    ]
    assert np.isfinite(costs).all() and costs[0] != costs[1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"heads": "learnt"}, "unknown model.heads 'learnt'"),
        ({"heads": "fixed", "style_dim": 3, "head_scale": 0.0}, "head_scale is 0"),
        ({"num_categories": 2}, "num_categories is 2; it must be at least 3"),
        ({"heads": "fixed", "style_dim": 2}, r"model\.style_dim \(2\) must be .* \(3\)"),
        ({"heads": "fixed", "num_categories": 20, "style_dim": 10}, r"\(10\) must be .* \(20\)"),
    ],
)
def test_settings_that_cannot_be(changes, expected):
    with pytest.raises(UserError, match=expected):
        tiny(**changes)
