"""The conditional GAN: steps against NumPy for both kinds of networks, which gradient reaches which
network, maxout by hand, and settings that it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.networks.mlp import Discriminator, Maxout
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    conv,
    dense,
    normalised,
    sigmoid,
    softplus,
    transposed_conv,
)

SPEC = methods.DataSpec((4, 2, 1), 3, labelled=True)
TRAINS = {"discriminator": ("discriminator",), "generator": ("generator",)}
RATES = {"discriminator": (0.1, 0.1), "generator": (0.2, 0.3)}
LEAK = 0.2


def tiny(optimizers=None, spec=SPEC, **changes):
    config = methods.default_config("conditional_gan")
    config.update_from_flattened_dict(
        {
            "noise_dim": 2,
            "mlp.noise_hidden": 3,
            "mlp.label_hidden": 4,
            "mlp.hidden": 5,
            "mlp.image_units": 4,
            "mlp.image_pieces": 3,
            "mlp.label_units": 2,
            "mlp.label_pieces": 2,
            "mlp.joint_units": 3,
            "mlp.joint_pieces": 2,
            "mlp.dropout": 0.0,
            "generator.dense": (4,),
            "generator.features": (3,),
            "generator.kernel_size": 4,
            "discriminator.features": (3,),
            "discriminator.dense": (4,),
            "discriminator.kernel_size": 4,
            "init": "he_normal",
            "schedule.name": "constant",
        }
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return methods.build("conditional_gan", config, spec=spec, optimizers=optimizers)


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    nothing = jnp.full((2, 4, 2, 1), jnp.nan)  # it must not look at unlabelled images
    return [
        Batch(
            nothing,
            jnp.asarray(rng.uniform(size=(6, 4, 2, 1)), jnp.float32),
            jnp.asarray([0, 2, 1, 2, 0, 1], jnp.int32),
        )
        for _ in range(2)
    ]


def relu(x):
    return np.maximum(x, 0)


def np_maxout(params, x, units, pieces):
    return dense(params["Dense_0"], x).reshape(len(x), units, pieces).max(axis=2)


def np_mlp_generator(params, y, z):
    both = [relu(dense(params["label"], y)), relu(dense(params["noise"], z))]
    x = relu(dense(params["joint"], np.concatenate(both, axis=1)))
    return sigmoid(dense(params["pixels"], x)).reshape(-1, 4, 2, 1)


def np_mlp_discriminator(params, x, y):
    of_image = np_maxout(params["image"], x.reshape(len(x), -1), 4, 3)
    of_label = np_maxout(params["label"], y, 2, 2)
    x = np_maxout(params["joint"], np.concatenate([of_image, of_label], axis=1), 3, 2)
    return dense(params["logit"], x)[:, 0]


def np_conv_generator(params, y, z):
    def activated(name, x):
        return relu(normalised(params[name]["BatchNorm_0"], x))

    x = activated("_Activation_0", dense(params["Dense_0"], np.concatenate([y, z], axis=1)))
    x = activated("_Activation_1", dense(params["Dense_1"], x)).reshape(len(x), 2, 1, 3)
    return sigmoid(transposed_conv(params["ConvTranspose_0"], x))


def np_conv_discriminator(params, x, y):
    """The label is a bias of the convolution's channels and of the dense layer's."""

    def leaky(x):
        return np.where(x > 0, x, LEAK * x)

    trunk = params["trunk"]
    x = leaky(conv(trunk["Conv_0"], x) + dense(trunk["Dense_0"], y)[:, None, None])
    x = dense(trunk["Dense_1"], x.reshape(len(x), -1)) + dense(trunk["Dense_2"], y)
    x = leaky(normalised(trunk["_Activation_1"]["BatchNorm_0"], x))
    return dense(params["head"], x)[:, 0]


def losses_of(np_generator, np_discriminator, one_batch=False):
    def losses(batch, drawn):
        x, y = np.float64(batch.labelled_images), np.eye(3)[np.asarray(batch.labels)]
        first, second = drawn
        assert first.shape == second.shape == (6, 2)
        assert not np.allclose(first, second)  # each phase draws its own

        def logits(p, z):
            """Of real and of generated images under the same labels."""
            fake = np_generator(p["generator"], y, z)
            if one_batch:
                both = np.concatenate([x, fake]), np.concatenate([y, y])
                found = np_discriminator(p["discriminator"], *both)
                return found[:6], found[6:]
            return tuple(np_discriminator(p["discriminator"], images, y) for images in (x, fake))

        def discriminator(p):
            d_real, d_fake = logits(p, first)
            return (softplus(-d_real) + softplus(d_fake)).mean()

        return {
            "discriminator": discriminator,
            "generator": lambda p: softplus(-logits(p, second)[1]).mean(),
        }

    return losses


def test_updates_of_the_mlps_match_numpy(draws, batches):
    losses = losses_of(np_mlp_generator, np_mlp_discriminator)
    check_updates(tiny(), batches, draws, losses, TRAINS, RATES)


@pytest.mark.parametrize("one_batch", [False, True])
def test_updates_of_the_convolutions_match_numpy(draws, batches, one_batch):
    method = tiny(networks="convolutional", **{"discriminator.one_batch": one_batch})
    losses = losses_of(np_conv_generator, np_conv_discriminator, one_batch)
    check_updates(method, batches[:1], draws, losses, TRAINS, RATES)


@pytest.mark.parametrize("phase", TRAINS)
def test_a_phase_changes_its_own_network_only(phase, batches):
    still = {other: optax.set_to_zero() for other in TRAINS if other != phase}
    method = tiny(still)
    state = method.init(jax.random.key(0))
    after, _ = method.train_step(state, batches[0], jax.random.key(1))
    for name, before in state.params.items():
        same = map(jnp.array_equal, *map(jax.tree.leaves, (before, after.params[name])))
        assert all(same) == (name != phase)


def test_maxout_by_hand():
    module = Maxout(features=2, pieces=3)
    kernel = jnp.array([[1.0, 2.0, -1.0, 0.5, 0.0, 3.0]])
    bias = jnp.array([0.0, -1.0, 0.5, 0.0, 0.2, -9.0])
    params = {"Dense_0": {"kernel": kernel, "bias": bias}}
    found = module.apply({"params": params}, jnp.array([[2.0], [-2.0]]))
    # x = 2: max(2, 3, -1.5) and max(1, 0.2, -3); x = -2: max(-2, -5, 2.5), max(-1, 0.2, -15).
    np.testing.assert_allclose(found, [[3.0, 1.0], [2.5, 0.2]], rtol=1e-6)


def test_a_discriminator_of_maxout_units_has_no_relu():
    module = Discriminator((2,), "lecun_normal", pieces=2)
    x = jnp.ones((3, 4))
    variables = module.init(jax.random.key(0), x, train=False)
    params = variables["params"]
    hidden = Maxout(2, 2).apply({"params": params["Maxout_0"]}, x)
    expected = hidden @ params["Layer_0"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(module.apply(variables, x, train=False), expected[:, 0], rtol=1e-5)


def test_dropout_is_in_training_only(batches):
    dropped, plain = tiny(**{"mlp.dropout": 0.5}), tiny()
    state = dropped.init(jax.random.key(0))
    y, z = jnp.eye(3), jnp.ones((3, 2))
    np.testing.assert_array_equal(dropped.decode(state, y, z), plain.decode(state, y, z))
    metrics = [m.train_step(state, batches[0], jax.random.key(1))[1] for m in (dropped, plain)]
    assert all(metrics[0][name] != metrics[1][name] for name in metrics[0])


def test_samples_are_of_all_labels(draws):
    method = tiny()
    state = method.init(jax.random.key(0))
    draws.clear()
    assert method.sample(state, jax.random.key(1), 60).shape == (60, 4, 2, 1)
    labels, noise = draws
    assert set(np.asarray(labels)) == {0, 1, 2} and noise.shape == (60, 2)
    images = method.decode(state, jnp.eye(3), jnp.zeros((3, 2)))
    assert method.discriminate(state, images, jnp.eye(3)).shape == (3,)


@pytest.mark.parametrize(
    ("spec", "changes", "message"),
    [
        (SPEC._replace(labelled=False), {}, "needs data.labelled_batch_size > 0"),
        (SPEC, {"networks": "maxout"}, "unknown model.networks 'maxout'"),
        (SPEC, {"noise_dim": 0}, "noise_dim is 0"),
        (SPEC, {"mlp.joint_units": 0}, "mlp.joint_units is 0"),
        (SPEC, {"mlp.dropout": 1.0}, "mlp.dropout is 1.0"),
        (SPEC._replace(scaling="symmetric"), {}, "ends in a sigmoid"),
        (
            SPEC._replace(scaling="symmetric"),
            {"networks": "convolutional"},
            "set it to 'tanh'",
        ),
    ],
)
def test_settings_that_cannot_be(spec, changes, message):
    with pytest.raises(UserError, match=message):
        tiny(spec=spec, **changes)


def test_the_settings_for_mnist():
    method = methods.build("conditional_gan", spec=methods.DataSpec((28, 28, 1), 10))
    state = jax.eval_shape(method.init, jax.random.key(0))
    generator = {name: layer["kernel"].shape for name, layer in state.params["generator"].items()}
    assert generator == {
        "label": (10, 1000),
        "noise": (100, 200),
        "joint": (1200, 1200),
        "pixels": (1200, 784),
    }
    discriminator = state.params["discriminator"]
    maxouts = [discriminator[n]["Dense_0"]["kernel"].shape for n in ("image", "label", "joint")]
    assert maxouts == [(784, 240 * 5), (10, 50 * 5), (290, 240 * 4)]
