"""Weights of Inception v3 for the Inception score and the FID: ``make data DATASET=inception``.

They are converted from what the user has in ``downloads/manual`` of the TFDS directory, under the
name it was published with: ``classify_image_graph_def.pb``, the graph that TensorFlow published,
or the archive ``inception-2015-12-05.tgz`` that it comes in, or ``fid_inception.safetensors``, a
copy of its conversion for pytorch-fid. All are read here byte by byte: nothing is unpickled, and
no TensorFlow is needed. What is kept is ``inception/inception-2015-12-05.npz`` in the TFDS
directory, with a checksum of its arrays, which every load compares.
"""

import hashlib
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aae_jax.data.dataset import data_directory
from aae_jax.errors import UserError
from aae_jax.networks.inception import (
    BLOCKS,
    EPSILON,
    NUM_CLASSES,
    NUM_FEATURES,
    STEM,
    Both,
    Branch,
    Layer,
    kernel_shapes,
)

GRAPH = "classify_image_graph_def.pb"
ARCHIVE = "inception-2015-12-05.tgz"
SAFETENSORS = "fid_inception.safetensors"
SAFETENSORS_SHA256 = "b7a528bf4051f62c057bc14657865abf180a23eb1748d00ff0933d84698202ed"
_DIGEST = "sha256"  # among the arrays of the npz
_BATCH_NORM = ("gamma", "beta", "mean", "variance")
_AGAIN = "make it anew with `make data DATASET=inception`"


def path(data_dir: str | None = None) -> Path:
    """Where the converted weights lie, whether they do or not."""
    return data_directory(data_dir) / "inception" / "inception-2015-12-05.npz"


def load(file: Path) -> dict[str, np.ndarray]:
    """The weights of ``networks.inception``.

    Raises:
        UserError: the file is no such archive, holds other arrays than the network's, or does not
            match its checksum.
    """
    try:
        with np.load(file, allow_pickle=False) as saved:
            weights = {name: saved[name] for name in saved.files}
        digest = str(weights.pop(_DIGEST))
    except Exception as error:  # numpy and zipfile have many for a bad file
        raise UserError(f"{file} cannot be read ({type(error).__name__}): {_AGAIN}") from None
    _check(weights, str(file))
    if digest != _digest(weights):
        raise UserError(f"the weights in {file} do not match their checksum: {_AGAIN}")
    return weights


def convert(data_dir: str | None = None) -> Path:
    """Make the weights of what lies in the directory of manual downloads; returns their file.

    Raises:
        UserError: there is nothing to convert, or it is not what its name says.
    """
    manual = data_directory(data_dir) / "downloads" / "manual"
    readers = {SAFETENSORS: _of_safetensors, GRAPH: _of_graph, ARCHIVE: _of_archive}
    found = next((name for name in readers if (manual / name).is_file()), None)
    if found is None:
        raise UserError(
            f"there are no weights to convert: put {GRAPH}, {ARCHIVE} or {SAFETENSORS} into "
            f"{manual}"
        )
    source = manual / found
    try:
        weights = readers[found](source)
    except UserError:
        raise
    except Exception as error:  # whatever a file of another form leads to
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UserError(
            f"{source} is not the file of that name ({type(error).__name__}: {reason}): get it anew"
        ) from None
    _check(weights, str(source))
    target = path(data_dir)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.npz")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        signed: dict[str, Any] = {**weights, _DIGEST: np.array(_digest(weights))}
        np.savez(temporary, **signed)
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"cannot write {target} ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Of all arrays of the weights, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in kernel_shapes().items():
        shapes[f"{name}/kernel"] = shape
        shapes[f"{name}/scale"] = shapes[f"{name}/offset"] = shape[3:]
    return shapes | {"logits/kernel": (NUM_FEATURES, NUM_CLASSES)}


