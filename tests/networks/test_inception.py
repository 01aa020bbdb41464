"""Inception v3 against what torch-fidelity makes of the same weights and images, and the conversion
of weights from the files that they are published in."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from aae_jax.errors import UserError
from aae_jax.metrics import inception_score
from aae_jax.networks import inception
from aae_jax.networks import inception_weights as published
from tests.networks import inception_recipe


@pytest.fixture(scope="module")
def recipe():
    return inception_recipe.state_dict()


@pytest.fixture(scope="module")
def weights(recipe):
    return published.of_pytorch(recipe)


@pytest.fixture(scope="module")
def fixture():
    with np.load(inception_recipe.FIXTURE) as saved:
        return dict(saved)


def test_activations_are_torch_fidelitys(weights, fixture):
    """Of one image: means behind two pools and two blocks, and what the classes are made of."""

    @jax.jit
    def found(weights, images):
        x = (inception.resized(images.astype(jnp.float32)) - 128.0) / 128.0
        means = {name: x.mean(axis=(1, 2)) for name, x in inception.activations(weights, x)}
        return means, inception.describe(weights, images / 255.0)

    means, (probabilities, features) = found(weights, inception_recipe.images()[:1])
    for name, channels in inception.MILESTONES.items():
        expected = fixture[str(channels)]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(means[name] / scale, expected / scale, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(features, means["Mixed_7c"], rtol=1e-4, atol=1e-4)
    logits = np.asarray(features) @ weights["logits/kernel"]
    scale = np.abs(fixture["logits"]).max()
    np.testing.assert_allclose(logits / scale, fixture["logits"][:1] / scale, atol=1e-4)
    expected = scipy.special.softmax(fixture["logits"][:1].astype(np.float64), axis=1)
    np.testing.assert_allclose(probabilities, expected, atol=2e-3)
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-5)


def test_the_score_is_torch_fidelitys(fixture):
    logits = inception_recipe.spread(fixture["logits"].astype(np.float64))
    probabilities = scipy.special.softmax(logits, axis=1)
    mean, std = fixture["score"]
    found = inception_score(probabilities, splits=2)
    np.testing.assert_allclose(found, (mean, std), atol=1e-3)
    assert mean > 1.5 and std > 0.01


def test_images_are_resized_as_by_tensorflow_1(fixture):
    small = inception_recipe.images()[:1, :5, :7].astype(np.float32)
    np.testing.assert_allclose(inception.resized(small, 11), fixture["resized"], atol=1e-3)
    # By hand: four pixels from two stand at 0, 1/2, 1 and 3/2, and there is none beyond the last.
    row = jnp.array([0.0, 1.0]).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(inception.resized(row, 4)[0, 0, :, 0], [0.0, 0.5, 1.0, 1.0])


def test_a_mean_pool_leaves_padding_out_and_a_max_pool_does_not_see_it():
    x = -jnp.arange(1.0, 5.0).reshape(1, 2, 2, 1)
    mean, largest = (inception._pool(inception.Pool(kind), x) for kind in (False, True))
    np.testing.assert_allclose(mean, -2.5)
    np.testing.assert_allclose(largest, -1.0)


def message(*fields):
    """A protocol buffer of (number, int or bytes)."""

    def varint(value):
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(varint(number << 3) + varint(value))
        else:
            parts.append(varint(number << 3 | 2) + varint(len(value)) + value)
    return b"".join(parts)


def constant(name, array):
    """A node of TensorFlow's graph."""
    shape = message(*((2, message((1, size))) for size in array.shape))
    tensor = message((1, 1), (2, shape), (4, array.astype("<f4").tobytes()))
    value = message((1, b"value"), (2, message((8, tensor))))
    dtype = message((1, b"dtype"), (2, message((6, 1))))
    return (1, message((1, name.encode()), (2, b"Const"), (5, dtype), (5, value)))


