"""InfoGAN: steps against NumPy, which gradient reaches which network, and settings that it
refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    conv,
    dense,
    normalised,
    sigmoid,
    softmax,
    softplus,
    transposed_conv,
)

SPEC = methods.DataSpec((4, 2, 1), 3, labelled=False, updates_per_epoch=5, epochs=2)
LEAK, NOISE, WEIGHT, CONTINUOUS, STD = 0.1, 0.2, 0.7, 0.4, 0.5
TRAINS = {
    "discriminator": ("trunk", "discriminator", "recognition"),
    "generator": ("generator",),
}
RATES = {"discriminator": (0.05, 0.5), "generator": (0.06, 0.9)}


def tiny(optimizers=None, spec=SPEC, **changes):
    config = methods.default_config("infogan")
    config.update_from_flattened_dict(
        {
            "num_categories": 3,
            "num_continuous": 2,
            "noise_dim": 2,
            "weight": WEIGHT,
            "continuous_weight": CONTINUOUS,
            "continuous_std": STD,
            "generator.dense": (4,),
            "generator.features": (3,),
            "discriminator.features": (3,),
            "discriminator.dense": (4,),
            "discriminator.noise": NOISE,
            "discriminator.one_batch": False,
            "recognition_hidden": 4,
            "init": "he_normal",
        }
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return methods.build("infogan", config, spec=spec, optimizers=optimizers)


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    return [Batch(jnp.asarray(rng.uniform(size=(8, 4, 2, 1)), jnp.float32)) for _ in range(2)]


def relu(x):
    return np.maximum(x, 0)


def leaky(x):
    return np.where(x > 0, x, LEAK * x)


def activated(params, name, x, relu):
    return relu(normalised(params[name]["BatchNorm_0"], x))


def np_generator(params, *codes):
    x = dense(params["Dense_0"], np.concatenate(codes, axis=1))
    x = dense(params["Dense_1"], activated(params, "_Activation_0", x, relu))
    x = activated(params, "_Activation_1", x, relu).reshape(len(x), 2, 1, 3)
    return sigmoid(transposed_conv(params["ConvTranspose_0"], x))


def np_trunk(params, images, noise):
    """The first layer has no batch norm."""
    on_images, on_conv, on_dense = (NOISE * draw for draw in noise)
    x = leaky(conv(params["Conv_0"], images + on_images)) + on_conv
    x = dense(params["Dense_0"], x.reshape(len(x), -1))
    return activated(params, "_Activation_1", x, leaky) + on_dense


def np_information(params, features, categories, continuous):
    """λ L_I: log Q(c | x) + H(c), each code under its weight."""
    x = activated(params, "_Activation_0", dense(params["Dense_0"], features), leaky)
    q = softmax(dense(params["Dense_1"], x))[np.arange(len(x)), categories]
    means = dense(params["Dense_2"], x)
    gaussians = -0.5 * ((continuous - means) / STD) ** 2 - np.log(STD * np.sqrt(2 * np.pi))
    return WEIGHT * (np.log(q).mean() + np.log(3)) + CONTINUOUS * (
        gaussians.sum(axis=1).mean() + 2 * np.log(2)
    )


def losses(batch, drawn, one_batch=False, informed=True, noise_range=1.0):
    categories, continuous, z, *noise = drawn
    categories, images = categories.astype(int), np.float64(batch.images)
    assert continuous.shape == z.shape == (8, 2)
    assert min(continuous.min(), z.min()) < -0.3 and max(continuous.max(), z.max()) > 0.3
    assert len(noise) == (6 if one_batch else 12)  # of three places in every pass

    def fake(p):
        return np_generator(p["generator"], np.eye(3)[categories], continuous, noise_range * z)

    def features(p, phase):
        """Of real and of fake images."""
        if one_batch:
            both = np.concatenate([images, fake(p)])
            found = np_trunk(p["trunk"], both, noise[3 * phase : 3 * phase + 3])
            return found[:8], found[8:]
        of_real = np_trunk(p["trunk"], images, noise[6 * phase : 6 * phase + 3])
        return of_real, np_trunk(p["trunk"], fake(p), noise[6 * phase + 3 : 6 * phase + 6])

    def logit(p, x):
        return dense(p["discriminator"]["Layer_0"]["Dense_0"], x)[:, 0]

    before = []

    def discriminator(p):
        of_real, of_fake = features(p, 0)
        before.append(of_fake)  # the first are at the parameters before the phase
        seen = of_fake if informed else before[0]
        game = softplus(-logit(p, of_real)).mean() + softplus(logit(p, of_fake)).mean()
        return game - np_information(p["recognition"], seen, categories, continuous)

    def generator(p):
        _, of_fake = features(p, 1)
        loss = softplus(-logit(p, of_fake)).mean()
        if informed:
            loss -= np_information(p["recognition"], of_fake, categories, continuous)
        return loss

    return {"discriminator": discriminator, "generator": generator}


def losses_alone(method):
    """The same method, its metrics the losses."""

    def train_step(*arguments):
        state, metrics = method.train_step(*arguments)
        return state, {k: v for k, v in metrics.items() if k.endswith("/loss")}

    return method._replace(train_step=train_step)


@pytest.mark.parametrize("one_batch", [False, True])
def test_updates_match_numpy(draws, batches, one_batch):
    method = losses_alone(tiny(**{"discriminator.one_batch": one_batch}))

    def expected(batch, drawn):
        return losses(batch, drawn, one_batch)

    check_updates(method, batches, draws, expected, TRAINS, RATES)


def test_updates_match_numpy_while_the_noise_rises(draws, batches):
    ranges = iter([0.0, 0.2])

    def expected(batch, drawn):
        return losses(batch, drawn, noise_range=next(ranges))

    check_updates(
        losses_alone(tiny(noise_rise=(0.0, 0.5))), batches, draws, expected, TRAINS, RATES
    )


def test_updates_of_a_regular_gan_match_numpy(draws, batches):
    """Q learns, and neither trunk nor generator hears of it."""

    def expected(batch, drawn):
        return losses(batch, drawn, informed=False)

    method = losses_alone(tiny(informed=False))
    check_updates(method, batches, draws, expected, TRAINS, RATES)
    with pytest.raises(AssertionError):
        check_updates(losses_alone(tiny()), batches[:1], draws, expected, TRAINS, RATES)


def changed(before, after):
    return {
        name
        for name in before
        if not all(map(jnp.array_equal, *map(jax.tree.leaves, (before[name], after[name]))))
    }


@pytest.mark.parametrize("informed", [False, True])
def test_the_information_reaches_trunk_recognition_and_generator_only_if_informed(
    batches, informed
):
    """Two steps that differ in λ alone, by plain gradient descent."""
    plain = {phase: optax.sgd(0.1) for phase in TRAINS}
    after = []
    for weight in (0.5, 2.0):
        method = tiny(plain, informed=informed, weight=weight)
        state = method.init(jax.random.key(0))
        still = {
            phase: optax.sgd(0.0) if phase == "discriminator" else plain[phase] for phase in TRAINS
        }
        both = [
            method.train_step(state, batches[0], jax.random.key(1))[0].params,
            tiny(still, informed=informed, weight=weight)
            .train_step(state, batches[0], jax.random.key(1))[0]
            .params,
        ]
        after.append(both)
    (first, first_still), (second, second_still) = after
    of_images = {"trunk", "recognition"} if informed else {"recognition"}
    assert changed(first, second) - {"generator"} == of_images
    assert changed(first_still, second_still) == ({"generator"} if informed else set())


def test_metrics_say_the_bound_and_the_game(batches):
    method = tiny(**{"discriminator.noise": 0.0})
    state = method.init(jax.random.key(0))
    _, metrics = method.train_step(state, batches[0], jax.random.key(1))
    of = {name.removeprefix("discriminator/"): float(v) for name, v in metrics.items()}
    information = WEIGHT * of["categorical_information"]
    information += CONTINUOUS * of["continuous_information"]
    assert of["loss"] == pytest.approx(of["game"] - information, rel=1e-5)
    assert of["categorical_information"] < np.log(3)


def test_codes_go_in_and_come_out(batches):
    method, images = tiny(), batches[0].images
    state = method.init(jax.random.key(0))
    probabilities, means = method.encode(state, images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(method.classify(state, images), probabilities)
    assert means.shape == (8, 2)
    noise = jnp.zeros((8, 2))
    first = method.decode(state, jnp.eye(3)[jnp.zeros(8, int)], means, noise)
    other = method.decode(state, jnp.eye(3)[jnp.ones(8, int)], means, noise)
    assert first.shape == images.shape and float(jnp.abs(first - other).max()) > 1e-4
    assert method.sample(state, jax.random.key(1), 5).shape == (5, 4, 2, 1)
    logits = method.discriminate(state, images)
    np.testing.assert_allclose(method.evaluate(state, images)[:, 0], softplus(-logits), rtol=1e-5)


@pytest.mark.parametrize("changes", [{"num_categories": 0}, {"num_continuous": 0, "noise_dim": 0}])
def test_parts_of_the_code_may_be_left_out(batches, changes):
    method = tiny(**changes)
    state = method.init(jax.random.key(0))
    _, metrics = method.train_step(state, batches[0], jax.random.key(1))
    kind = "continuous" if "num_categories" in changes else "categorical"
    assert [name for name in metrics if "information" in name] == [
        f"discriminator/{kind}_information"
    ]
    (found,) = method.encode(state, batches[0].images)
    assert found.shape == (8, 2 if kind == "continuous" else 3)
    assert (method.classify is None) == (kind == "continuous")
    assert method.sample(state, jax.random.key(1), 3).shape == (3, 4, 2, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_categories": 0, "num_continuous": 0}, "leaves nothing to recognise"),
        ({"num_categories": 1}, "leaves nothing to recognise"),
        ({"noise_dim": -1}, "noise_dim is -1"),
        ({"noise_rise": (0.5, 0.2)}, "the lower first"),
        ({"weight": -1.0}, "model.weight is -1.0; it must be at least 0"),
        ({"continuous_std": 0.0}, "must be positive"),
        ({"generator.output": "tanh"}, "set it to 'sigmoid'"),
        ({"generator.features": (8, 4)}, "model.generator.features has 2 convolutions"),
        ({"discriminator.batch_norm": "after_relu"}, "one mean logit"),
        ({"discriminator.features": (), "discriminator.dense": ()}, "has no layers"),
        ({"discriminator.leak": 1.0}, "leak is 1.0"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(UserError, match=message):
        tiny(**changes)


def test_the_settings_for_mnist():
    method = methods.build("infogan", spec=methods.DataSpec((28, 28, 1), 10))
    state = jax.eval_shape(method.init, jax.random.key(0))
    kernels = {
        network: [layer["kernel"].shape for _, layer in sorted(layers.items()) if "kernel" in layer]
        for network, layers in state.params.items()
    }
    assert kernels["generator"] == [
        (4, 4, 128, 64),
        (4, 4, 64, 1),
        (74, 1024),
        (1024, 128 * 7 * 7),
    ]
    assert kernels["trunk"] == [(4, 4, 1, 64), (4, 4, 64, 128), (128 * 7 * 7, 1024)]
    assert kernels["recognition"] == [(1024, 128), (128, 10), (128, 2)]
    assert "_Activation_0" not in state.batch_stats["trunk"]  # its first layer has no batch norm
