"""The cycle implicit autoencoder: who changes in which phase, noise on either side, and settings
that it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from tests.methods.test_cycle_implicit_autoencoder_updates import SeesNothing

SPEC = methods.DataSpec((8, 8, 1), second_shape=(8, 8, 1))
PHASES = {
    "reconstruction_discriminator": {"reconstruction_discriminator"},
    "regularization_discriminator": {"regularization_discriminator"},
    "autoencoder": {"encoder", "decoder"},
}


def tiny(spec=SPEC, optimizers=None, **changes):
    config = methods.default_config("cycle_implicit_autoencoder")
    config.update_from_flattened_dict(
        {
            "decoder_noise_dim": 3,
            "generator.features": 2,
            "generator.num_blocks": 1,
            "reconstruction_discriminator.features": (2, 2),
            "regularization_discriminator.features": (2, 2),
        }
        | changes
    )
    return methods.build("cycle_implicit_autoencoder", config, spec=spec, optimizers=optimizers)


@pytest.fixture(scope="module")
def batch():
    x, z = np.random.default_rng(0).uniform(size=(2, 4, 8, 8, 1))
    return Batch(jnp.asarray(x, jnp.float32), second_images=jnp.asarray(z, jnp.float32))


def changed(before, after):
    return {
        name
        for name in before
        if not all(
            map(jnp.array_equal, jax.tree.leaves(before[name]), jax.tree.leaves(after[name]))
        )
    }


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_changes_its_own_networks_only(phase, batch):
    still = {other: optax.set_to_zero() for other in PHASES if other != phase}
    method = tiny(SPEC, still)
    state = method.init(jax.random.key(0))
    after, _ = jax.jit(method.train_step)(state, batch, jax.random.key(1))
    assert changed(state.params, after.params) == PHASES[phase]
    # Every network keeps the statistics of one pass, whoever trains.
    assert changed(state.batch_stats, after.batch_stats) == set(state.params)


@pytest.mark.parametrize(("epsilon", "n"), [(0, 0), (0, 3), (3, 0), (2, 3)])
def test_noise_on_either_side(epsilon, n, batch):
    method = tiny(encoder_noise_dim=epsilon, decoder_noise_dim=n)
    state = method.init(jax.random.key(0))
    x, keys = batch.images, [jax.random.key(i) for i in (1, 1, 2)]
    codes = [method.encode(state, x, key)[0] for key in keys]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert bool(jnp.array_equal(codes[0], codes[2])) == (epsilon == 0)
    images = [method.decode(state, batch.second_images, key) for key in keys]
    np.testing.assert_array_equal(images[0], images[1])
    assert bool(jnp.array_equal(images[0], images[2])) == (n == 0)
    np.testing.assert_array_equal(method.encode(state, x)[0], method.encode(state, x)[0])
    assert codes[0].shape == images[0].shape == x.shape
    assert 0 <= images[0].min() <= images[0].max() <= 1  # the data's scaling is "unit"


def test_what_is_evaluated_is_the_reconstruction_without_noise(batch):
    method = tiny()
    state = method.init(jax.random.key(0))
    (z,) = method.encode(state, batch.images)
    expected = np.square(method.decode(state, z) - batch.images).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(method.evaluate(state, batch.images)[:, 0], expected, rtol=1e-5)
    assert method.discriminate(state, z).shape == (4,)
    assert method.sample is None  # the codes' distribution is that of the second domain's images


def test_the_l1_cycle_has_no_discriminator_of_reconstructions(batch):
    method = tiny(reconstruction="l1")
    state = method.init(jax.random.key(0))
    assert set(state.params) == {"encoder", "decoder", "regularization_discriminator"}
    _, metrics = jax.jit(method.train_step)(state, batch, jax.random.key(1))
    assert "reconstruction_discriminator/loss" not in metrics
    wide = {"reconstruction_weight": 10.0}
    _, weighted = jax.jit(tiny(reconstruction="l1", **wide).train_step)(
        state, batch, jax.random.key(1)
    )
    nine = weighted["autoencoder/loss"] - metrics["autoencoder/loss"]
    np.testing.assert_allclose(nine, 9 * metrics["autoencoder/reconstruction"], rtol=1e-4)


@pytest.mark.parametrize(("scaling", "low", "high"), [("symmetric", -1, 1), ("standardised", 0, 0)])
def test_codes_and_images_end_where_the_data_lie(scaling, low, high, batch):
    method = tiny(SPEC._replace(scaling=scaling))
    state = method.init(jax.random.key(0))
    final = state.params["decoder"]["Conv_5"]
    final["bias"] = jnp.full_like(final["bias"], 50.0)
    images = method.decode(state, batch.images)
    np.testing.assert_allclose(images, high or 50.0, atol=1.0 if not high else 1e-5)


@pytest.mark.parametrize(
    ("changes", "spec", "message"),
    [
        ({}, {"second_shape": None}, "a cycle needs a second domain"),
        ({}, {"second_shape": (8, 8, 3)}, "are 8 x 8 x 1 and 8 x 8 x 3: give them one shape"),
        ({}, {"image_shape": (4, 4, 1), "second_shape": (4, 4, 1)}, "at least 8 x 8 pixels"),
        ({}, {"image_shape": (10, 8, 1), "second_shape": (10, 8, 1)}, "sides that 4 divides"),
        ({"decoder_noise_dim": -1}, {}, "decoder_noise_dim is -1; it must be at least 0"),
        ({"encoder_noise_dim": -2}, {}, "encoder_noise_dim is -2; it must be at least 0"),
        ({"reconstruction": "l2"}, {}, "unknown model.reconstruction 'l2'"),
        ({"reconstruction_weight": 0.0}, {}, "reconstruction_weight is 0.0; it must be positive"),
        ({"generator.num_blocks": -1}, {}, "num_blocks is -1"),
        ({"regularization_discriminator.logits": "pixels"}, {}, "unknown model.regularization"),
        ({"reconstruction_discriminator.features": ()}, {}, "features is empty"),
        ({"init": "zeros"}, {}, "unknown weight init"),
    ],
)
def test_bad_settings_are_one_line(changes, spec, message):
    with pytest.raises(UserError, match=message) as error:
        tiny(SPEC._replace(**spec), **changes)
    assert "\n" not in str(error.value)


def test_batches_without_the_second_domain_or_of_another_shape_are_refused(batch):
    method = tiny()
    for second, message in (
        (None, "built for two domains and got images of one"),
        (batch.second_images[:, :4], r"second_images have shape \(4, 4, 8, 1\)"),
        (batch.second_images.astype(jnp.uint8), "second_images are uint8"),
        (batch.second_images * 3, "second_images lie in"),
    ):
        with pytest.raises(UserError, match=message):
            method.check(batch._replace(second_images=second))


def test_parts_of_ones_own_are_tried_on_both_domains():
    config = methods.default_config("cycle_implicit_autoencoder")
    build = {"config": config, "spec": SPEC}
    methods.build(
        "cycle_implicit_autoencoder", **build, parts={"regularization_discriminator": SeesNothing()}
    )
    with pytest.raises(UserError, match="no update can be traced"):  # it is given pairs
        methods.build(
            "cycle_implicit_autoencoder",
            **build,
            parts={"reconstruction_discriminator": SeesNothing()},
        )