def folded(kernel: np.ndarray, batch_norm: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A layer's arrays from its kernel [h, w, c, d] and its batch norm's ``gamma``, ``beta``,
    ``mean`` and ``variance`` [d]."""
    gamma, beta, mean, variance = (batch_norm[name].astype(np.float64) for name in _BATCH_NORM)
    scale = gamma / np.sqrt(variance + EPSILON)
    arrays = {"kernel": kernel, "scale": scale, "offset": beta - mean * scale}
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


def _digest(weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name} {weights[name].shape} ".encode())
        digest.update(np.ascontiguousarray(weights[name], "<f4").tobytes())
    return digest.hexdigest()


def _check(weights: Mapping[str, np.ndarray], where: str) -> None:
    expected = expected_shapes()
    for name, shape in expected.items():
        if name not in weights or weights[name].shape != shape or weights[name].dtype != "f4":
            raise UserError(
                f"{where} has no {name} of shape {shape}, so it is not of Inception v3 of "
                "2015-12-05: get it anew"
            )
        if not np.isfinite(weights[name]).all():
            raise UserError(f"{name} in {where} is not finite: get it anew")
    if others := sorted(set(weights) - set(expected)):
        raise UserError(f"{where} holds {others[0]}, which Inception v3 has not: get it anew")


def _of_safetensors(file: Path) -> dict[str, np.ndarray]:
    """From names and layouts of PyTorch."""
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SAFETENSORS_SHA256:
        raise UserError(
            f"{file} has the SHA-256 {digest[:8]}..., and {SAFETENSORS} has "
            f"{SAFETENSORS_SHA256[:8]}...: get it anew"
        )
    return of_pytorch(safetensors(content))


def safetensors(content: bytes) -> dict[str, np.ndarray]:
    """The float32 arrays of a safetensors file: eight bytes with the length of a JSON header, the
    header, the arrays' bytes."""
    length = int.from_bytes(content[:8], "little")
    header, start = json.loads(content[8 : 8 + length]), 8 + length
    arrays = {}
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        first, last = about["data_offsets"]
        flat = np.frombuffer(content[start + first : start + last], "<f4")
        arrays[name] = flat.reshape(about["shape"])
    return arrays


def of_pytorch(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights from a state dict of a port to PyTorch: kernels are [d, c, h, w]."""
    fields = dict(zip(_BATCH_NORM, ("weight", "bias", "running_mean", "running_var")))
    weights = {"logits/kernel": np.ascontiguousarray(arrays["fc.weight"].T, np.float32)}
    for layer in kernel_shapes():
        kernel = arrays[f"{layer}.conv.weight"].transpose(2, 3, 1, 0)
        batch_norm = {ours: arrays[f"{layer}.bn.{theirs}"] for ours, theirs in fields.items()}
        weights |= {f"{layer}/{name}": x for name, x in folded(kernel, batch_norm).items()}
    return weights


def _of_archive(file: Path) -> dict[str, np.ndarray]:
    with tarfile.open(file) as archive:
        member = archive.extractfile(GRAPH)
        assert member is not None
        return of_graph(member.read())


def _of_graph(file: Path) -> dict[str, np.ndarray]:
    return of_graph(file.read_bytes())


def of_graph(content: bytes) -> dict[str, np.ndarray]:
    """The weights from the constants of TensorFlow's graph: kernels are [h, w, c, d] already."""
    arrays = dict(constants(content))
    fields = dict(zip(_BATCH_NORM, ("gamma", "beta", "moving_mean", "moving_variance")))
    weights = {"logits/kernel": np.ascontiguousarray(arrays["softmax/weights"], np.float32)}
    for layer, name in graph_names().items():
        kernel = arrays[f"{name}/conv2d_params"]
        batch_norm = {of: arrays[f"{name}/batchnorm/{field}"] for of, field in fields.items()}
        weights |= {f"{layer}/{part}": x for part, x in folded(kernel, batch_norm).items()}
    return weights


def graph_names() -> dict[str, str]:
    """The scope of every layer in TensorFlow's graph, by our name: blocks are ``mixed``,
    ``mixed_1`` and so on, a branch of one layer has no scope of its own, the others are ``tower``,
    ``tower_1`` and so on, and the layers in each are counted: ``conv``, ``conv_1``."""
    names = {}

    def count(scope: str, number: int) -> str:
        return f"{scope}_{number}" if number else scope

    def walk(block: str, scope: str, branch: Branch) -> None:
        layers = [step for step in branch if isinstance(step, (Layer, Both))]
        for i, step in enumerate(layers):
            if isinstance(step, Layer):
                names[block + step.name] = scope + count("conv", i)
                continue
            for j, layer in enumerate(step):
                names[block + layer.name] = f"{scope}mixed/{count('conv', j)}"

    walk("", "", STEM)
    for number, (block, branches) in enumerate(BLOCKS.items()):
        scope, towers = count("mixed", number), 0
        for branch in branches:
            if len(branch) == 1:  # one layer, or a pool alone
                walk(f"{block}.", f"{scope}/", branch)
                continue
            walk(f"{block}.", f"{scope}/{count('tower', towers)}/", branch)
            towers += 1
    return names


def constants(graph: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of the float constants of a serialised ``GraphDef``: of its nodes (field 1)
    those whose op (2) is ``Const``, with the tensor (8) of their attribute (5) ``value``."""
    for field, node in _fields(graph):
        if field != 1:
            continue
        name, op, tensor = b"", b"", None
        for field, value in _fields(node):
            if field == 1:
                name = value
            elif field == 2:
                op = value
            elif field == 5:
                entry = dict(_fields(value))
                if entry.get(1) == b"value":
                    tensor = dict(_fields(entry[2])).get(8)
        if op == b"Const" and tensor is not None:
            array = _tensor(tensor)
            if array is not None:
                yield name.decode(), array


def _tensor(tensor: bytes) -> np.ndarray | None:
    """A ``TensorProto`` of floats: type (1), shape (2) of dimensions (2) of sizes (1), bytes (4);
    ``None`` for another."""
    fields = dict(_fields(tensor))
    if fields.get(1) != 1 or 4 not in fields:  # DT_FLOAT
        return None
    shape = [dict(_fields(size)).get(1, 0) for number, size in _fields(fields[2]) if number == 2]
    return np.frombuffer(fields[4], "<f4").reshape(shape)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of the fields of a protocol buffer: ints, and bytes of what has a length."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while position < len(message):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            yield number, varint()
            continue
        length = {1: 8, 5: 4}.get(kind)
        if length is None:
            if kind != 2:
                raise ValueError(f"no protocol buffer: wire type {kind}")
            length = varint()
        if position + length > len(message):
            raise ValueError("no protocol buffer, or cut off")
        yield number, message[position : position + length]
        position += length


def main() -> int:
    """Command line; returns the exit status, 2 for an error that the user can mend."""
    try:
        print(f"converted into {convert()}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
