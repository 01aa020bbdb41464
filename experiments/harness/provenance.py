"""Where a result came from: the commit, the device, the versions of what computed it."""

import os
import pathlib
import platform
import subprocess
from importlib import metadata

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "chex", "numpy")


def source_version(root: pathlib.Path | None = None) -> tuple[str, bool | None]:
    """The checked-out commit, and whether the working tree differs from it.

    To be called when a run starts: the files may change while it trains. Untracked files
    count as a difference, since they may be source; ignored files and the ledger itself
    (``results/``) do not.

    Args:
      root: the checkout; by default the one that this file stands in.

    Returns:
      (commit, dirty), or ``("unknown", None)`` without git or outside a checkout.
    """
    root = pathlib.Path(__file__).parents[2] if root is None else root
    try:
        # A package installed inside another project's checkout is not of its commit.
        top = pathlib.Path(_git(root, "rev-parse", "--show-toplevel").removesuffix("\n"))
        if top.resolve() != root.resolve():
            return "unknown", None
        commit = _git(root, "rev-parse", "HEAD").strip()
        changes = _git(root, "status", "--porcelain", "--", ".", ":(exclude)results")
    except (OSError, subprocess.SubprocessError):
        return "unknown", None
    return commit, bool(changes.strip())


def describe_device() -> str:
    """What JAX computes on: ``cpu (2 cores)``, ``NVIDIA H200 x1``."""
    import jax

    devices = jax.devices()
    if devices[0].platform == "cpu":
        # The cores this process may use, not those of the machine.
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity else os.cpu_count()
        return f"cpu ({cores} core{'' if cores == 1 else 's'})"
    return f"{devices[0].device_kind} x{len(devices)}"


def versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def _git(root: pathlib.Path, *arguments: str) -> str:
    # Without optional locks "git status" does not disturb a commit made at the same moment.
    command = ["git", "--no-optional-locks", "-C", os.fspath(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout
