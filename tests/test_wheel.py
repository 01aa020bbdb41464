"""The wheel: the package alone, with its zoo, imported where nothing else of the project is."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import aae_jax
from aae_jax import zoo

ROOT = Path(__file__).resolve().parents[1]
LOOK = """
import importlib.util, sys
import aae_jax
assert importlib.util.find_spec("experiments") is None
assert importlib.util.find_spec("configs") is None
method, state = aae_jax.load("flipped_implicit_autoencoder/fiae")
assert aae_jax.methods.METHODS and aae_jax.training.fit
print(aae_jax.__version__, aae_jax.__file__, *aae_jax.zoo.names())
"""


def test_the_wheel_is_the_package_alone(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "aae_jax", source / "aae_jax", ignore=ignore)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    pip = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", tmp_path, source]
    done = subprocess.run(pip, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"aae_jax-{aae_jax.__version__}-py3-none-any.whl"
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    tops = {path.name for path in unpacked.iterdir()}
    assert tops == {"aae_jax", f"aae_jax-{aae_jax.__version__}.dist-info"}
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    version, file, *names = done.stdout.split()
    assert version == aae_jax.__version__ and names == zoo.names()
    assert Path(file).is_relative_to(unpacked)


def test_the_version_stands_once_and_is_followed():
    cited = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert cited == [aae_jax.__version__]
    assert newest is not None and newest[1] == aae_jax.__version__
    assert f'"{aae_jax.__version__}"' not in (ROOT / "pyproject.toml").read_text()
