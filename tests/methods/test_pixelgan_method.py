"""The PixelGAN autoencoder: what each phase trains, its codes, its decoder as a distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError

SPEC = methods.DataSpec((4, 4, 1), 3, labelled=False, num_levels=4)
OF_LENGTH = SPEC._replace(updates_per_epoch=10, epochs=4)
RAMP = {
    "head_scale.name": "ramp",
    "head_scale.start": 2.0,
    "head_scale.end": 8.0,
    "head_scale.fraction": 0.5,
}
IMAGES = jnp.asarray(np.random.default_rng(0).integers(0, 4, (6, 4, 4, 1)) / 3, jnp.float32)


def config_of(**changes):
    config = methods.default_config("pixelgan")
    config.update_from_flattened_dict(
        {
            "encoder_features": (3,),
            "encoder_dense": 4,
            "encoder_hidden": (5,),
            "discriminator_hidden": (5,),
            "decoder.num_blocks": 1,
            "decoder.features": 6,
            "decoder.head": "categorical",
        }
        | changes
    )
    return config


def networks_that_differ(before, after):
    return {
        name
        for name in before
        if any(
            not np.array_equal(a, b)
            for a, b in zip(jax.tree.leaves(before[name]), jax.tree.leaves(after[name]))
        )
    }


def changed_networks(method, batch):
    before = jax.jit(method.init)(jax.random.key(0))
    after, metrics = jax.jit(method.train_step)(before, batch, jax.random.key(1))
    changed = networks_that_differ(before.params, after.params)
    return changed, metrics, after


def test_an_update_has_the_papers_phases():
    method = methods.build("pixelgan", config_of(), spec=SPEC)
    changed, metrics, after = changed_networks(method, Batch(IMAGES))
    assert set(metrics) == {"reconstruction/loss", "discriminator/loss", "generator/loss"}
    assert changed == {"encoder", "decoder", "discriminator"}
    assert after.step == 1
    # Untrained, the decoder knows nothing: about log 4 nats for each of 16 pixels.
    assert 10 < float(metrics["reconstruction/loss"]) < 60


def test_the_discriminator_learns_to_tell_codes_from_the_prior_and_then_the_encoder_hides_them():
    def only(phase):
        config = config_of()
        for name, settings in config.optimizers.items():
            settings.learning_rate = 0.5 if name == phase else 0.0
        return methods.build("pixelgan", config, spec=SPEC)

    def margin(state):
        """How much likelier to be the prior's than a code one of its draws is called, nats."""
        (codes,) = method.encode(state, IMAGES, jax.random.key(7))
        told = method.discriminate(state, jnp.eye(3)).mean()
        return float(told - method.discriminate(state, codes).mean())

    method = only("discriminator")
    state = jax.jit(method.init)(jax.random.key(0))
    margins = [margin(state)]
    for phase, network in (("discriminator", "discriminator"), ("generator", "encoder")):
        method, before = only(phase), state
        step = jax.jit(method.train_step)
        for i in range(100):
            state, _ = step(state, Batch(IMAGES), jax.random.key(i))
        assert networks_that_differ(before.params, state.params) == {network}
        margins.append(margin(state))
    untaught, taught, fooled = margins
    assert taught > max(untaught, 0.0) + 0.1
    assert fooled < taught - 0.05


def test_without_the_prior_there_is_no_adversary():
    method = methods.build("pixelgan", config_of(regularized=False), spec=SPEC)
    changed, metrics, _ = changed_networks(method, Batch(IMAGES))
    assert set(metrics) == {"reconstruction/loss"}
    assert changed == {"encoder", "decoder"}


def test_the_semi_supervised_phase_trains_the_encoder_alone():
    config = config_of(regularized=False)
    config.optimizers.reconstruction.learning_rate = 0.0
    method = methods.build("pixelgan", config, spec=SPEC._replace(labelled=True))
    labels = jnp.array([0, 1, 2, 0])
    changed, metrics, _ = changed_networks(method, Batch(IMAGES, IMAGES[:4], labels))
    assert set(metrics) == {"reconstruction/loss", "classification/loss"}
    assert changed == {"encoder"}


def test_a_plain_pixelcnn_leaves_encoder_and_adversary_alone():
    config = config_of(**{"decoder.conditioning": "none"})
    changed, metrics, _ = changed_networks(
        methods.build("pixelgan", config, spec=SPEC), Batch(IMAGES)
    )
    assert set(metrics) == {"reconstruction/loss"}
    assert changed == {"decoder"}


