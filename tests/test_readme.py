"""What the README promises: its Colab snippet runs, its tables are the ledgers'."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.harness.pages import pages
from experiments.harness.tables import update_page

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def code_after(mark: str) -> str:
    snippet = re.search(rf"<!-- {mark} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert snippet is not None, mark
    return snippet.group(1)


def run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        # Optimised, unlike what the other tests compile: it trains for a while.
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_notebook_snippet_trains_and_ends_in_a_picture(tmp_path):
    code = code_after("colab")
    assert len(code.strip().splitlines()) <= 20
    assert code.count("range(1500)") == 1
    shorter = code.replace("range(1500)", "range(300)")
    losses = eval(run(shorter, tmp_path))  # the printed dict of the last step's losses
    assert set(losses) == {
        "reconstruction/loss",
        "discriminator/loss",
        "generator/loss",
        "classification/loss",
    }
    # An untrained classifier of ten classes stands at log 10 = 2.30 nats.
    assert losses["classification/loss"] < 0.5
    assert (tmp_path / "digits.png").stat().st_size > 5000


def test_a_method_of_ones_own_trains_by_fit(tmp_path):
    imports = re.search(r"\(with `(from pathlib.*?)`\.\)", README, re.DOTALL)
    assert imports is not None
    code = code_after("own method")
    body = code[: code.index("config = ")].strip().splitlines()
    assert len(body) <= 32
    prelude = " ".join(imports.group(1).split()).replace("; ", "\n")
    metrics = eval(run(f"{prelude}\n{code}\nprint(result.metrics)", tmp_path))
    assert all(len(values) == 2 for values in metrics.values())  # two seeds
    assert any(name.startswith("test_") for name in metrics)
    assert (tmp_path / "runs" / "mine").is_dir()


def test_the_readme_is_read_to_its_end():
    assert len(README.splitlines()) <= 200


def test_the_tables_are_rendered_from_the_ledgers(tmp_path, monkeypatch):
    monkeypatch.setenv("AAE_JAX_RESULTS_DIR", str(ROOT / "results"))
    for name, parts in pages().items():
        copy = tmp_path / Path(name).name
        copy.write_text((ROOT / name).read_text())
        assert not update_page(copy, parts), "run `make tables`"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/index.md",
        "docs/results.md",
        "docs/systems.md",
        "docs/notes/aae.md",
        "docs/notes/gans.md",
        "docs/notes/iae.md",
        "docs/notes/pixelgan.md",
    ],
)
def test_every_picture_and_page_that_is_linked_exists(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert links
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
    assert not re.search(r"@[A-Z0-9]+", text)  # a number that somebody meant to fill in


def test_every_make_target_in_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+)(?=:)", makefile, re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)(?![a-z-])", README))
    assert named and named <= targets
