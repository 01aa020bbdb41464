"""The semi-supervised AAE: one step against NumPy, what each phase may touch, the paper's
settings."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from aae_jax import methods, priors
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.methods import DataSpec
from aae_jax.optimizers import sgd
from configs.aae import table2 as aae_table2
from tests.methods.numpy_reference import (
    moved_off_zero,
    np_decoder,
    np_discriminator,
    np_gradient,
    np_heads,
    np_tree,
    softmax,
    softplus,
)

SPEC = DataSpec(image_shape=(2, 3, 1), num_classes=3)
NETWORKS = ("encoder", "decoder", "label_discriminator", "style_discriminator")
TRAINS = {
    "reconstruction": ("encoder", "decoder"),
    "discriminator": ("label_discriminator", "style_discriminator"),
    "generator": ("encoder",),
    "classification": ("encoder",),
}
RATES = {  # high, so that every phase moves its networks far beyond rounding
    "reconstruction": (0.2, 0.9),
    "discriminator": (0.5, 0.1),
    "generator": (0.4, 0.2),
    "classification": (0.3, 0.8),
}


def tiny_config(**changes) -> ml_collections.ConfigDict:
    config = methods.default_config("semi_supervised_aae")
    config.update(
        hidden=(5, 4),
        discriminator_hidden=(4, 3),
        style_dim=2,
        style_std=2.0,
        init="lecun_normal",
        input_noise=0.0,
        optimizers={phase: sgd(*rates) for phase, rates in RATES.items()},
        schedule={"name": "constant"},
    )
    config.update(changes)
    return config


def batches(num: int, seed: int = 0) -> list[Batch]:
    rng = np.random.default_rng(seed)
    return [
        Batch(
            jnp.asarray(rng.uniform(size=(6, 2, 3, 1)), jnp.float32),
            jnp.asarray(rng.uniform(size=(4, 2, 3, 1)), jnp.float32),
            jnp.asarray([0, 2, 1, 2], jnp.int32),
        )
        for _ in range(num)
    ]


def np_losses(batch, y_real, z_real):
    """The four objectives as functions of all networks' parameters."""
    images, labelled = np.float64(batch.images), np.float64(batch.labelled_images)
    labels = np.asarray(batch.labels)

    def reconstruction(p):
        logits, z = np_heads(p["encoder"], images)
        error = np_decoder(p["decoder"], softmax(logits), z) - images.reshape(len(images), -1)
        return np.mean(np.sum(error**2, axis=1) / 2)

    def discriminator(p):
        logits, z = np_heads(p["encoder"], images)
        total = 0.0
        for network, real, fake in (
            ("label_discriminator", y_real, softmax(logits)),
            ("style_discriminator", z_real, z),
        ):
            total += np.mean(softplus(-np_discriminator(p[network], real)))
            total += np.mean(softplus(np_discriminator(p[network], fake)))
        return total

    def generator(p):
        logits, z = np_heads(p["encoder"], images)
        d_y = np_discriminator(p["label_discriminator"], softmax(logits))
        d_z = np_discriminator(p["style_discriminator"], z)
        return np.mean(softplus(-d_y)) + np.mean(softplus(-d_z))

    def classification(p):
        logits, _ = np_heads(p["encoder"], labelled)
        return -np.mean(np.log(softmax(logits)[np.arange(len(labels)), labels]))

    return {
        "reconstruction": reconstruction,
        "discriminator": discriminator,
        "generator": generator,
        "classification": classification,
    }


def np_step(params, velocity, batch, y_real, z_real, frozen=False):
    """All phases of one update, in place. ``frozen``: every phase sees the parameters of before
    the update (which is wrong, and must make a difference)."""
    losses, values = np_losses(batch, y_real, z_real), {}
    before = jax.tree.map(np.copy, params)
    for phase, networks in TRAINS.items():
        seen = before if frozen else params
        values[f"{phase}/loss"] = losses[phase](seen)
        gradient = np_gradient(losses[phase], seen, networks)
        rate, momentum = RATES[phase]
        for network in networks:
            velocity[phase][network] = jax.tree.map(
                lambda v, g, m=momentum: m * v + g, velocity[phase][network], gradient[network]
            )
            params[network] = jax.tree.map(
                lambda p, v, r=rate: p - r * v, params[network], velocity[phase][network]
            )
    return values