def test_codes_of_a_categorical_prior_are_probabilities_and_scored_as_such():
    method = methods.build("pixelgan", config_of(num_categories=5), spec=SPEC)
    state = jax.jit(method.init)(jax.random.key(0))
    (codes,) = method.encode(state, IMAGES)
    assert codes.shape == (6, 5)
    np.testing.assert_allclose(np.asarray(codes).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(codes, method.classify(state, IMAGES))
    (noisy,) = method.encode(state, IMAGES, jax.random.key(3))
    assert not np.allclose(codes, noisy)


def test_a_gaussian_prior_has_unbounded_codes_and_no_classes():
    config = config_of(prior="gaussian", encoder="mlp", code_dim=2, head_batch_norm=False)
    method = methods.build("pixelgan", config, spec=SPEC)
    state = jax.jit(method.init)(jax.random.key(0))
    (codes,) = method.encode(state, IMAGES)
    assert codes.shape == (6, 2)
    assert method.classify is None
    costs = method.evaluate(state, IMAGES)
    np.testing.assert_allclose(costs[:, 0], -method.log_prob(state, IMAGES, codes))
    assert not np.allclose(costs[:, 0], -method.log_prob(state, IMAGES, codes + 3))


def test_likelihoods_of_all_images_sum_to_one_at_a_code():
    spec = methods.DataSpec((2, 2, 1), 3, labelled=False, num_levels=2)
    config = config_of(**{"decoder.head": "bernoulli"})
    config.encoder_batch_norm = config.head_batch_norm = False
    method = methods.build("pixelgan", config, spec=spec)
    state = jax.jit(method.init)(jax.random.key(0))
    # A constant encoder, so that every image has one code.
    state.params["encoder"] = jax.tree.map(jnp.zeros_like, state.params["encoder"])
    bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
    images = jnp.asarray(bits.reshape(16, 2, 2, 1), jnp.float32)
    log_probs = np.asarray(
        method.log_prob(state, images, *method.encode(state, images)), np.float64
    )
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)
    assert np.ptp(log_probs) > 0.01


def test_decode_draws_levels_and_completes_given_rows():
    method = methods.build("pixelgan", config_of(), spec=SPEC)
    state = jax.jit(method.init)(jax.random.key(0))
    z = jnp.eye(3)[jnp.array([0, 1, 2, 0])]
    images = np.asarray(method.decode(state, z, jax.random.key(1)))
    assert images.shape == (4, 4, 4, 1)
    np.testing.assert_allclose(images * 3, np.round(images * 3), atol=1e-6)
    assert not np.array_equal(images, method.decode(state, z, jax.random.key(2)))
    completed = method.complete(state, IMAGES[:4], 2, z, jax.random.key(1))
    np.testing.assert_allclose(completed[:, :2], IMAGES[:4, :2], atol=1e-6)
    assert method.sample(state, jax.random.key(0), 3).shape == (3, 4, 4, 1)


@pytest.mark.parametrize(
    ("changes", "spec", "message"),
    [
        ({"prior": "swiss"}, SPEC, "unknown model.prior 'swiss'"),
        ({"encoder": "resnet"}, SPEC, "unknown model.encoder 'resnet'"),
        ({"decoder.head": "bernoulli", "decoder.num_levels": 4}, SPEC, "bernoulli head"),
        ({"decoder.receptive_field": 15}, SPEC, "cannot give a receptive field of 15"),
        ({"decoder.conditioning": "everywhere"}, SPEC, "unknown model.decoder.conditioning"),
        ({"num_categories": 5}, SPEC._replace(labelled=True), "needs a categorical prior"),
        ({"prior": "gaussian"}, SPEC._replace(labelled=True), "needs a categorical prior"),
        ({"decoder.dilations": (1, 2)}, SPEC, "dilations is .1, 2., and there are 1 residual"),
        ({}, SPEC._replace(scaling="symmetric"), "data.scaling is 'symmetric'; a PixelCNN"),
        ({"head_scale.name": "raised"}, SPEC, "unknown model.head_scale.name 'raised'"),
        (RAMP, SPEC, "needs the length of the run"),
        ({"decoder_alone": 0.1}, SPEC, "model.decoder_alone needs the length of the run"),
        (RAMP | {"encoder": "mlp"}, OF_LENGTH, "needs the normalised head"),
        (
            RAMP | {"head_scale.start": 0.0},
            OF_LENGTH,
            "head_scale.start is 0.0; it must be positive",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, spec, message):
    with pytest.raises(UserError, match=message):
        methods.build("pixelgan", config_of(**changes), spec=spec)


def test_a_location_dependent_bias_under_a_categorical_prior_is_warned_of():
    config = config_of(**{"decoder.conditioning": "location_dependent"})
    with pytest.warns(UserWarning, match="location-invariant"):
        methods.build("pixelgan", config, spec=SPEC)


@pytest.mark.parametrize(
    "changes", [{"regularized": False}, {"decoder.conditioning": "none"}], ids=str
)
def test_an_adversary_that_nothing_trains_is_not_asked(changes):
    assert methods.build("pixelgan", config_of(**changes), spec=SPEC).discriminate is None
    assert methods.build("pixelgan", config_of(), spec=SPEC).discriminate is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_categories": -3}, "num_categories is -3"),
        ({"prior": "gaussian", "code_dim": 0}, "code_dim is 0"),
        ({"prior": "gaussian", "prior_std": 0.0}, "prior_std is 0"),
        ({"decoder.num_blocks": -1}, "decoder.num_blocks is -1; it must be at least 0"),
    ],
)
def test_settings_that_no_network_can_have(changes, message):
    with pytest.raises(UserError, match=message):
        methods.build("pixelgan", config_of(**changes), spec=SPEC)


