"""What the README promises: its Colab snippet runs, its tables are the ledgers'."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.harness.pages import tables
from experiments.harness.tables import update_readme

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_colab_snippet_runs_and_trains(tmp_path):
    snippet = re.search(r"<!-- colab -->\n```python\n(.*?)```", README, re.DOTALL)
    assert snippet is not None
    code = snippet.group(1)
    assert len(code.strip().splitlines()) <= 14
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    losses = eval(done.stdout)  # the printed dict of the last step's losses
    assert set(losses) == {
        "reconstruction/loss",
        "discriminator/loss",
        "generator/loss",
        "classification/loss",
    }
    # An untrained classifier of ten classes stands at log 10 = 2.30 nats.
    assert losses["classification/loss"] < 2.0


def test_the_tables_are_rendered_from_the_ledgers(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text(README)
    assert not update_readme(copy, tables(), ROOT / "results"), "run `make tables`"


@pytest.mark.parametrize("page", ["README.md", "docs/notes/aae.md", "docs/notes/pixelgan.md"])
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
