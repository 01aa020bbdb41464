"""The networks of tables 1 to 3, and where the code enters the discriminator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.errors import UserError
from aae_jax.networks import dcgan


def shapes(module, *inputs):
    variables = jax.eval_shape(
        lambda key: module.init({"params": key}, *inputs, train=False), jax.random.key(0)
    )
    return {
        name: layer["kernel"].shape
        for name, layer in variables["params"].items()
        if "kernel" in layer
    }


def test_table_1_is_the_default():
    config = methods.default_config("implicit_autoencoder")
    spec = methods.DataSpec((28, 28, 1), 10, labelled=False)
    method = methods.build("implicit_autoencoder", config, spec=spec)
    state = jax.eval_shape(method.init, jax.random.key(0))
    kernels = {
        network: [layer["kernel"].shape for _, layer in sorted(layers.items()) if "kernel" in layer]
        for network, layers in state.params.items()
    }
    assert kernels["encoder"] == [(784, 2000), (2000, 2000), (2000, 10)]
    assert kernels["decoder"] == [
        (4, 4, 128, 64),
        (4, 4, 64, 1),
        (110, 1024),
        (1024, 128 * 7 * 7),
    ]
    assert kernels["reconstruction_discriminator"] == [
        (4, 4, 1, 64),
        (4, 4, 64, 128),
        (128 * 7 * 7, 1024),
        (1024, 1),
        (10, 1000),
        (1000, 14 * 14),
    ]
    means = {
        network: sorted(layer["BatchNorm_0"]["mean"].shape for layer in layers.values())
        for network, layers in state.batch_stats.items()
        if network != "encoder"
    }
    assert means["decoder"] == [(64,), (1024,), (6272,)]
    assert means["reconstruction_discriminator"] == [(64,), (128,), (1024,)]
    assert state.batch_stats["encoder"]["BatchNorm_0"]["mean"].shape == (10,)


@pytest.mark.parametrize(
    ("size", "kernel", "widths", "code_dim"),
    [(32, 4, (64, 128, 256), 75), (48, 6, (128, 256, 512), 50)],
    ids=["table 2", "table 3"],
)
def test_tables_2_and_3(size, kernel, widths, code_dim):
    images, z, n = (jnp.zeros((1, size, size, 3)), jnp.zeros((1, code_dim)), jnp.zeros((1, 1000)))
    small = size // 8
    encoder = shapes(dcgan.DcganEncoder(widths, (), code_dim, kernel), images)
    convolutions = [
        (kernel, kernel, *channels) for channels in zip((3, *widths), widths, strict=False)
    ]
    assert list(encoder.values()) == [*convolutions, (small * small * widths[2], code_dim)]
    decoder = dcgan.DcganDecoder((), widths[::-1], images.shape[1:], "tanh", kernel)
    assert shapes(decoder, z, n) == {
        "Dense_0": (code_dim + 1000, small * small * widths[2]),
        "ConvTranspose_0": (kernel, kernel, widths[2], widths[1]),
        "ConvTranspose_1": (kernel, kernel, widths[1], widths[0]),
        "ConvTranspose_2": (kernel, kernel, widths[0], 3),
    }
    of = jax.eval_shape(lambda: decoder.init_with_output(jax.random.key(0), z, n, train=False)[0])
    assert of.shape == images.shape
    discriminator = shapes(dcgan.PairDiscriminator(widths, (), kernel_size=kernel), images, z)
    assert discriminator["map_1"] == (1000, (size // 2) ** 2)
    assert discriminator["Dense_0"] == (small * small * widths[2], 1)


@pytest.mark.parametrize("conditioning", dcgan.CONDITIONINGS)
def test_the_code_is_a_bias_of_one_layer(conditioning, monkeypatch):
    entered = []
    true = dcgan._Activation.__call__

    def recorded(self, x, *, train):
        entered.append(x)
        return true(self, x, train=train)

    monkeypatch.setattr(dcgan._Activation, "__call__", recorded)
    module = dcgan.PairDiscriminator((3, 2), (4,), conditioning, batch_norm="")
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(size=(2, 8, 8, 1)), jnp.float32)
    codes = jnp.asarray(rng.normal(size=(2, 5)), jnp.float32)
    variables = module.init(jax.random.key(0), images, codes, train=False)
    entered.clear()
    module.apply(variables, images, codes, train=False)
    with_codes = entered[:]
    entered.clear()
    module.apply(variables, images, jnp.zeros_like(codes), train=False)
    bias = np.asarray(with_codes[0] - entered[0])  # before the ReLU, of the first layer
    if conditioning == "dense":
        assert not bias.any() and not (with_codes[1] - entered[1]).any()
        by_code = codes @ variables["params"]["map_0"]["kernel"]
        np.testing.assert_allclose(with_codes[2] - entered[2], by_code, atol=1e-5)
        return
    assert bias.shape == (2, 4, 4, 3)
    across_space, across_channels = bias.std(axis=(1, 2)).max(), bias.std(axis=3).max()
    if conditioning == "location_invariant":
        np.testing.assert_allclose(
            bias[:, 0, 0], codes @ variables["params"]["map_0"]["kernel"], atol=1e-5
        )
        assert across_space < 1e-6 < 0.1 < across_channels
    else:
        assert across_channels < 1e-6 < 0.1 < across_space


def test_without_convolutions_the_invariant_bias_is_the_code_as_a_further_input():
    module = dcgan.PairDiscriminator((), (4,), "location_invariant", batch_norm="")
    points, codes = jnp.ones((3, 2)), jnp.eye(3)
    variables = module.init(jax.random.key(0), points, codes, train=False)
    params = variables["params"]
    joint = jnp.concatenate([params["Dense_0"]["kernel"], params["map_0"]["kernel"]])
    hidden = jax.nn.relu(jnp.concatenate([points, codes], axis=1) @ joint)
    np.testing.assert_allclose(
        module.apply(variables, points, codes, train=False),
        (hidden @ params["Dense_1"]["kernel"])[:, 0],
        rtol=1e-5,
    )


def test_noise_inside_the_discriminator_is_of_training_alone():
    module = dcgan.PairDiscriminator((2,), (3,), "location_invariant", noise=0.5, batch_norm="")
    images, codes = jnp.ones((4, 4, 4, 1)), jnp.eye(4)
    variables = module.init(jax.random.key(0), images, codes, train=False)
    first, second = (
        module.apply(variables, images, codes, train=True, rngs={"noise": jax.random.key(key)})
        for key in (1, 2)
    )
    assert jnp.abs(first - second).min() > 1e-6
    module.apply(variables, images, codes, train=False)  # needs no key


def test_batch_norm_before_the_logit_gives_batches_apart_one_mean():
    """The trap: whatever the pairs are, the mean logit of a batch is the same number."""
    rng = np.random.default_rng(1)
    pairs = [
        (jnp.asarray(rng.uniform(a, b, (16, 4, 4, 1))), jnp.eye(16)[:, :3])
        for a, b in [(0, 1), (2, 9)]
    ]

    def means(batch_norm):
        module = dcgan.PairDiscriminator((2,), (6,), "location_invariant", batch_norm=batch_norm)
        variables = module.init(jax.random.key(0), *pairs[0], train=False)
        return [
            module.apply(variables, *pair, train=True, mutable=["batch_stats"])[0].mean()
            for pair in pairs
        ]

    real, fake = means("after_relu")
    assert abs(real - fake) < 1e-5
    real, fake = means("before_relu")
    assert abs(real - fake) > 1e-3


@pytest.mark.parametrize("kind", ["shared", "fixed"])
def test_the_encoders_scale_has_no_offsets(kind):
    module = dcgan.DcganEncoder((), (4,), 3, head_batch_norm=kind, head_scale=2.0)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(size=(64, 2, 2, 1)), jnp.float32)
    variables = module.init(jax.random.key(0), images, train=False)
    outputs, _ = module.apply(variables, images, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(outputs.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(outputs.std(axis=0), 2, rtol=1e-2)
    learned = variables["params"].get("head_scale")
    assert learned == (2 if kind == "shared" else None)


@pytest.mark.parametrize("shape", [(30, 28, 1), (8,)])
def test_images_that_cannot_be_halved_are_refused(shape):
    with pytest.raises(UserError, match="each of which halves"):
        dcgan.check_image_shape(shape, (8, 8), "model.encoder.features")