def zero_velocity(params):
    return {
        phase: {n: jax.tree.map(np.zeros_like, params[n]) for n in networks}
        for phase, networks in TRAINS.items()
    }


@pytest.fixture
def fixed_priors(monkeypatch):
    """(y, z) that the priors return in every update, whatever the key; and the keys they got."""
    rng = np.random.default_rng(3)
    y, z = np.eye(3)[rng.integers(0, 3, 6)], rng.normal(size=(6, 2))
    keys = []

    def fixed(samples):
        def sample(key, num):
            keys.append(key)
            return jnp.asarray(samples[:num], jnp.float32)

        return priors.Prior(samples.shape[1], sample)

    monkeypatch.setattr(priors, "categorical", lambda num_categories: fixed(y))
    monkeypatch.setattr(priors, "gaussian", lambda dim, std=1.0: fixed(z))
    return y, z, keys


@pytest.mark.parametrize(("encoder", "decoder"), [("hidden", False), ("all", True)])
def test_two_updates_match_numpy(fixed_priors, encoder, decoder):
    config = tiny_config(encoder_batch_norm=encoder, decoder_batch_norm=decoder)
    method = methods.build("semi_supervised_aae", config, spec=SPEC)
    state = jax.jit(method.init)(jax.random.key(1))
    state = state._replace(params=moved_off_zero(state.params))
    params = np_tree(state.params)
    simultaneous = np_tree(state.params)
    velocity, other_velocity = zero_velocity(params), zero_velocity(params)
    step = jax.jit(method.train_step)
    for i, batch in enumerate(batches(2)):
        state, metrics = step(state, batch, jax.random.key(i))
        expected = np_step(params, velocity, batch, *fixed_priors[:2])
        np_step(simultaneous, other_velocity, batch, *fixed_priors[:2], frozen=True)

        assert metrics.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
        assert_trees_close(state.params, params, rtol=1e-4, atol=5e-5)
        assert state.opt_state.keys() == TRAINS.keys()
        for phase in TRAINS:  # the encoder has three momenta
            assert_trees_close(
                state.opt_state[phase][0].trace, velocity[phase], rtol=1e-3, atol=3e-4
            )
    assert state.step == 2
    # The comparison tells phases that build on each other from phases that do not.
    gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), simultaneous, params)
    assert min(max(jax.tree.leaves(gaps[network])) for network in NETWORKS) > 1e-3


def test_every_draw_has_a_key_of_its_own(fixed_priors):
    method = methods.build("semi_supervised_aae", tiny_config(), spec=SPEC)
    (batch,) = batches(1)
    state, keys = jax.jit(method.init)(jax.random.key(0)), fixed_priors[2]

    @jax.jit
    def drawn_with(key):
        keys.clear()
        method.train_step(state, batch, key)
        return [jax.random.key_data(key) for key in keys]

    drawn = [tuple(np.asarray(k)) for i in (0, 1) for k in drawn_with(jax.random.key(i))]
    assert len(drawn) == 4  # label and style, in two updates
    assert len(set(drawn)) == 4


def assert_trees_close(actual, expected, **tolerance):
    assert set(actual) == set(expected)
    for network in expected:
        jax.tree.map(
            lambda a, e, n=network: np.testing.assert_allclose(a, e, err_msg=n, **tolerance),
            actual[network],
            expected[network],
        )


