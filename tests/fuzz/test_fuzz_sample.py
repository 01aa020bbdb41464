"""A sample of what ``make fuzz`` tries, in this process: no kills, few files."""

import random

import fuzzing
import pytest

from experiments.harness import catalogue

VALUES = random.Random(1).sample(sorted(fuzzing.values()), 40)


@pytest.mark.parametrize(("spec", "field", "bad"), VALUES)
def test_values(tmp_path, spec, field, bad):
    assert fuzzing.value_verdict(spec, field, bad, tmp_path) == "good"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of one seed, and what it ended with."""
    folder = tmp_path_factory.mktemp("whole")
    truth = fuzzing.unbroken(folder, fuzzing.in_process, epochs=2)
    return folder / "unbroken-2-1", truth


FILES = (
    ("run.json", "half"),
    ("run.json", "gone"),
    ("run.json", "flipped"),
    ("record.json", "null"),
    ("record.json", "flipped"),
    ("seed_0/result.json", "number"),
    ("seed_0/metrics.jsonl", "flipped"),
    ("seed_0/metrics.jsonl", "directory"),
    ("seed_0/checkpoints", "file"),
    ("seed_0", "gone"),
    (".lock", "directory"),
    ("model.json", "binary"),
)


@pytest.mark.parametrize(("name", "damage"), FILES)
def test_files(tmp_path, whole, monkeypatch, name, damage):
    monkeypatch.setattr(
        fuzzing,
        "arguments",
        lambda workdir, full=fuzzing.arguments: full(workdir, 2),
    )
    workdir, truth = whole
    verdict = fuzzing.damage_verdict(workdir, name, damage, truth, fuzzing.in_process, tmp_path)
    assert verdict == "good"


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return root, fuzzing.write_data(root)


DATA = (
    ("cache/data/fuzzed/1.0.0/train.images.npy", "flipped"),
    ("cache/data/fuzzed/1.0.0/train.json", "flipped"),
    ("cache/data/fuzzed/1.0.0/test.json", "directory"),
    ("cache/data/fuzzed/1.0.0/test.labels.npy", "gone"),
    ("tfds/fuzzed/1.0.0/features.json", "list"),
    ("tfds/fuzzed/1.0.0/dataset_info.json", "number"),
    ("tfds/fuzzed/1.0.0/fuzzed-train.array_record-00000-of-00001", "half"),
    ("tfds/fuzzed/1.0.0/fuzzed-test.array_record-00000-of-00001", "directory"),
)


@pytest.mark.parametrize(("name", "damage"), DATA)
def test_data(tmp_path, data_set, name, damage):
    root, sha256 = data_set
    assert fuzzing.data_verdict(root, name, damage, sha256, tmp_path) == "good"


def test_every_method_has_its_values_tried():
    methods = {fuzzing.load(spec).method for spec, _, _ in fuzzing.values()}
    trained = {
        fuzzing.load(f"{name}:{row.name}").method
        for name in catalogue.names()
        if not hasattr(catalogue.module(name), "DRAWS")
        for row in catalogue.module(name).TABLE.rows
    }
    assert methods == trained
