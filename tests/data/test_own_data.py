"""docs/own_data.md as it stands, on a few photographs that are neither square nor of one size."""

import re
import subprocess
import sys
from pathlib import Path

import ml_collections
import numpy as np
import pytest
from PIL import Image

from aae_jax import methods, training
from aae_jax.data import load, require_test
from aae_jax.errors import UserError
from experiments.harness import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "own_data.md").read_text()
COLOURS = {"blue": (20, 30, 220), "green": (30, 200, 20)}


def photographs(folder: Path) -> None:
    for split, num in (("train", 15), ("test", 4)):
        for name, colour in COLOURS.items():
            (folder / split / name).mkdir(parents=True)
            for i in range(num):
                image = Image.new("RGB", (60 + i, 40), colour)
                image.save(folder / split / name / f"{i}.png")


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Runs the page's code, where there is no TensorFlow."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("AAE_JAX_CACHE_DIR", str(tmp_path / "cache"))
    photographs(tmp_path / "photos")
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)

    def run(change=lambda code: code):
        code_ = f"{change(code)}\nimport sys; assert 'tensorflow' not in sys.modules"
        subprocess.run([sys.executable, "-c", code_], cwd=tmp_path, check=True)

    return run


def test_the_recipe_makes_a_set_that_trains(recipe, tmp_path):
    recipe()
    dataset = load("myset", unlabelled=24)
    assert (dataset.name, dataset.num_classes) == ("myset/1.0.0", 2)
    sizes = [split.images.shape for split in dataset[4:7]]
    assert sizes == [(24, 32, 48, 3), (6, 32, 48, 3), (8, 32, 48, 3)]
    for split in dataset[4:7]:
        expected = np.array(list(COLOURS.values()), np.uint8)[split.labels]
        np.testing.assert_array_equal(split.images[:, 5, 5], expected)
        assert len(set(split.labels)) == 2  # shuffled before anything is held out

    config = ml_collections.ConfigDict({"method": "semi_supervised_aae"})
    config.model = methods.default_config(config.method)
    config.update(training.default_config())
    config.update_from_flattened_dict(
        {"model.hidden": (8,), "model.discriminator_hidden": (8,), "model.style_dim": 2}
        | {"data.batch_size": 8, "data.labelled_batch_size": 8, "train.epochs": 1}
    )
    spec = training.data_spec(dataset, config)
    method = methods.build(config.method, config.model, spec=spec)
    result = training.fit(method, dataset, config, spec=spec, workdir=tmp_path / "run")
    assert result.updates == 3
    codes = method.encode(result.states[0], dataset.scaling.forward(np.array(dataset.test.images)))
    assert method.decode(result.states[0], *codes).shape == (8, 32, 48, 3)


def test_a_set_without_test_images_is_refused_where_they_are_measured_on():
    digits = load("digits")
    empty = digits.test._replace(images=digits.test.images[:0], labels=digits.test.labels[:0])
    with pytest.raises(UserError, match="has no test images to measure on"):
        require_test(digits._replace(test=empty))


def test_the_command_sets_fields_that_there_are():
    command = PAGE[PAGE.index("make reproduce") :]
    what, paper, profile, row = re.search(
        r"make reproduce-(\w+)-(\w+) PROFILE=(\w+) ROWS=(\w+)", command
    ).groups()
    arguments = re.search(r'ARGS="(.*?)"', command).group(1).split()
    path = ROOT / "configs" / paper / f"{what}.py"
    config, changed = cli.load_config(f"{path}:{row},{profile}", arguments)
    assert config.data.name == "myset" and len(changed) == len(arguments) == 3


CHANGES = {
    "no size": (
        {"shape=(HEIGHT, WIDTH, 3)": "shape=(None, None, 3)"},
        r"several sizes \(\?x\?x3\)",
    ),
    "not resized": (
        {".resize((WIDTH, HEIGHT))": ""},
        r"image 0 of .* is 40x\d+x3, but .* says 32x48x3",
    ),
    "no test split": (
        {'["train", "test"]': '["train"]', '("train", "test")': '("train",)'},
        "lacks the split test or validation; it has train",
    ),
    "no label": (
        {', "label": path.parent.name': "", ', "label": label': ""},
        "has no class label",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_wrong_with_a_set_is_said(recipe, case):
    changes, message = CHANGES[case]

    def change(code):
        for old, new in changes.items():
            assert old in code
            code = code.replace(old, new)
        return code

    recipe(change)
    with pytest.raises(UserError, match=message) as caught:
        load("myset")
    assert "\n" not in str(caught.value) and "docs/own_data.md" in str(caught.value)
