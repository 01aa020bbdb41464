"""The PixelCNN: causality, receptive field, normalisation, conditioning, errors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from aae_jax import UserError
from aae_jax.networks import Network, PixelCNN
from aae_jax.networks.heads import Bernoulli, Categorical, LogisticMixture, to_images
from aae_jax.networks.pixelcnn import receptive_field
from aae_jax.objectives import log_likelihood

GREY = Categorical(3)
COLOUR = Categorical(3, channels=3)
MIXTURE = LogisticMixture(channels=3, components=2)
HEADS = [Bernoulli(), GREY, COLOUR, MIXTURE, LogisticMixture(channels=1, components=2)]


def random_images(shape):
    return jnp.asarray(np.random.default_rng(8).random(shape, np.float32))


@pytest.mark.parametrize(
    ("head", "num_blocks", "conditioning"),
    [(head, 2, "location_invariant") for head in HEADS]
    + [(head, 0, "none") for head in (COLOUR, MIXTURE)]
    + [(head, 4, "location_dependent") for head in (Bernoulli(), COLOUR, MIXTURE)]
    + [(COLOUR, 2, "spatial")],
)
def test_outputs_depend_on_what_came_before_and_on_nothing_else(
    made, head, num_blocks, conditioning
):
    height, width, channels = 3, 3, head.channels
    shape = (4, height, width, channels)
    decoder, params, codes = made(head, shape, num_blocks, 18, conditioning)

    def outputs(image, *codes):
        codes = (code[None] for code in codes)
        return decoder.apply({"params": params}, image[None], *codes)[0]

    # Several images, for in a single one a path may be cut by its ReLUs.
    jacobians = jax.jit(jax.vmap(jax.jacrev(outputs)))(random_images(shape), *codes)
    pixels = np.arange(height * width)
    groups = channels if head.ordered_channels else 1
    depends = np.asarray(jacobians != 0).any(axis=0)
    depends = depends.reshape(len(pixels), groups, -1, len(pixels), channels).any(axis=2)
    depends = depends.swapaxes(1, 2)  # [output pixel, input pixel, output group, input channel]
    assert not depends[np.triu_indices(len(pixels), 1)].any()
    within = depends[pixels, pixels].any(axis=0)
    expected = np.tri(groups, channels, -1, bool) if groups > 1 else np.zeros((1, channels), bool)
    np.testing.assert_array_equal(within, expected)
    assert depends[pixels[1:], pixels[:-1]].any(axis=0).all()


@pytest.mark.parametrize(("num_blocks", "side", "num_wide"), [(0, 7, 0), (1, None, 1), (3, 9, 1)])
def test_the_receptive_field_is_as_large_as_it_says(made, num_blocks, side, num_wide):
    size = 15
    decoder, params, _ = made(
        Bernoulli(), (16, size, size, 1), num_blocks, 16, "none", receptive_field=side
    )
    if side is None:
        side = receptive_field(num_blocks)
    row, column = size - 3, size // 2

    def output(images):
        return decoder.apply({"params": params}, images)[:, row, column].sum()

    gradient = jax.jit(jax.grad(output))(random_images((16, size, size, 1)))
    seen = np.asarray(gradient != 0).any(axis=(0, 3))
    expected = np.zeros_like(seen)
    reach = side // 2
    for above in range(reach + 1):
        # Without a stack of its own for the rows above, the right side opens by a pixel a row.
        right = min(reach, 2 + above) if above else -1
        expected[row - above, column - reach : column + right + 1] = True
    np.testing.assert_array_equal(seen, expected)
    assert side == 7 + 2 * num_wide


@pytest.mark.parametrize(
    ("head", "height", "width"),
    [
        (Bernoulli(), 2, 2),
        (GREY, 2, 2),
        (Categorical(2, channels=3), 1, 2),
        (LogisticMixture(channels=1, num_levels=3, components=2), 2, 2),
        (LogisticMixture(channels=3, num_levels=2, components=2), 1, 2),
    ],
)
@pytest.mark.parametrize(
    "conditioning", ["none", "location_invariant", "location_dependent", "spatial"]
)
def test_likelihoods_of_all_images_sum_to_one(made, head, height, width, conditioning):
    shape = (height, width, head.channels)
    images = itertools.product(range(head.num_levels), repeat=int(np.prod(shape)))
    levels = jnp.asarray(list(images), jnp.int32).reshape(-1, *shape)
    decoder, params, codes = made(head, (1, *shape), conditioning=conditioning)
    codes = [jnp.broadcast_to(code, (len(levels), *code.shape[1:])) for code in codes]

    @jax.jit
    def likelihood(levels, *codes):
        outputs = decoder.apply({"params": params}, to_images(levels, head.num_levels), *codes)
        return jnp.exp(log_likelihood(head, outputs, levels))

    likelihoods = likelihood(levels, *codes)
    assert len(likelihoods) in (16, 64, 81)
    np.testing.assert_allclose(likelihoods.sum(), 1, atol=1e-5)
    assert likelihoods.max() > 1.2 * likelihoods.min()


@pytest.mark.parametrize(
    ("dilations", "side", "sees"), [((1, 2), None, 13), ((2, 3), 11, 11), ((), None, 11)]
)
def test_dilations_widen_the_receptive_field(made, dilations, side, sees):
    size = 17
    shape = (8, size, size, 1)
    decoder, params, _ = made(
        Bernoulli(), shape, 2, 16, "none", receptive_field=side, dilations=dilations
    )
    row, column = size - 1, size // 2

    def output(images):
        return decoder.apply({"params": params}, images)[:, row, column].sum()

    seen = np.asarray(jax.jit(jax.grad(output))(random_images(shape)) != 0).any(axis=(0, 3))
    rows, columns = np.nonzero(seen)
    reach = sees // 2
    assert (row - rows.min(), column - columns.min(), columns.max() - column) == (reach,) * 3
    assert not seen[row, column:].any()
    if side is None:
        assert receptive_field(2, dilations) == sees


def test_dilations_keep_the_parameters(made):
    shape = (1, 6, 6, 1)
    plain, dilated = (
        made(Bernoulli(), shape, 2, 8, "none", dilations=dilations) for dilations in ((), (2, 3))
    )
    assert jax.tree.map(jnp.shape, plain[1]) == jax.tree.map(jnp.shape, dilated[1])
    images = random_images(shape)
    ones = PixelCNN(Bernoulli(), 2, 8, dilations=(1, 1))
    outputs = [m.apply({"params": plain[1]}, images) for m in (plain[0], ones, dilated[0])]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert float(jnp.abs(outputs[0] - outputs[2]).max()) > 1e-3


def same_convolution(x, layer):
    """A square kernel under "SAME", its upper rows ours and the pixels from here on zero."""
    kernel = layer["kernel"]
    rows, side = kernel.shape[:2]
    square = np.zeros((side, side, *kernel.shape[2:]), np.float32)
    square[:rows] = kernel
    square[rows - 1, side // 2 + 1 :] = 0
    if side == 7:
        square[rows - 1, side // 2] = 0
    dims = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, square, (1, 1), "SAME", dimension_numbers=dims)


@pytest.mark.parametrize(
    "conditioning", ["none", "location_invariant", "location_dependent", "spatial"]
)
def test_is_the_residual_network_with_its_biases_in_their_places(made, conditioning):
    """Against square kernels; the adaptive bias in every layer, or as a map in the first."""
    shape = (4, 6, 5, 1)
    decoder, params, codes = made(GREY, shape, 2, 8, conditioning)
    adaptive = [0.0] * 9
    if conditioning == "location_invariant":
        maps = [params[f"code_maps_{i}"]["kernel"] for i in range(9)]
        adaptive = [(codes[0] @ kernel)[:, None, None, :] for kernel in maps]
        assert [a.shape[-1] for a in adaptive] == [8, 4, 4, 8, 4, 4, 8, 8, 3]
    elif conditioning == "location_dependent":
        hidden, last = (params["code_map"][f"Dense_{i}"] for i in range(2))
        assert hidden["kernel"].shape == (2, 6)
        units = nn.relu(codes[0] @ hidden["kernel"] + hidden["bias"])
        adaptive[0] = (units @ last["kernel"] + last["bias"]).reshape(4, 6, 5, 1)
    elif conditioning == "spatial":
        window = params["code_window"]
        assert window["kernel"].shape == (7, 7, 2, 8)
        dims = ("NHWC", "HWIO", "NHWC")
        seen = jax.lax.conv_general_dilated(
            2 * codes[0] - 1, window["kernel"], (1, 1), "SAME", dimension_numbers=dims
        )
        seen = nn.relu(seen + window["bias"])
        adaptive = [seen @ params[f"code_maps_{i}"]["kernel"] for i in range(9)]

    def layer(i, x):
        layer = params[f"layers_{i}"]
        return same_convolution(x, layer) + layer["bias"] + adaptive[i]

    images = random_images(shape)
    x = layer(0, 2 * images - 1)
    for first in (1, 4):
        h = x
        for i in range(first, first + 3):
            h = layer(i, nn.relu(h))
        x = x + h
    expected = layer(8, nn.relu(layer(7, nn.relu(x))))
    result = jax.jit(decoder.apply)({"params": params}, images, *codes)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    names = {name.rsplit("_", 1)[0] for name in params}
    assert (
        names
        == {"layers"}
        | {
            "none": set(),
            "location_invariant": {"code_maps"},
            "location_dependent": {"code"},
            "spatial": {"code", "code_maps"},
        }[conditioning]
    )


def test_the_map_over_space_has_1000_hidden_units_unless_told_otherwise():
    decoder = PixelCNN(Bernoulli(), conditioning="location_dependent")
    variables = jax.eval_shape(
        decoder.init, jax.random.key(0), *map(jnp.zeros, ((1, 4, 4, 1), (1, 2)))
    )
    assert variables["params"]["code_map"]["Dense_0"]["kernel"].shape == (2, 1000)


def test_codes_are_concatenated_and_networks_wrap_it():
    decoder = PixelCNN(Bernoulli(), 1, 4, conditioning="location_invariant")
    network, images = Network("decoder", decoder), random_images((3, 4, 4, 1))
    y, z = random_images((3, 2)), random_images((3, 5))
    params, stats = jax.jit(network.init)(jax.random.key(0), images, y, z)
    params, stats = {"decoder": params}, {"decoder": stats}
    outputs, _ = network(params, stats, images, y, z)
    assert outputs.shape == (3, 4, 4, 1)
    together = network.evaluate(params, stats, images, jnp.concatenate([y, z], axis=1))
    np.testing.assert_array_equal(outputs, together)


def test_a_pixel_sees_the_code_around_it_and_what_lies_ahead():
    decoder = PixelCNN(Bernoulli(), 0, 8, conditioning="spatial")
    images, codes = random_images((4, 11, 11, 1)), random_images((4, 11, 11, 1))
    params = decoder.init(jax.random.key(0), images, codes)

    def output(codes):
        return decoder.apply(params, images, codes)[:, 0, 5].sum()

    seen = np.asarray(jax.jit(jax.grad(output))(codes) != 0).any(axis=(0, 3))
    expected = np.zeros_like(seen)
    expected[:4, 2:9] = True
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize(
    ("options", "channels", "num_codes", "message"),
    [
        ({"receptive_field": 15}, 1, 0, "3 residual blocks cannot give a receptive field of 15"),
        ({"receptive_field": 15}, 1, 0, "odd number from 7 to 13"),
        ({"receptive_field": 8}, 1, 0, "cannot give a receptive field of 8"),
        ({"receptive_field": 5}, 1, 0, "cannot give a receptive field of 5"),
        ({"dilations": (1, 2)}, 1, 0, r"model.decoder.dilations is \(1, 2\), and there are 3"),
        ({"dilations": (1, 0, 2)}, 1, 0, "one number of 1 or more for each"),
        ({"dilations": (1, 2, 4), "receptive_field": 11}, 1, 0, "choose one of 7, 9, 13, 21"),
        ({}, 3, 0, "the head is for 1 channels, the images have 3"),
        ({"head": COLOUR, "features": 4}, 3, 0, "3 ordered channels need 6 features or more"),
        ({"conditioning": "gated"}, 1, 1, "unknown conditioning 'gated'"),
        ({}, 1, 1, "'none' takes no code"),
        ({"conditioning": "location_invariant"}, 1, 0, "'location_invariant' needs a code"),
    ],
)
def test_errors(options, channels, num_codes, message):
    decoder = PixelCNN(**{"head": Bernoulli(), **options})
    codes = [jnp.zeros((1, 2))] * num_codes
    images = jnp.zeros((1, 4, 4, channels))
    with pytest.raises(UserError, match=message) as error:
        jax.eval_shape(decoder.init, jax.random.key(0), images, *codes)
    assert "\n" not in str(error.value)
