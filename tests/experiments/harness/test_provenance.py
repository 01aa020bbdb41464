"""Where a result came from: commit and device."""

import subprocess

import jax
import pytest

from experiments.harness import provenance


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    (root / "results").mkdir(parents=True)
    (root / "code.py").write_text("x = 1\n")
    (root / ".gitignore").write_text("runs/\n")
    (root / "results" / "a.jsonl").write_text("{}\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def git(root, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", root, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_source_version_of_a_clean_checkout(checkout):
    (checkout / "results" / "a.jsonl").write_text("{}\n{}\n")
    (checkout / "results" / "b.jsonl").write_text("{}\n")
    (checkout / "runs").mkdir()
    (checkout / "runs" / "log").touch()
    assert provenance.source_version(checkout) == (git(checkout, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("name", ["code.py", "new.py"])
def test_source_version_is_dirty_with_changed_or_untracked_source(checkout, name):
    (checkout / name).write_text("x = 2\n")
    assert provenance.source_version(checkout) == (git(checkout, "rev-parse", "HEAD"), True)


def test_source_version_outside_a_checkout(checkout, tmp_path):
    assert provenance.source_version(tmp_path) == ("unknown", None)
    # An installed package is not of the commit of the project it was installed into.
    installed = checkout / "site-packages"
    installed.mkdir()
    assert provenance.source_version(installed) == ("unknown", None)


def test_source_version_before_the_first_commit(tmp_path):
    git(tmp_path, "init", "-q")
    assert provenance.source_version(tmp_path) == ("unknown", None)


def test_source_version_without_git(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.source_version(checkout) == ("unknown", None)


def test_describe_device_of_accelerators(monkeypatch):
    class Device:
        platform, device_kind = "gpu", "NVIDIA H200"

    monkeypatch.setattr(jax, "devices", lambda: [Device(), Device()])
    assert provenance.describe_device() == "NVIDIA H200 x2"