@pytest.fixture(scope="module")
def step_at_rates():
    """``step_at_rates({"generator": 0.3}, noise)``: the states around one update in which the
    phases that are not named have a learning rate of zero, and its metrics."""
    (batch,) = batches(1, seed=5)
    config = tiny_config(encoder_batch_norm="all", decoder_batch_norm=True)
    start = methods.build("semi_supervised_aae", config, spec=SPEC)
    start = jax.jit(start.init)(jax.random.key(4))

    @jax.jit  # rates are arguments: compiled once for all tests
    def step(rates, state, batch):
        config.optimizers = {p: sgd(rate, 0.9) for p, rate in rates.items()}
        method = methods.build("semi_supervised_aae", config, spec=SPEC)
        return method.train_step(state, batch, jax.random.key(5))

    def run(rates, scale_labelled=1.0):
        rates = {phase: jnp.float32(rates.get(phase, 0.0)) for phase in TRAINS}
        scaled = batch._replace(labelled_images=scale_labelled * batch.labelled_images)
        return start, step(rates, start, scaled)[0], batch

    return run


def changed(before, after):
    same = jax.tree.map(lambda a, b: np.array_equal(a, b), before, after)
    return {network for network in before if not all(jax.tree.leaves(same[network]))}


@pytest.mark.parametrize("phase", TRAINS)
def test_a_phase_changes_the_networks_it_trains_and_no_other(step_at_rates, phase):
    before, after, _ = step_at_rates({phase: 0.3})
    assert changed(before.params, after.params) == set(TRAINS[phase])


def test_classification_leaves_the_style_head_bit_for_bit(step_at_rates):
    before, after, _ = step_at_rates({"classification": 0.3})
    heads = [
        {name: state.params["encoder"][name] for name in ("Layer_0", "Layer_1")}
        for state in (before, after)
    ]
    assert changed(*heads) == {"Layer_0"}


def test_only_the_reconstruction_pass_commits_batch_statistics(step_at_rates):
    rates = dict.fromkeys(TRAINS, 0.3)
    state, after, batch = step_at_rates(rates)
    _, skewed, _ = step_at_rates(rates, scale_labelled=100.0)
    assert changed(after.params, skewed.params) == {"encoder"}
    assert changed(after.batch_stats, skewed.batch_stats) == set()

    # They are those of the pass on the unlabelled batch, by the parameters before the update.
    params, images = np_tree(state.params), np.float64(batch.images)
    encoder_moments, decoder_moments = {}, {}
    logits, z = np_heads(params["encoder"], images, encoder_moments)
    np_decoder(params["decoder"], softmax(logits), z, moments=decoder_moments)
    assert len(encoder_moments) == 4
    assert len(decoder_moments) == 3
    for network, moments in (("encoder", encoder_moments), ("decoder", decoder_moments)):
        for path, (mean, var) in moments.items():
            stats = after.batch_stats[network]
            for name in path.split("/"):
                stats = stats[name]
            np.testing.assert_allclose(stats["BatchNorm_0"]["mean"], 0.1 * mean, atol=1e-5)
            np.testing.assert_allclose(stats["BatchNorm_0"]["var"], 0.9 + 0.1 * var, atol=1e-5)


def test_without_labels_there_is_no_classification_phase():
    spec = SPEC._replace(labelled=False)
    config = methods.default_config("clustering_aae")
    config.update(hidden=(5,), discriminator_hidden=(4,), num_categories=7)
    method = methods.build("clustering_aae", config, spec=spec)
    state = jax.jit(method.init)(jax.random.key(8))
    assert state.opt_state.keys() == {"reconstruction", "discriminator", "generator"}
    batch = Batch(batches(1)[0].images)
    state, metrics = jax.jit(method.train_step)(state, batch, jax.random.key(9))
    assert metrics.keys() == {f"{phase}/loss" for phase in state.opt_state}
    y, z = method.encode(state, batch.images)
    assert (y.shape, z.shape) == ((6, 7), (6, 5))


