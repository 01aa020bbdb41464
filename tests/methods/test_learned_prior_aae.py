"""Learned priors: an update against NumPy in all switches and conditions, what reaches which
network, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    conv,
    dense,
    moved_off_zero,
    normalised,
    np_gradient,
    np_tree,
    softplus,
    transposed_conv,
)

RATE = 0.05
LAMBDA, ENCODER_WEIGHT, INFORMATION, CLASSIFICATION = 0.7, 0.4, 0.6, 0.3
CLASSES = 3
AAE = ("code_discriminator", "encoder", "decoder")
PRIOR = ("image_discriminator", "decoder_game", "code_generator", "recognition")


def spec(condition=""):
    found = methods.DataSpec((4, 4, 1), CLASSES, labelled=condition == "labels", scaling="unit")
    if condition == "sentences":
        found = found._replace(caption_length=2, vocabulary_size=4)
    return found


def tiny(condition="", parts=None, **changes):
    config = methods.default_config("learned_prior_aae")
    config.update_from_flattened_dict(
        {
            "condition": condition,
            "code_dim": 5 if condition else 2,
            "noise_dim": 2,
            "weight": LAMBDA,
            "encoder_weight": ENCODER_WEIGHT,
            "information_weight": INFORMATION,
            "classification_weight": CLASSIFICATION,
            "encoder.features": (2,),
            "decoder.features": (2, 2),
            "decoder.output": "linear",
            "image_discriminator.features": (3,),
            "image_discriminator.dense": (3,),
            "code_discriminator_hidden": (3,),
            "text.kind": "convolutional",
            "text.width": 2,
            "text.dim": 3,
        }
        | changes
    )
    with config.unlocked():
        for phase in config.optimizers:
            config.optimizers[phase] = sgd(RATE, 0.0)
    return methods.build("learned_prior_aae", config, spec=spec(condition), parts=parts)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(size=(6, 4, 4, 1)), jnp.float32)
    return Batch(
        images,
        images[::-1],
        jnp.asarray([0, 2, 1, 2, 1, 0], jnp.int32),
        captions=jnp.asarray([[1, 2], [3, 0], [2, 2], [1, 0], [3, 1], [2, 3]], jnp.int32),
        caption_classes=jnp.arange(6),
    )


def conv3(params, x, stride=1):
    """3x3 windows; of stride 2 on an even image the first begins at its corner."""
    size = x.shape[1] // stride
    x = np.pad(
        x, ((0, 0), (0, 1), (0, 1), (0, 0)) if stride == 2 else ((0, 0), (1, 1), (1, 1), (0, 0))
    )
    out = np.zeros((len(x), size, size, params["kernel"].shape[3])) + params["bias"]
    for i, j in np.ndindex(3, 3):
        rows, columns = (slice(k, k + stride * (size - 1) + 1, stride) for k in (i, j))
        out += x[:, rows, columns] @ params["kernel"][i, j]
    return out


def relu(x):
    return np.maximum(x, 0)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def np_encoder(params, x):
    x = relu(conv3(params["Conv_0"], x, stride=2))
    block = params["ResidualBlock_0"]
    x = relu(x + relu(conv3(block["Conv_1"], relu(conv3(block["Conv_0"], x)))))
    x = relu(normalised(params["BatchNorm_0"], dense(params["Dense_0"], x.mean(axis=(1, 2)))))
    return dense(params["Dense_1"], x)


def np_decoder(params, z):
    x = dense(params["Dense_0"], z).reshape(len(z), 2, 2, 2)
    x = relu(normalised(params["BatchNorm_0"], x))
    block = params["ResidualBlock_0"]
    y = relu(conv3(block["Conv_0"], relu(transposed_conv(block["ConvTranspose_0"], x))))
    skip = x @ block["skip"]["kernel"][0, 0] + block["skip"]["bias"]
    x = relu(skip.repeat(2, axis=1).repeat(2, axis=2) + y)
    return conv3(params["Conv_0"], x)


def np_code_generator(params, z, *s):
    x = dense(params["Dense_0"], np.concatenate([z, *s], axis=1))
    x = relu(normalised(params["BatchNorm_0"], x))
    return normalised(params["BatchNorm_1"], dense(params["Dense_1"], x))


def np_code_discriminator(params, z):
    return dense(params["head"], leaky(dense(params["trunk"]["Dense_0"], z)))[:, 0]


def np_image_discriminator(params, x, *s):
    """Logits, the convolution's activations and the hidden layer's; a condition joins both."""
    trunk = params["trunk"]
    joined = [
        name
        for name in ("Dense_0", "Dense_1", "Dense_2")
        if "bias" not in trunk.get(name, {"bias": 0})
    ]
    plain = next(name for name in trunk if name.startswith("Dense") and "bias" in trunk[name])
    x = conv(trunk["Conv_0"], x)
    if s:
        x = x + (s[0] @ trunk[joined[0]]["kernel"])[:, None, None]
    features = leaky(x)
    x = dense(trunk[plain], features.reshape(len(x), -1))
    if s:
        x = x + s[0] @ trunk[joined[1]]["kernel"]
    top = leaky(normalised(trunk["_Activation_1"]["BatchNorm_0"], x))
    return dense(params["head"], top)[:, 0], features, top


def cross_entropy(logits, targets):
    return np.log(np.exp(logits).sum(axis=1)) - (logits * targets).sum(axis=1)


def np_losses(x, given, drawn, model):
    """(losses of the AAE phase, of the prior improvement phase), functions of the parameters that
    give a dict by name. ``drawn`` is what jax.random returned in each of the two."""

    def generated(p, draws):
        draws = list(draws)
        z = draws.pop(0)
        s = given or (
            [np.eye(CLASSES)[draws.pop(0).astype(int)]]
            if model["condition"] == "categories"
            else []
        )
        if not model["learned_prior"]:
            return s, np.concatenate([*s, z], axis=1), draws
        return s, np_code_generator(p["code_generator"], z, *s), draws

    def errors(a, b):
        squares = np.square(a - b).reshape(len(a), -1)
        return (squares.sum(axis=1) if model["error"] == "sum" else squares.mean(axis=1)).mean()

    def adversary(d):
        return (softplus(-d) if model["game"] == "non_saturating" else -softplus(d)).mean()

    def seen(p, fake):
        of_image = [np.concatenate([s, s]) for s in given if model["condition"] == "sentences"]
        outputs = np_image_discriminator(
            p["image_discriminator"], np.concatenate([x, fake]), *of_image
        )
        return [np.split(output, 2) for output in outputs]

    def aae(p):
        s, z_c, draws = generated(p, drawn[0])
        z = np_encoder(p["encoder"], x)
        if model["posterior"] == "gaussian":
            mean, log_std = np.split(z, 2, axis=1)
            z = mean + np.exp(log_std) * draws.pop(0)
        assert not draws
        told = s if model["condition"] == "labels" else []
        d_real, d_fake = (
            np_code_discriminator(p["code_discriminator"], np.concatenate([code, *told], axis=1))
            for code in (z_c, z)
        )
        made = np_decoder(p["decoder"], z)
        found = {
            "code_discriminator": (softplus(-d_real) + softplus(d_fake)).mean(),
            "encoder_game": adversary(d_fake),
            "error": errors(made, x),
        }
        if model["perceptual"]:
            _, (of_x, of_made), _ = seen(p, made)
            found["error"] = errors(of_x, of_made)
        return found

    def prior(p):
        s, z_c, draws = generated(p, drawn[1])
        assert not draws
        (d_real, d_fake), _, (of_x, top) = seen(p, np_decoder(p["decoder"], z_c))
        found = {
            "image_discriminator": (softplus(-d_real) + softplus(d_fake)).mean(),
            "image_game": adversary(d_fake),
            "information": 0.0,
            "classification": 0.0,
        }
        if s:
            q = dense(p["recognition"]["Layer_0"]["Dense_0"], top)
            if model["condition"] == "sentences":
                costs = 0.5 * np.square(q - s[0]).sum(axis=1)
            else:
                costs = cross_entropy(q, s[0])
            found["information"] = costs.mean()
        if model["condition"] == "labels":
            q = dense(p["recognition"]["Layer_0"]["Dense_0"], of_x)
            found["classification"] = cross_entropy(q, s[0]).mean()
        return found

    return aae, prior


def expected_phases(model):
    """(network, weights of the losses) of every phase that a system has, in the two parts."""
    information = {"information": INFORMATION if model["condition"] else 0.0}
    of_q = {"classification": CLASSIFICATION} | information
    first = {
        "code_discriminator": ("code_discriminator", {"code_discriminator": 1.0}),
        "encoder": ("encoder", {"encoder_game": 1.0, "error": ENCODER_WEIGHT}),
        "decoder": ("decoder", {"error": LAMBDA}),
    }
    second = {
        "image_discriminator": ("image_discriminator", {"image_discriminator": 1.0, **of_q}),
        "decoder_game": ("decoder", {"image_game": 1.0, **information}),
        "code_generator": ("code_generator", {"image_game": 1.0, **information}),
        "recognition": ("recognition", of_q),
    }
    if not model["decoder_in_both"]:
        del second["decoder_game"]
    if not model["learned_prior"]:
        del second["code_generator"]
    if not model["condition"]:
        del second["recognition"]
    if not any(
        model[name] for name in ("learned_prior", "perceptual", "decoder_in_both", "condition")
    ):
        second = {}
    return first, second


DEFAULTS = {
    "learned_prior": True,
    "perceptual": True,
    "decoder_in_both": True,
    "together": True,
    "condition": "",
    "posterior": "deterministic",
    "error": "sum",
    "game": "non_saturating",
}
CASES = [
    # Table 3's rows, then B and C without A, then algorithm 1's order and everything else.
    {"learned_prior": False, "perceptual": False, "decoder_in_both": False},
    {"perceptual": False, "decoder_in_both": False},
    {"decoder_in_both": False},
    {},
    {"learned_prior": False, "decoder_in_both": False, "error": "mean", "posterior": "gaussian"},
    {"together": False},
    {"condition": "labels", "game": "minimax"},
    {"condition": "categories", "learned_prior": False},
    {"condition": "sentences"},
]


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_an_update_matches_numpy(changes, draws, batch):
    model = DEFAULTS | changes
    condition = model["condition"]
    if not model["learned_prior"] and not condition:
        changes = changes | {"noise_dim": 2}
    method = tiny(**changes)
    state = method.init(jax.random.key(1))
    state = state._replace(params=moved_off_zero(state.params))
    params = np_tree(state.params)
    first, second = expected_phases(model)
    assert set(state.opt_state) == {*first, *second}
    networks = {network for network, _ in (*first.values(), *second.values())}
    assert set(params) - {"text_encoder"} == networks
    x = np.float64(batch.labelled_images if condition == "labels" else batch.images)
    given = []
    if condition == "labels":
        given = [np.eye(CLASSES)[np.asarray(batch.labels)]]
    if condition == "sentences":
        given = [np.float64(method.encode_text(state, batch.captions))]
    draws.clear()
    after, metrics = method.train_step(state, batch, jax.random.key(0))
    assert int(after.step) == 1
    # Every phase of the first part draws the same once more, then every phase of the second.
    each = [
        1 + (condition == "categories") + (model["posterior"] == "gaussian"),
        1 + (condition == "categories"),
    ]
    drawn, start = [], 0
    for num, phases in zip(each, (first, second)):
        copies = [draws[start + i * num : start + (i + 1) * num] for i in range(len(phases))]
        for copy in copies:
            jax.tree.map(np.testing.assert_array_equal, copy, copies[0])
        drawn.append([np.array(array, np.float64) for array in copies[0]] if copies else [])
        start += num * len(phases)
    assert len(draws) == start
    if second:
        assert np.abs(drawn[0][0] - drawn[1][0]).max() > 0.1  # noise of its own in each

    for losses, phases in zip(np_losses(x, given, drawn, model), (first, second)):
        before = jax.tree.map(np.array, params)
        for name, (network, weights) in phases.items():

            def total(p, weights=weights, losses=losses):
                found = losses(p)
                return sum(weight * found[part] for part, weight in weights.items())

            at = before if model["together"] else jax.tree.map(np.array, params)
            np.testing.assert_allclose(metrics[f"{name}/loss"], total(at), rtol=1e-4, err_msg=name)
            gradient = np_gradient(total, at, (network,))[network]
            assert max(np.abs(g).max() for g in jax.tree.leaves(gradient)) > 1e-3, name
            params[network] = jax.tree.map(lambda p, g: p - RATE * g, params[network], gradient)
    for network, expected in params.items():
        jax.tree.map(
            lambda a, e, n=network: np.testing.assert_allclose(
                a, e, rtol=1e-3, atol=3e-5, err_msg=n
            ),
            after.params[network],
            expected,
        )


@pytest.mark.parametrize("moments", ["batch", "running"])
def test_features_are_compared_by_the_moments_asked_for(moments, batch):
    """The decoder's update, of which they are all."""
    convolutions = {"image_discriminator.features": (3, 2), "decoder_in_both": False}
    method = tiny(perceptual_moments=moments, **convolutions)
    state = method.init(jax.random.key(1))
    kept = {"mean": jnp.asarray([0.3, -0.2]), "var": jnp.asarray([0.5, 2.0])}
    stats = state.batch_stats["image_discriminator"]["trunk"]
    stats = stats | {"_Activation_1": {"BatchNorm_0": kept}}
    state = state._replace(
        params=moved_off_zero(state.params),
        batch_stats=state.batch_stats | {"image_discriminator": {"trunk": stats}},
    )
    params, x = np_tree(state.params), np.float64(batch.images)
    trunk = params["image_discriminator"]["trunk"]

    def features(images):
        h = conv(trunk["Conv_1"], leaky(conv(trunk["Conv_0"], images)))
        norm = trunk["_Activation_1"]["BatchNorm_0"]
        if moments == "batch":
            return leaky(normalised(norm, h))
        h = (h - np.float64(kept["mean"])) / np.sqrt(np.float64(kept["var"]) + 1e-5)
        return leaky(h * norm["scale"] + norm["bias"])

    def error(p):
        made = np_decoder(p["decoder"], np_encoder(p["encoder"], x))
        of_x, of_made = np.split(features(np.concatenate([x, made])), 2)
        return np.square(of_x - of_made).reshape(len(x), -1).sum(axis=1).mean()

    after, metrics = method.train_step(state, batch, jax.random.key(0))
    np.testing.assert_allclose(metrics["feature"], error(params), rtol=1e-4)
    gradient = np_gradient(error, params, ("decoder",))["decoder"]
    expected = jax.tree.map(lambda p, g: p - RATE * LAMBDA * g, params["decoder"], gradient)
    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-3, atol=3e-5),
        after.params["decoder"],
        expected,
    )


