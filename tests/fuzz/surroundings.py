"""The fuzzer's hostile surroundings: terminals, locales, devices, directories, a full disk."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from fuzzing import LIMIT_S, ROOT, Ended, arguments

PROGRAM = [sys.executable, "-m", "experiments.aae.table2"]


def _shell(script: str, folder: Path, **environment: str) -> Ended:
    """``$RUN`` in a script is the program with the arguments of a tiny run in ``$W``."""
    workdir = folder / "run"
    run = shlex.join([*PROGRAM, *arguments(workdir, 2)])
    done = subprocess.run(
        ["bash", "-c", script.replace("$RUN", run).replace("$W", shlex.quote(str(workdir)))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHON": sys.executable} | environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=5 * LIMIT_S,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


# Name: (script, environment, exit status, whether it is recorded). Later flags count.
SURROUNDINGS: dict[str, tuple[str, dict[str, str], int, bool]] = {
    "head": ("set -o pipefail; $RUN | head -1", {}, 0, True),
    "stdout closed": ("$RUN >&-", {}, 0, True),
    "stdout full": ("$RUN > /dev/full", {}, 2, True),
    "stderr closed": ("$RUN 2>&-", {}, 0, True),
    "stderr full": ("$RUN 2> /dev/full", {}, 0, True),
    "both closed": ("$RUN >&- 2>&-", {}, 0, True),
    "stdin closed": ("$RUN <&-", {}, 0, True),
    "ascii": ("$RUN", {"PYTHONIOENCODING": "ascii"}, 0, True),
    "C locale": (
        "$RUN",
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        0,
        True,
    ),
    "no home": ("unset HOME; $RUN", {}, 0, True),
    "no cuda": ("$RUN", {"JAX_PLATFORMS": "cuda"}, 2, False),
    "misspelt platform": ("$RUN", {"JAX_PLATFORMS": "cpuu"}, 2, False),
    "below a file": ("$RUN --workdir=/etc/passwd/run", {}, 2, False),
    "a file": ("$RUN --workdir=/etc/passwd", {}, 2, False),
    "proc": ("$RUN --workdir=/proc/x", {}, 2, False),
    "long name": (f"$RUN --workdir=/tmp/{'a' * 300}", {}, 2, False),
    "nobody's home": ("$RUN --workdir='~nobody_of_that_name/x'", {}, 2, False),
    "no workdir": ("$RUN --workdir=", {}, 2, False),
    "dangling link": ("ln -s nowhere $W; $RUN", {}, 2, False),
    "runs a file": (
        "make -s reproduce-table2-aae PROFILE=smoke ROWS=mnist_100",
        {"AAE_JAX_RUNS_DIR": "/etc/passwd"},
        2,
        False,
    ),
    "quickstart in a file": (
        f"{sys.executable} -m experiments.quickstart --workdir=/etc/passwd",
        {},
        2,
        False,
    ),
    "quickstart nowhere": (f"{sys.executable} -m experiments.quickstart --workdir=", {}, 2, False),
    "unknown argument": (f"{sys.executable} -m experiments.quickstart --seed=1", {}, 2, False),
    "data name": ("make -s data DATASET=\"'; touch $W; '\"", {}, 2, False),
    "cache a file": ("$RUN", {"AAE_JAX_CACHE_DIR": "/etc/passwd"}, 0, True),
    "ignored interrupt": ("trap '' INT; $RUN & sleep 6; kill -INT $!; wait $!", {}, 0, True),
}
FULL_DISK = (3, 2, 1.5, 1, 0.5, 0.25)  # MB of a disk of its own


def surroundings_verdict(name: str, folder: Path) -> str:
    script, environment, status, recorded = SURROUNDINGS[name]
    if script.startswith("make"):
        script = script.replace("make -s", f"make -s VENV={Path(sys.executable).parents[1]}")
    ended = _shell(script, folder, **environment)
    if "Traceback" in ended.stderr or "Exception ignored" in ended.stderr:
        return f"cryptic: {ended.stderr.strip().splitlines()[-1][:200]}"
    if ended.status != status:
        return f"cryptic: exit status {ended.status}, not {status}: {ended.stderr[-200:]!r}"
    if status == 2 and len(ended.errors) != 1:
        return f"cryptic: {len(ended.errors)} lines of error"
    is_recorded = (folder / "run/aae_table2.jsonl").exists()
    return "good" if is_recorded == recorded else f"silent: recorded {is_recorded}"


def full_disk_verdict(megabytes: float, folder: Path) -> str:
    """A run on a disk that is too small ends in a line, and goes on once there is room."""
    disk = folder / "disk"
    disk.mkdir()
    size = f"size={int(megabytes * 2**20)}"
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], capture_output=True
    ).returncode:
        return "not tried: only root can mount a disk"
    run = shlex.join([*PROGRAM, *arguments(disk / "run")])
    try:
        ended = _shell(run, folder)
        if "Traceback" in ended.stderr:
            return f"cryptic: {ended.stderr.count(chr(10))} lines"
        if ended.status not in (0, 2) or len(ended.errors) != (ended.status == 2):
            return f"cryptic: status {ended.status}, {ended.errors}"
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        again = _shell(run, folder)
        return "good" if again.status == 0 else f"stuck: {again.stderr[-300:]!r}"
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def interrupted_import(delay: float, folder: Path) -> str:
    """Ctrl-C while a program is still importing, or just after."""
    import time

    process = subprocess.Popen(
        [*PROGRAM, *arguments(folder / "run")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=LIMIT_S)
    if process.returncode != 130 or "Traceback" in stderr:
        return f"stuck: status {process.returncode}: {stderr[-200:]!r}"
    return "good"