def test_codes_probabilities_and_samples():
    method = methods.build("semi_supervised_aae", tiny_config(), spec=SPEC)
    state = jax.jit(method.init)(jax.random.key(11))
    (batch,) = batches(1)
    y, z = method.encode(state, batch.images)
    params = np_tree(state.params)
    logits, style = np_heads(params["encoder"], np.float64(batch.images))
    np.testing.assert_allclose(y, softmax(logits), rtol=1e-4)
    np.testing.assert_allclose(z, style, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(method.classify(state, batch.images), y)
    decoded = np_decoder(params["decoder"], softmax(logits), style).reshape(6, 2, 3, 1)
    np.testing.assert_allclose(method.decode(state, y, z), decoded, rtol=1e-4)
    samples = method.sample(state, jax.random.key(0), 5)
    assert samples.shape == (5, 2, 3, 1)
    assert 0 <= float(samples.min()) < float(samples.max()) <= 1


def test_noise_is_on_the_input_in_training_only():
    (batch,) = batches(1)
    config = tiny_config()
    quiet = methods.build("semi_supervised_aae", config, spec=SPEC)
    state = jax.jit(quiet.init)(jax.random.key(12))

    @jax.jit
    def run(noise):
        config.update(input_noise=0.3) if noise is None else None
        method = methods.build("semi_supervised_aae", config, spec=SPEC)
        _, metrics = method.train_step(state, batch, jax.random.key(0))
        return metrics, method.classify(state, batch.images)

    metrics, probabilities = run(0.0)
    noisy_metrics, noisy_probabilities = run(None)
    np.testing.assert_array_equal(probabilities, noisy_probabilities)
    for phase in ("reconstruction", "classification"):
        assert metrics[f"{phase}/loss"] != noisy_metrics[f"{phase}/loss"]


# The paper's settings.


def steps_of(schedule):
    return schedule.name, schedule.epochs, schedule.factor


def test_default_config_is_a_2_1():
    config = methods.default_config("semi_supervised_aae")
    assert config.hidden == config.discriminator_hidden == (1000, 1000)
    assert config.style_dim == 10
    assert config.style_std == 1.0
    assert config.output == "sigmoid"
    assert config.input_noise == 0.3
    assert config.input_dropout == 0.0
    assert (config.encoder_batch_norm, config.decoder_batch_norm) == ("", False)
    assert config.hidden_noise == 0.0
    rates = {p: (o.name, o.learning_rate, o.momentum) for p, o in config.optimizers.items()}
    assert rates == {
        "reconstruction": ("sgd", 0.01, 0.9),
        "discriminator": ("sgd", 0.1, 0.1),
        "generator": ("sgd", 0.1, 0.1),
        "classification": ("sgd", 0.1, 0.9),
    }
    assert steps_of(config.schedule) == ("steps", (50, 1000), 0.1)


def shapes(name, config=None, labelled=True):
    spec = DataSpec((28, 28, 1), 10, labelled=labelled)
    return jax.eval_shape(methods.build(name, config, spec=spec).init, jax.random.key(0))


def kernels(network):
    return [network["Trunk_0"][f"Layer_{i}"]["Dense_0"]["kernel"].shape for i in range(2)]


def test_the_networks_of_a_2_1():
    params = shapes("semi_supervised_aae").params
    assert kernels(params["encoder"]) == [(784, 1000), (1000, 1000)]
    assert params["encoder"]["Layer_0"]["Dense_0"]["kernel"].shape == (1000, 10)  # label
    assert params["encoder"]["Layer_1"]["Dense_0"]["kernel"].shape == (1000, 10)  # style
    assert kernels(params["decoder"]) == [(20, 1000), (1000, 1000)]
    assert kernels(params["label_discriminator"]) == [(10, 1000), (1000, 1000)]
    assert kernels(params["style_discriminator"]) == [(10, 1000), (1000, 1000)]
    assert "BatchNorm_0" not in str(params)


def test_clustering_config_is_a_3():
    config = methods.default_config("clustering_aae")
    assert config.hidden == config.discriminator_hidden == (3000, 3000)
    assert (config.num_categories, config.style_dim, config.style_std) == (30, 5, 1.0)
    assert config.output == "sigmoid"
    assert (config.input_noise, config.input_dropout) == (0.0, 0.2)
    rates = {p: (o.learning_rate, o.momentum) for p, o in config.optimizers.items()}
    assert rates["reconstruction"] == (0.01, 0.9)
    assert rates["discriminator"] == rates["generator"] == (0.1, 0.1)
    assert steps_of(config.schedule) == ("steps", (50,), 0.1)


def test_clustering_has_batch_norm_in_the_whole_encoder_and_nowhere_else():
    state = shapes("clustering_aae", labelled=False)
    encoder = state.params["encoder"]
    layers = [*encoder["Trunk_0"].values(), encoder["Layer_0"], encoder["Layer_1"]]
    assert [set(layer) for layer in layers] == [{"Dense_0", "BatchNorm_0"}] * 4
    assert encoder["Layer_0"]["BatchNorm_0"]["scale"].shape == (30,)
    assert encoder["Layer_1"]["BatchNorm_0"]["scale"].shape == (5,)
    for network in NETWORKS[1:]:
        assert "BatchNorm_0" not in str(state.params[network])
        assert not state.batch_stats[network]


def test_what_is_evaluated_is_half_the_squared_error_of_each_image():
    method = methods.build("semi_supervised_aae", tiny_config(), spec=SPEC)
    state = method.init(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (3, *SPEC.image_shape))
    errors = np.asarray(method.decode(state, *method.encode(state, images)) - images)
    expected = [[0.5 * (error**2).sum()] for error in errors]
    np.testing.assert_allclose(method.evaluate(state, images), expected, rtol=1e-5)


def test_svhn_config_is_a_2_2():
    config = aae_table2.get_config("svhn_1000,paper")
    model = config.model
    assert model.style_dim == 20
    assert model.num_categories in (0, 10)
    assert model.output == "linear"
    assert (model.input_noise, model.input_dropout) == (0.0, 0.2)
    rates = {p: (o.learning_rate, o.momentum) for p, o in model.optimizers.items()}
    assert rates == {
        "reconstruction": (0.0001, 0.9),
        "discriminator": (0.01, 0.1),
        "generator": (0.01, 0.1),
        "classification": (0.1, 0.9),
    }
    assert steps_of(model.schedule) == ("steps", (250,), 0.1)
    assert (config.train.epochs, config.data.num_labels) == (1000, 1000)
    assert (config.data.name, config.data.scaling) == ("svhn_cropped", "standardised")

    spec = DataSpec((32, 32, 3), 10)
    state = jax.eval_shape(methods.build(config.method, model, spec=spec).init, jax.random.key(0))
    for network, heads in (("encoder", ("Layer_0", "Layer_1")), ("decoder", ("Layer_0",))):
        params = state.params[network]
        layers = [*params["Trunk_0"].values(), *(params[head] for head in heads)]
        assert all("BatchNorm_0" in layer for layer in layers)
    assert "BatchNorm_0" not in str(state.params["label_discriminator"])


@pytest.mark.parametrize(
    ("field", "value"), [("encoder_batch_norm", "heads"), ("output", "sigmod")]
)
def test_a_word_that_means_nothing_is_refused(field, value):
    with pytest.raises(UserError, match=f"{value}.*choose"):
        methods.build("semi_supervised_aae", tiny_config(**{field: value}), spec=SPEC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_categories": 1}, "num_categories is 1; it must be at least"),
        ({"style_dim": 0}, "style_dim is 0; it must be at least 1"),
        ({"style_std": 0.0}, "style_std is 0.0; it must be positive"),
    ],
)
def test_categories_and_styles_that_cannot_be(changes, message):
    with pytest.raises(UserError, match=message):
        methods.build("semi_supervised_aae", tiny_config(**changes), spec=SPEC)


def test_mnist_100_in_profile_paper_is_a_2_1():
    config = aae_table2.get_config("mnist_100,paper")
    assert config.model.to_dict() == methods.default_config("semi_supervised_aae").to_dict()
    assert (config.train.epochs, config.data.num_labels) == (5000, 100)
