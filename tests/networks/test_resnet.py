"""CycleGAN's generator with conditional batch norm, discriminators of images, and a classifier."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from aae_jax.errors import UserError
from aae_jax.networks.resnet import (
    ConditionalBatchNorm,
    ImageDiscriminator,
    ResnetClassifier,
    ResnetGenerator,
    check_generator,
    largest_of_2x2,
)


def shapes(module, *inputs):
    return jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, train=False)["params"])


def test_noise_predicts_scale_and_offset_linearly():
    """γ and β by hand, each image by its own noise."""
    rng = np.random.default_rng(0)
    x, n = rng.normal(3, 2, size=(5, 2, 3, 4)), rng.normal(size=(5, 6))
    module = ConditionalBatchNorm()
    variables = module.init(jax.random.key(0), jnp.asarray(x), jnp.asarray(n), train=True)
    params = variables["params"]
    assert set(params) == {"gamma", "beta"}
    np.testing.assert_array_equal(params["gamma"]["bias"], 1)
    np.testing.assert_array_equal(params["beta"]["bias"], 0)
    params = jax.tree.map(lambda p: p + rng.normal(size=p.shape), params)
    ours, changed = module.apply(
        variables | {"params": params},
        jnp.asarray(x),
        jnp.asarray(n),
        train=True,
        mutable=["batch_stats"],
    )
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    gamma, beta = (n @ params[name]["kernel"] + params[name]["bias"] for name in ("gamma", "beta"))
    expected = gamma[:, None, None] * (x - mean) / np.sqrt(var + 1e-5) + beta[:, None, None]
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)
    kept = changed["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(kept["mean"], 0.1 * mean, rtol=1e-4)

    evaluated = module.apply(
        {"params": params} | changed, jnp.asarray(x), jnp.asarray(n), train=False
    )
    running = (x - 0.1 * mean) / np.sqrt(0.9 + 0.1 * var + 1e-5)
    np.testing.assert_allclose(
        evaluated, gamma[:, None, None] * running + beta[:, None, None], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("shape", [(28, 28, 1), (48, 48, 3), (64, 32, 3), (8, 8, 1)])
@pytest.mark.parametrize("noise_dim", [0, 100])
def test_images_keep_their_shape_and_noise_enters_all_layers(shape, noise_dim):
    module = ResnetGenerator(features=8, num_blocks=2)
    inputs = [jnp.zeros((2, *shape))] + ([jnp.zeros((2, noise_dim))] if noise_dim else [])
    params = shapes(module, *inputs)
    norms = [name for name in params if name.startswith("ConditionalBatchNorm")]
    assert len(norms) == 3 + 2 * 2 + 2  # all layers but the last
    for name in norms:
        if noise_dim:
            assert set(params[name]) == {"gamma", "beta"}
            assert params[name]["gamma"]["kernel"].shape[0] == noise_dim
        else:
            assert set(params[name]["BatchNorm_0"]) == {"scale", "bias"}
    widths = [params[f"Conv_{i}"]["kernel"].shape[3] for i in range(8)]
    assert widths == [8, 16, 32, 32, 32, 32, 32, shape[2]]
    assert [params[f"ConvTranspose_{i}"]["kernel"].shape[3] for i in (0, 1)] == [16, 8]
    assert [params[f"Conv_{i}"]["kernel"].shape[0] for i in (0, 1, 3, 7)] == [7, 3, 3, 7]
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, train=False))
    out = jax.eval_shape(lambda v: module.apply(v, *inputs, train=False), variables)
    assert out.shape == inputs[0].shape


@pytest.mark.parametrize(("halvings", "widths"), [(0, [4]), (1, [4, 8]), (3, [4, 8, 16, 32])])
def test_images_are_halved_as_often_as_asked(halvings, widths):
    module = ResnetGenerator(features=4, num_blocks=1, halvings=halvings)
    images = jnp.zeros((2, 16, 16, 1))
    params = shapes(module, images)
    convolutions = [params[f"Conv_{i}"]["kernel"].shape[3] for i in range(halvings + 4)]
    assert convolutions == [*widths, widths[-1], widths[-1], 1]
    ups = [params[f"ConvTranspose_{i}"]["kernel"].shape[3] for i in range(halvings)]
    assert ups == widths[-2::-1]
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), images, train=False))
    out = jax.eval_shape(lambda v: module.apply(v, images, train=False), variables)
    assert out.shape == images.shape


def test_the_generator_of_figure_8s_paper_profile_has_cyclegans_widths():
    params = shapes(ResnetGenerator(), jnp.zeros((1, 64, 64, 3)))
    assert params["Conv_0"]["kernel"].shape == (7, 7, 3, 64)
    assert params["Conv_2"]["kernel"].shape == (3, 3, 128, 256)
    assert sum(name.startswith("Conv_") for name in params) == 3 + 2 * 6 + 1


@pytest.mark.parametrize(("logits", "shape"), [("patches", (2, 4, 4)), ("image", (2,))])
def test_a_discriminator_of_pairs_sees_them_pixel_by_pixel(logits, shape):
    module = ImageDiscriminator((3, 4, 5), logits)
    images = jnp.zeros((2, 28, 28, 1))
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), images, images, train=False))
    assert variables["params"]["Conv_0"]["kernel"].shape == (4, 4, 2, 3)
    assert set(variables["batch_stats"]) == {"BatchNorm_0", "BatchNorm_1"}  # not the first layer
    out = jax.eval_shape(lambda v: module.apply(v, images, images, train=False), variables)
    assert out.shape == shape


def test_a_patchs_logit_is_local_and_noise_is_for_training():
    module = ImageDiscriminator((2,), noise=0.5, batch_norm=False)
    images = jax.random.normal(jax.random.key(1), (1, 16, 16, 1))
    params = module.init(jax.random.key(0), images, train=False)
    before = module.apply(params, images, train=False)
    after = module.apply(params, images.at[0, 0, 0].add(5.0), train=False)
    changed = np.argwhere(np.asarray(before != after)[0])
    assert 0 < changed.max() <= 2
    one, other = (
        module.apply(params, images, train=True, rngs={"noise": jax.random.key(i)})
        for i in range(2)
    )
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(before, module.apply(params, images, train=False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4, 4, 1), 8, 1), "at least 8 x 8 pixels, and these are 4 x 4 x 1"),
        (((2,), 8, 1), "at least 8 x 8"),
        (((30, 28, 1), 8, 1), "30 x 28 x 1 do not allow: prepare them with sides that 4 divides"),
        (((28, 28, 1), 0, 1), "generator.features is 0"),
        (((28, 28, 1), 8, -1), "num_blocks is -1"),
        (((14, 14, 1), 8, 1), "halves height and width twice, which images of 14 x 14 x 1"),
        (((15, 14, 1), 8, 1, 1), "halves height and width once.*sides that 2 divides"),
        (((2, 2, 1), 8, 1, 0), "at least 4 x 4 pixels"),
    ],
)
def test_images_that_no_generator_fits_are_refused(arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        check_generator(*arguments)
    assert "\n" not in str(caught.value)


def test_stages_keep_the_largest_of_four_places():
    images = jax.random.uniform(jax.random.key(2), (3, 4, 6, 2))
    expected = nn.max_pool(images, (2, 2), strides=(2, 2))
    np.testing.assert_array_equal(largest_of_2x2(images), expected)


def test_the_classifiers_blocks_add_what_they_are_given():
    images = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
    classifier = ResnetClassifier((4, 6), 2, 5)
    variables = classifier.init(jax.random.key(0), images, train=False)
    assert sorted(variables["params"]) == [
        *(f"BatchNorm_{i}" for i in range(6)),
        *(f"Conv_{i}" for i in range(6)),
        "Dense_0",
    ]
    params = dict(variables["params"])
    for block in (2, 4):  # the second of whose convolutions nothing comes out of
        last = f"BatchNorm_{block + 1}"
        params[last] = jax.tree.map(jnp.zeros_like, params[last])
    apply = functools.partial(classifier.apply, train=False, mutable=["intermediates"])
    (logits,), sown = apply({**variables, "params": params}, images)
    (hidden,) = sown["intermediates"]["hidden"]
    plain = ResnetClassifier((4, 6), 0, 5)
    kept = {k: params[k] for k in ("Conv_0", "Conv_1", "BatchNorm_0", "BatchNorm_1", "Dense_0")}
    stats = {k: variables["batch_stats"][k] for k in ("BatchNorm_0", "BatchNorm_1")}
    expected = plain.apply({"params": kept, "batch_stats": stats}, images, train=False)[0]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    dense = params["Dense_0"]
    np.testing.assert_allclose(hidden @ dense["kernel"] + dense["bias"], logits, rtol=1e-5)
    assert logits.shape == (2, 5) and float(jnp.abs(logits).max()) > 0