def graph(recipe, without=""):
    """The recipe's weights as TensorFlow's graph has them, among other nodes."""
    nodes = [(1, message((1, b"Mul"), (2, b"Mul"), (3, b"ExpandDims")))]
    nodes.append(constant("softmax/weights", recipe["fc.weight"].T))
    parts = {"weight": "gamma", "bias": "beta"}
    parts |= {"running_mean": "moving_mean", "running_var": "moving_variance"}
    for layer, scope in published.graph_names().items():
        if layer == without:
            continue
        kernel = recipe[f"{layer}.conv.weight"].transpose(2, 3, 1, 0)
        nodes.append(constant(f"{scope}/conv2d_params", kernel))
        for theirs, name in parts.items():
            nodes.append(constant(f"{scope}/batchnorm/{name}", recipe[f"{layer}.bn.{theirs}"]))
    return message(*nodes)


def test_scopes_of_the_graph():
    names = published.graph_names()
    assert len(names) == len(set(names.values())) == len(inception.kernel_shapes()) == 94
    expected = {
        "Conv2d_1a_3x3": "conv",
        "Conv2d_4a_3x3": "conv_4",
        "Mixed_5b.branch1x1": "mixed/conv",
        "Mixed_5b.branch5x5_2": "mixed/tower/conv_1",
        "Mixed_5b.branch3x3dbl_3": "mixed/tower_1/conv_2",
        "Mixed_5c.branch_pool": "mixed_1/tower_2/conv",
        "Mixed_6a.branch3x3": "mixed_3/conv",
        "Mixed_6a.branch3x3dbl_3": "mixed_3/tower/conv_2",
        "Mixed_6e.branch7x7dbl_5": "mixed_7/tower_1/conv_4",
        "Mixed_7a.branch3x3_2": "mixed_8/tower/conv_1",
        "Mixed_7a.branch7x7x3_4": "mixed_8/tower_1/conv_3",
        "Mixed_7b.branch3x3_2a": "mixed_9/tower/mixed/conv",
        "Mixed_7c.branch3x3dbl_3b": "mixed_10/tower_1/mixed/conv_1",
    }
    assert {layer: names[layer] for layer in expected} == expected


def test_the_graph_and_the_state_dict_give_the_same_weights(recipe, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / published.GRAPH).write_bytes(graph(recipe))
    assert published.main() == 0
    found = published.load(published.path())
    assert found.keys() == weights.keys() == published.expected_shapes().keys()
    assert all(np.array_equal(found[name], weights[name]) for name in weights)

    with np.load(published.path()) as saved:
        arrays = dict(saved)
    arrays["Conv2d_1a_3x3/offset"] = arrays["Conv2d_1a_3x3/offset"] + 1e-3
    np.savez(published.path(), **arrays)
    with pytest.raises(UserError, match="do not match their checksum: make it anew"):
        published.load(published.path())


def in_safetensors(arrays):
    header, content = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        kind, start = {"f": "F32", "i": "I64"}[array.dtype.kind], len(content)
        content += array.tobytes()
        offsets = [start, len(content)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": offsets}
    packed = json.dumps(header).encode()
    return len(packed).to_bytes(8, "little") + packed + content


def test_safetensors_are_read_byte_by_byte():
    arrays = {"a": np.arange(6, dtype="<f4").reshape(2, 3), "n": np.array(7), "b": np.float32([2])}
    found = published.safetensors(in_safetensors(arrays))
    assert found.keys() == {"a", "b"}  # counts of batches are no weights
    np.testing.assert_array_equal(found["a"], arrays["a"])


def refused(capsys):
    assert published.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_files_that_are_not_what_their_names_say(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert "there are no weights to convert: put classify_image_graph_def.pb" in refused(capsys)
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / published.ARCHIVE).write_bytes(b"no archive")
    assert "is not the file of that name (ReadError" in refused(capsys)
    (manual / published.GRAPH).write_bytes(message(constant("conv/conv2d_params", np.ones(3))))
    assert "is not the file of that name (KeyError: 'softmax/weights')" in refused(capsys)
    (manual / published.GRAPH).write_bytes(b"\x0a\xff\x01")
    assert "(ValueError: no protocol buffer, or cut off)" in refused(capsys)
    (manual / published.SAFETENSORS).write_bytes(in_safetensors({"a": np.float32([1])}))
    assert "fid_inception.safetensors has b7a528bf...: get it anew" in refused(capsys)
    assert not published.path().exists()
    published.path().parent.mkdir()
    published.path().write_bytes(b"no npz")
    with pytest.raises(UserError, match=r"cannot be read .* make it anew with `make data"):
        published.load(published.path())
