"""Convolutions against lax's own (values, gradients, gradients of gradients), their modules, and
the convolutional encoder."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from aae_jax.networks import Network, conv
from aae_jax.networks.conv import ConvEncoder, convolution, transposed_convolution

ROOT = Path(__file__).resolve().parents[2]
IMAGES = jax.random.uniform(jax.random.key(0), (32, 8, 8, 1))
LAYERS = ("NHWC", "HWIO", "NHWC")

# Size, channels and features, kernel, strides, padding, dilation. More than 16 channels or features
# go one window at a time, fewer in groups; 8 windows of stride 3 leave rows that none covers.
CASES = [
    ((8, 8), (1, 8), (4, 4), 2, "SAME", 1),
    ((7, 9), (8, 8), (2, 3), 1, ((1, 0), (1, 1)), 1),
    ((7, 9), (3, 16), (4, 7), 1, ((3, 0), (3, 3)), 1),
    ((9, 7), (4, 20), (5, 5), 2, "SAME", 1),
    ((10, 13), (2, 3), (3, 3), 1, "SAME", (2, 3)),
    ((9, 11), (18, 2), (3, 4), (2, 1), "VALID", 2),
    ((10, 10), (3, 12), (6, 7), (1, 2), ((2, 3), (0, 4)), 1),
    ((12, 11), (2, 5), (3, 2), 3, "VALID", 1),
]


def normal(shape, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def pair(value):
    return (value, value) if isinstance(value, int) else value


def laxs_convolution(x, kernel, strides, padding, dilation):
    return jax.lax.conv_general_dilated(
        x, kernel, pair(strides), padding, None, pair(dilation), dimension_numbers=LAYERS
    )


def laxs_transposed(x, kernel, strides, padding, dilation):
    return jax.lax.conv_transpose(x, kernel, pair(strides), padding, pair(dilation), LAYERS)


def everything(function, x, kernel):
    """Values, gradients, and the gradients of a penalty on the gradient by ``x``, which is bent
    before and after, so that all second derivatives take part."""

    def critic(x, kernel):
        return jnp.sin(function(jnp.sin(x), kernel)).sum()

    def penalty(x, kernel):
        return (jax.grad(critic)(x, kernel) ** 2).sum()

    def kernel_penalty(x, kernel):
        return (jax.grad(critic, 1)(x, kernel) ** 2).sum()

    gradients = (jax.grad(f, (0, 1))(x, kernel) for f in (critic, penalty, kernel_penalty))
    return function(x, kernel), *gradients


def assert_same(ours, theirs, relative=1e-5):
    """Equal to a share of the largest entry."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.shape == b.shape
        assert float(jnp.abs(b).max()) > 0
        np.testing.assert_allclose(a, b, atol=relative * float(jnp.abs(b).max()))


@pytest.fixture(params=[True, False], ids=["own", "laxs"])
def either_path(request, monkeypatch):
    """A CPU's convolutions, and those of every other backend."""
    monkeypatch.setattr(conv, "own_gradients", lambda: request.param)


@pytest.mark.parametrize(("size", "channels", "kernel", "strides", "padding", "dilation"), CASES)
def test_a_convolution_and_its_derivatives_are_laxs(
    size, channels, kernel, strides, padding, dilation
):
    arrays = normal((3, *size, channels[0]), 0), 0.3 * normal((*kernel, *channels), 1)
    settings = {"strides": strides, "padding": padding, "dilation": dilation}
    ours, theirs = (
        jax.jit(partial(everything, partial(function, **settings)))
        for function in (convolution, laxs_convolution)
    )
    assert_same(ours(*arrays), theirs(*arrays))


@pytest.mark.parametrize(
    ("size", "channels", "kernel", "strides", "padding", "dilation"),
    [
        ((4, 5), (20, 8), (4, 4), 2, "SAME", 1),
        ((5, 4), (8, 1), (5, 3), (2, 1), "SAME", 1),
        ((5, 5), (3, 4), (3, 6), 1, "SAME", 2),
        ((3, 4), (4, 3), (7, 5), 3, "VALID", 1),
        ((3, 4), (2, 3), (1, 2), 3, "SAME", 1),  # strides that leave places empty
    ],
)
def test_a_transposed_convolution_and_its_derivatives_are_laxs(
    size, channels, kernel, strides, padding, dilation
):
    arrays = normal((3, *size, channels[0]), 0), 0.3 * normal((*kernel, *channels), 1)
    settings = {"strides": strides, "padding": padding, "dilation": dilation}
    ours, theirs = (
        jax.jit(partial(everything, partial(function, **settings)))
        for function in (transposed_convolution, laxs_transposed)
    )
    assert_same(ours(*arrays), theirs(*arrays))


