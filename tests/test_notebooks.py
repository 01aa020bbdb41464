"""The notebooks: their cells run on smoke settings, draw, and are kept without outputs."""

import builtins
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_of(path):
    """The code cells of a notebook."""
    cells = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_there_is_one_for_each_paper_stripped_of_outputs():
    assert len(NOTEBOOKS) == 5
    for path in NOTEBOOKS:
        notebook = json.loads(path.read_text())
        assert notebook["nbformat"] == 4
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [] and cell["execution_count"] is None
        first, *_ = code_of(path)
        assert '"pip", "install"' in first
        everything = "\n".join(code_of(path))
        for wanted in ("aae_jax.load(", "train(", "display(", "prior"):
            assert wanted in everything, (path.name, wanted)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    shown = []
    display = types.ModuleType("IPython.display")
    display.Image, display.display = Path, shown.append
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setenv("AAE_JAX_SMOKE", "1")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "notebook", "__builtins__": builtins}
    for i, cell in enumerate(code_of(path)):
        exec(compile(cell, f"{path.name}, cell {i}", "exec"), names)
    assert len(shown) >= 2
    assert all(picture.stat().st_size > 1000 for picture in shown)


def test_a_notebook_whose_package_is_missing_says_so(tmp_path):
    code = "import importlib.util\nimportlib.util.find_spec = lambda name: None\n"
    code += code_of(NOTEBOOKS[0])[0]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == (
        "aae_jax is not installed: upload its wheel beside this notebook, or open it in a "
        "checkout\n"
    )