def test_running_statistics_are_of_what_networks_are_used_on(batch):
    method = tiny()
    state = method.init(jax.random.key(0))
    after, metrics = jax.jit(method.train_step)(state, batch, jax.random.key(1))
    assert {"feature", "pixel", "image_game", "encoder_game"} <= set(metrics)
    for name in ("encoder", "decoder", "code_generator", "image_discriminator"):
        changed = jax.tree.map(
            lambda a, b: not jnp.array_equal(a, b), state.batch_stats[name], after.batch_stats[name]
        )
        assert any(jax.tree.leaves(changed)), name


def test_what_a_system_has(batch):
    baseline = tiny(learned_prior=False, perceptual=False, decoder_in_both=False)
    assert baseline.features is None and baseline.classify is None
    z = jnp.asarray([[0.5, -1.0]])
    state = baseline.init(jax.random.key(0))
    np.testing.assert_array_equal(baseline.embed(state, z), z)
    labels = tiny("labels")
    state = labels.init(jax.random.key(0))
    y = jnp.eye(CLASSES)
    codes = labels.embed(state, jnp.tile(z, (3, 1)), y)
    assert codes.shape == (3, 5) and np.abs(codes[0] - codes[1]).max() > 1e-3
    assert labels.decode(state, codes).shape == (3, 4, 4, 1)
    assert labels.discriminate(state, codes, y).shape == (3,)
    assert labels.classify(state, batch.images).shape == (6, CLASSES)
    sentences = tiny("sentences")
    state = sentences.init(jax.random.key(0))
    z = jnp.zeros((6, 2))
    h = sentences.encode_text(state, batch.captions)
    np.testing.assert_allclose(
        sentences.embed(state, z, batch.captions), sentences.embed(state, z, h), rtol=1e-6
    )
    assert sentences.sample is None