@pytest.mark.parametrize("padding", [((1, 1), (2, 0)), ((3, 3), (2, 3)), ((1, 0), (-1, -2))])
def test_a_transposed_convolution_transposes_the_convolution(either_path, padding):
    """<convolution(x), y> = <x, transposed_convolution(y)>, the kernel turned around; negative
    padding adds to the output."""
    y, kernel = normal((2, 4, 5, 5), 0), normal((4, 3, 2, 5), 1)
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    transposed = jax.jit(partial(transposed_convolution, strides=2, padding=padding))(y, turned)
    assert transposed.shape[1:3] == (6 + 4 - sum(padding[0]), 8 + 3 - sum(padding[1]))
    x = normal(transposed.shape, 2)
    convolved = convolution(x, kernel, 2, padding)
    np.testing.assert_allclose(jnp.vdot(convolved, y), jnp.vdot(x, transposed), rtol=1e-4)


def test_negative_padding_cuts_off(either_path):
    """XLA's CPU backend reads beyond the array there, so this is against a slice."""
    x, kernel = normal((2, 12, 9, 3), 0), normal((3, 3, 3, 4), 1)

    @partial(jax.jit, static_argnums=1)
    def all_of(x, padding):
        return everything(lambda x, kernel: convolution(x, kernel, 3, padding), x, kernel)

    cut, padded = all_of(x, ((-1, 2), (1, -2))), all_of(x[:, 1:, :-2], ((0, 2), (1, 0)))
    assert_same(cut[0], padded[0])
    for (gradient, by_kernel), (expected, expected_by_kernel) in zip(cut[1:], padded[1:]):
        assert_same(by_kernel, expected_by_kernel)
        assert_same(gradient, jnp.pad(expected, ((0, 0), (1, 0), (0, 2), (0, 0))))


def two_layers(params, x):
    """A strided convolution and a transposed one."""
    hidden = nn.relu(convolution(x, params[0], 2))
    return transposed_convolution(hidden, params[1], 2)


def laxs_two_layers(params, x):
    hidden = nn.relu(laxs_convolution(x, params[0], 2, "SAME", 1))
    return laxs_transposed(hidden, params[1], 2, "SAME", 1)


def penalised(network, params, x):
    """A loss with a gradient penalty in it."""
    output, gradient = jax.value_and_grad(lambda x: (network(params, x) ** 2).sum())(x)
    return output + 0.01 * (gradient**2).sum()


PARAMS = 0.3 * normal((4, 4, 1, 6), 0), 0.3 * normal((5, 5, 6, 1), 1)


def descended(network, params, x):
    """Five steps of gradient descent, in a scan."""

    def step(params, _):
        loss, gradients = jax.value_and_grad(partial(penalised, network))(params, x)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradients), loss

    return jax.lax.scan(step, params, None, 5)


def test_inside_a_scan(either_path):
    x = normal((4, 7, 6, 1), 2)
    ours, theirs = (
        jax.jit(partial(descended, network))(PARAMS, x) for network in (two_layers, laxs_two_layers)
    )
    assert_same(ours, theirs, 1e-4)
    assert float(ours[1][-1]) < 0.9 * float(ours[1][0])


@pytest.mark.parametrize("in_axes", [(0, 0), (0, None), (None, 0)])
def test_under_vmap_and_lax_map(in_axes):
    """Over seeds (with kernels of their own), over either alone."""
    params = (
        jax.tree.map(lambda p: jnp.stack([p, 2 * p, -p]), PARAMS) if in_axes[0] == 0 else PARAMS
    )
    x = normal((3, 2, 6, 6, 1), 3) if in_axes[1] == 0 else normal((2, 6, 6, 1), 3)

    def gradients(params, x):
        return jax.grad(partial(penalised, two_layers), (0, 1))(params, x)

    def chosen(i):
        return [
            jax.tree.map(lambda leaf: leaf[i], tree) if axis == 0 else tree
            for tree, axis in zip((params, x), in_axes)
        ]

    one = jax.jit(gradients)
    expected = [one(*chosen(i)) for i in range(3)]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected)
    assert_same(jax.jit(jax.vmap(gradients, in_axes))(params, x), expected, 1e-4)
    if in_axes == (0, 0):
        mapped = jax.jit(lambda params, x: jax.lax.map(lambda pair: gradients(*pair), (params, x)))
        assert_same(mapped(params, x), expected, 1e-4)


