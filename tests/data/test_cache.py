"""The decoded cache: whole, or rebuilt, or refused; never trained on when damaged."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aae_jax.data import cache
from aae_jax.errors import UserError


@pytest.fixture
def content():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (25, 4, 5, 3)).astype(np.uint8)
    return images, rng.integers(0, 7, 25).astype(np.int32)


def write(folder, content, split="train"):
    images, labels = content
    batches = ((images[i : i + 10], labels[i : i + 10]) for i in range(0, len(images), 10))
    cache.write(folder, split, images.shape, 7, batches)


def test_roundtrip(tmp_path, content):
    folder = tmp_path / "set" / "1.0.0"
    assert cache.read(folder, "train") is None
    write(folder, content)
    found = cache.read(folder, "train")
    np.testing.assert_array_equal(found.images, content[0])
    np.testing.assert_array_equal(found.labels, content[1])
    assert isinstance(found.images, np.memmap) and not found.images.flags.writeable
    assert found.labels.dtype == np.int32 and found.num_classes == 7
    assert sorted(os.listdir(folder)) == ["train.images.npy", "train.json", "train.labels.npy"]


def test_interrupted_write_leaves_nothing(tmp_path, content):
    def broken():
        yield content
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.write(tmp_path, "train", (50, 4, 5, 3), 7, broken())
    assert os.listdir(tmp_path) == []


def test_concurrent_writers_do_not_disturb_each_other(tmp_path, content):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write(tmp_path, content), range(16)))
    assert cache.read(tmp_path, "train") is not None
    assert len(os.listdir(tmp_path)) == 3


@pytest.mark.parametrize("name", ["train.images.npy", "train.labels.npy", "train.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_every_damage_is_noticed(tmp_path, content, name, damage):
    write(tmp_path, content)
    path = tmp_path / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        position = data.index(b'sha256": "') + 12 if name.endswith("json") else len(data) - 3
        data[position] ^= 1
    path.write_bytes({"flip": data, "truncate": data[:-7], "empty": b""}[damage])
    with pytest.raises(cache.DamagedCacheError):
        cache.read(tmp_path, "train")


def test_every_byte_of_the_record_is_covered(tmp_path, content):
    write(tmp_path, content)
    path = tmp_path / "train.json"
    true = path.read_text()
    path.write_text(true.replace('"num_classes": 7', '"num_classes": 9'))
    with pytest.raises(cache.DamagedCacheError, match="does not match its checksum"):
        cache.read(tmp_path, "train")
    # One of before it had a checksum.
    record = {k: v for k, v in json.loads(true).items() if k != "sha256"}
    path.write_text(json.dumps(record))
    assert cache.read(tmp_path, "train").num_classes == 7


def test_what_a_kill_left_is_removed_once_it_is_old(tmp_path, content):
    for name, age in (("old", 7200), ("new", 60)):
        path = tmp_path / f"train.images.npy.{name}.tmp"
        path.write_text("half")
        os.utime(path, (time.time() - age,) * 2)
    write(tmp_path, content)
    assert sorted(p.name for p in tmp_path.glob("*.tmp")) == ["train.images.npy.new.tmp"]


def test_record_that_is_no_record(tmp_path, content):
    write(tmp_path, content)
    for record in ({}, [], {"images": 1}, {"images": {"shape": [1]}}):
        (tmp_path / "train.json").write_text(json.dumps(record))
        with pytest.raises(cache.DamagedCacheError):
            cache.read(tmp_path, "train")


def test_directory_that_cannot_be_written(tmp_path, content):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="set AAE_JAX_CACHE_DIR") as caught:
        write(tmp_path / "file" / "set", content)
    assert str(tmp_path / "file") in str(caught.value)


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/someone")
    for variable in ("AAE_JAX_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert str(cache.root()) == "/home/someone/.cache/aae_jax"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/x")
    assert str(cache.root()) == "/var/x/aae_jax"
    monkeypatch.setenv("AAE_JAX_CACHE_DIR", "/var/y")
    assert str(cache.root()) == "/var/y"
    assert str(cache.root("/var/z")) == "/var/z"