class OwnGenerator(nn.Module):
    @nn.compact
    def __call__(self, z, *s, train):
        return nn.Dense(3)(z)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"condition": "label"}, "unknown model.condition 'label'"),
        ({"error": "max"}, "unknown model.error"),
        ({"perceptual_moments": "none"}, "unknown model.perceptual_moments"),
        ({"game": "wasserstein"}, "unknown model.game"),
        ({"posterior": "universal"}, "unknown model.posterior"),
        ({"image_discriminator.features": ()}, "features of the perceptual loss .* it has none"),
        ({"image_discriminator.features": (), "perceptual": False}, "no convolutions: give it"),
        ({"learned_prior": False, "code_dim": 4}, "set model.noise_dim to 4"),
        ({"encoder.features": (2, 2, 2)}, "model.encoder.features has 3 strides"),
        ({"decoder.features": (2, 2, 2, 2)}, "model.decoder.features has 3 blocks"),
        ({"decoder.features": ()}, "model.decoder.features is empty"),
        ({"decoder.output": "tanh"}, "set it to 'sigmoid'"),
        ({"parts": {"code_generator": OwnGenerator()}}, r"codes are \(2, 2\)"),
        ({"code_dim": 0}, "code_dim is 0"),
    ],
)
def test_bad_settings_are_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        tiny(**changes)
    assert "\n" not in str(error.value)


def test_labels_are_for_a_prior_that_is_conditioned_on_them():
    config = methods.default_config("learned_prior_aae")
    for condition, labelled in (("labels", False), ("", True)):
        config.condition = condition
        with pytest.raises(UserError, match=r"set data\.labelled_batch_size to"):
            methods.build(
                "learned_prior_aae",
                config,
                spec=methods.DataSpec((32, 32, 3), 10, labelled=labelled, scaling="symmetric"),
            )