def sharded_gaps() -> dict[str, float]:
    """Largest differences between the gradients of a batch on four devices and on one."""
    mesh = Mesh(np.array(jax.devices()), ("data",))
    gradients = jax.grad(partial(penalised, two_layers))

    def summed(params, x):
        return jax.lax.psum(gradients(params, x), "data")

    def in_shard_map(function, checked):
        specs = PartitionSpec(), PartitionSpec("data")
        return jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=checked
        )

    programs = {
        "jit": gradients,
        "shard_map": in_shard_map(gradients, True),  # sums by itself
        "unchecked": in_shard_map(summed, False),
    }
    x = normal((8, 7, 6, 1), 4)
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    conv.own_gradients = lambda: True
    expected = jax.jit(gradients)(PARAMS, x)
    gaps = {}
    for name, program in programs.items():
        found = jax.device_get(jax.jit(program)(PARAMS, sharded))
        gap = jax.tree.map(lambda a, b: abs(a - b).max() / abs(b).max(), found, expected)
        gaps[name] = float(max(jax.tree.leaves(gap)))
    return gaps


def test_on_a_mesh():
    """In a program of its own: the number of devices is fixed when JAX starts."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, __file__],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    gaps = json.loads(done.stdout.splitlines()[-1])
    assert sorted(gaps) == ["jit", "shard_map", "unchecked"]
    assert max(gaps.values()) < 1e-5


@pytest.mark.parametrize("own", [True, False])
def test_a_cpus_program_has_only_canonical_convolutions_in_its_loop(monkeypatch, own):
    monkeypatch.setattr(conv, "own_gradients", lambda: own)
    lowered = jax.jit(partial(descended, two_layers)).lower(PARAMS, normal((4, 7, 6, 1), 2))
    program = lowered.compiler_ir("hlo").as_hlo_text().splitlines()
    convolutions = [line for line in program if " convolution(" in line]
    canonical = ["dim_labels=b01f_01io->b01f" in line for line in convolutions]
    assert len(canonical) > 6
    assert all(canonical) == own


@pytest.mark.parametrize("settings", [{}, {"strides": 2, "use_bias": False}, {"padding": "VALID"}])
def test_modules_have_the_parameters_and_values_of_linens(either_path, settings):
    x, init = normal((2, 7, 6, 3), 5), nn.initializers.he_normal()
    for ours, theirs in ((conv.Conv, nn.Conv), (conv.ConvTranspose, nn.ConvTranspose)):
        module, reference = (cls(4, (4, 3), kernel_init=init, **settings) for cls in (ours, theirs))
        variables, expected = (m.init(jax.random.key(3), x) for m in (module, reference))
        jax.tree.map(np.testing.assert_array_equal, variables, expected)
        variables = jax.tree.map(lambda p: p + 0.1, variables)
        np.testing.assert_allclose(
            module.apply(variables, x), reference.apply(variables, x), atol=1e-5
        )
    dilated = conv.Conv(4, (3, 3), dilation=2), nn.Conv(4, (3, 3), kernel_dilation=2)
    variables = dilated[0].init(jax.random.key(3), x)
    np.testing.assert_allclose(*(m.apply(variables, x) for m in dilated), atol=1e-5)


def test_pytorchs_doubling_layer():
    layer = conv.ConvTranspose(4, (4, 4), 2, ((1, 1), (1, 1)))
    x = jnp.zeros((2, 7, 5, 3))
    output, _ = jax.eval_shape(layer.init_with_output, jax.random.key(0), x)
    assert output.shape == (2, 14, 10, 4)


def made(**settings):
    network = Network("n", ConvEncoder((4, 6), 5, (3, 2), **settings))
    params, stats = network.init(jax.random.key(1), IMAGES)
    return network, {"n": params}, {"n": stats}


def test_shapes_and_statistics():
    network, params, stats = made()
    outputs, after = network(params, stats, IMAGES)
    assert [output.shape for output in outputs] == [(32, 3), (32, 2)]
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, stats)
    assert "BatchNorm_0" in after["n"]
    kernels = [params["n"][f"Conv_{i}"]["kernel"].shape for i in (0, 1)]
    assert kernels == [(4, 4, 1, 4), (4, 4, 4, 6)]
    network, params, stats = made(batch_norm=False)
    assert stats == {"n": {}}


def test_normalised_heads_share_one_scale_and_have_no_offset():
    network, params, stats = made(head_batch_norm=True)
    for scale in (3.0, 1.5):  # 3 is where it starts
        outputs, _ = network(params, stats, IMAGES)
        for output in outputs:
            np.testing.assert_allclose(output.mean(axis=0), 0, atol=1e-5)
            np.testing.assert_allclose(output.std(axis=0), scale, rtol=1e-2)
        for i in (0, 1):
            assert params["n"][f"head_scale_{i}"].shape == ()
            params["n"][f"head_scale_{i}"] = jnp.asarray(1.5)


if __name__ == "__main__":
    assert jax.device_count() == 4
    print(json.dumps(sharded_gaps()))