def test_a_ramp_scales_the_normalised_head_by_the_update():
    method = methods.build("pixelgan", config_of(**RAMP), spec=OF_LENGTH)
    state = jax.jit(method.init)(jax.random.key(0))
    assert not any("head_scale" in name for name in state.params["encoder"])
    logits = {
        step: np.log(method.encode(state._replace(step=jnp.int32(step)), IMAGES)[0])
        for step in (0, 10, 20, 39)
    }
    centred = {step: values - values.mean(axis=1, keepdims=True) for step, values in logits.items()}
    for step, scale in ((10, 2.0), (20, 4.0), (39, 4.0)):  # from 2 over 4 to 8, and there it stays
        np.testing.assert_allclose(centred[step], scale * centred[0], rtol=1e-3, atol=1e-4)


def test_the_decoder_is_trained_alone_at_first():
    config = config_of(regularized=False, decoder_alone=0.25)
    method = methods.build("pixelgan", config, spec=OF_LENGTH)
    state = jax.jit(method.init)(jax.random.key(0))
    for step, changed in ((0, {"decoder"}), (9, {"decoder"}), (10, {"decoder", "encoder"})):
        after, _ = jax.jit(method.train_step)(
            state._replace(step=jnp.int32(step)), Batch(IMAGES), jax.random.key(1)
        )
        assert networks_that_differ(state.params, after.params) == changed


def test_the_losses_see_the_scale_of_their_update():
    """Labelled images' cross-entropy, by hand from the code."""
    config = config_of(regularized=False, input_noise=0.0, encoder_batch_norm=False, **RAMP)
    spec = OF_LENGTH._replace(labelled=True)
    labels = jnp.array([0, 1, 2, 0, 1, 2])
    for settings in config.optimizers.values():
        settings.learning_rate = 0.0
    method = methods.build("pixelgan", config, spec=spec)
    state = jax.jit(method.init)(jax.random.key(0))
    costs = []
    for step in (0, 20):
        at = state._replace(step=jnp.int32(step))
        _, metrics = jax.jit(method.train_step)(
            at, Batch(IMAGES, IMAGES, labels), jax.random.key(1)
        )
        costs.append(float(metrics["classification/loss"]))
    # In training the batch's own statistics normalise the head.
    encoder = methods.pixelgan.networks(config, spec).encoder
    outputs, _ = encoder(state.params, state.batch_stats, IMAGES)
    for cost, scale in zip(costs, (2.0, 8.0)):
        log_probs = jax.nn.log_softmax(scale * outputs[0])
        expected = -float(log_probs[jnp.arange(6), labels].mean())
        assert cost == pytest.approx(expected, rel=1e-3)


def test_dilations_widen_what_a_pixel_sees():
    """The last pixel's logits depend on the pixel seven rows above through a dilation of four."""
    spec = methods.DataSpec((12, 3, 1), 3, num_levels=4)

    def depends(dilations):
        config = config_of(**{"decoder.dilations": dilations})
        method = methods.build("pixelgan", config, spec=spec)
        decoder = methods.pixelgan.networks(config, spec).decoder
        state = jax.jit(method.init)(jax.random.key(0))
        images, z = jnp.zeros((1, 12, 3, 1)), jnp.eye(3)[:1]
        changed = images.at[0, 4, 1, 0].set(1.0)
        first, second = (
            decoder.evaluate(state.params, state.batch_stats, x, z) for x in (images, changed)
        )
        return bool((first[0, 11] != second[0, 11]).any())

    assert depends((4,))  # 3 rows of the first layer and 4 of the block's
    assert not depends(())
