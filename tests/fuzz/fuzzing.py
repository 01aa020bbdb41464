"""What the fuzzer tries: kills, bad values, damaged files, hostile surroundings.

Every case is a function of its name, and ends with a verdict: "good", or what went wrong.

- A run that is killed ends, run again, with the parameters, curves and one record of an unbroken
  one.
- Bad input is refused by one line that begins with "error: ", exit status 2, and nothing written.
- A damaged file is told in one line, or made anew; once it is brought back, the run goes on to the
  bits of an unbroken one.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from aae_jax import data, domains
from aae_jax.errors import UserError
from experiments.harness import catalogue, cli, runner
from experiments.harness.reproduce import rows_of

ROOT = catalogue.ROOT
LIMIT_S = 120
EPOCHS = 6


class Ended(NamedTuple):
    """How a program ended: its exit status (negative: the signal), and what it said."""

    status: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]

    @property
    def fault(self) -> str:
        """What is wrong with how it ended, whatever it was asked; "" if nothing is."""
        if "Traceback" in self.stderr:
            return f"cryptic: {self.stderr.strip().splitlines()[-1][:200]}"
        if self.status == 2 and len(self.errors) != 1:
            return f"cryptic: {len(self.errors)} lines of error"
        if self.status not in (0, 2):
            return f"cryptic: exit status {self.status}, {self.stderr[-200:]!r}"
        return ""


Execute = Callable[[list[str]], Ended]


def run_table2(arguments: list[str]) -> None:
    """The program that is killed and whose files are damaged."""
    from experiments.aae import table2

    cli.run_main(lambda: table2.run(cli.parse(arguments)) and None)


def arguments(workdir: Path, epochs: int = EPOCHS, seeds: int = 1) -> list[str]:
    return [
        f"--config={ROOT}/configs/aae/table2.py:mnist_100,smoke",
        f"--workdir={workdir}",
        "--config.model.hidden=(8,)",
        "--config.model.discriminator_hidden=(8,)",
        f"--config.train.seeds={seeds}",
        f"--config.train.epochs={epochs}",
        "--config.train.checkpoint_every=1",
        "--config.train.evaluate_every=1",
        "--config.train.log_every=12",
    ]


def in_process(argv: list[str]) -> Ended:
    """The program in this process."""
    stdout, stderr, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            run_table2(argv)
        except SystemExit as end:
            status = int(end.code or 0)
        except Exception:
            traceback.print_exc()
            status = 1
    return Ended(status, stdout.getvalue(), stderr.getvalue())


def start(argv: list[str], folder: Path) -> int:
    """The program in a child of this process, which has imported all that it needs."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = 0
        try:
            run_table2(argv)
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        os._exit(status)
    finally:
        os._exit(99)


def wait(child: int, folder: Path, limit_s: float = LIMIT_S) -> Ended:
    """The end of a child; one that takes too long is killed, and its status is -9."""
    deadline = time.monotonic() + limit_s
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.01)
    said = [(folder / name).read_text(errors="replace") for name in ("stdout", "stderr")]
    return Ended(os.waitstatus_to_exitcode(status), *said)


def in_child(argv: list[str]) -> Ended:
    with tempfile.TemporaryDirectory() as folder:
        return wait(start(argv, Path(folder)), Path(folder))


# What has to come out.


class Truth(NamedTuple):
    """What an unbroken run ends with."""

    sha256: list[str]
    values: list[float]
    logs: dict[str, str]
    seconds: float

    @classmethod
    def of(cls, workdir: Path, seconds: float = 0.0) -> "Truth":
        record = json.loads((workdir / "record.json").read_text())
        logs = {path.parent.name: path.read_text() for path in workdir.glob("seed_*/metrics.jsonl")}
        return cls(record["params_sha256"], record["values"], logs, seconds)

    def differs(self, workdir: Path, told: str = "") -> str:
        """How a finished run differs from it; what was told in a line may differ."""
        try:
            there = Truth.of(workdir)
            lines = (workdir / "aae_table2.jsonl").read_text().splitlines()
            records = [json.loads(line) for line in lines]
        except (OSError, ValueError, KeyError) as error:
            return f"silent: no whole record: {error}"
        if there.sha256 != self.sha256 or there.values != self.values:
            return "silent: other parameters or values"
        if there.logs != self.logs and "metrics.jsonl" not in told:
            return "silent: another curve"
        if [r["params_sha256"] for r in records].count(self.sha256) != 1:
            return f"silent: recorded {len(records)} times"
        left = [path.name for path in workdir.rglob(".*.*") if path.name[-1].isdigit()]
        return f"lost: left over {left}" if left else ""


def unbroken(folder: Path, execute: Execute, epochs: int = EPOCHS, seeds: int = 1) -> Truth:
    started = time.monotonic()
    workdir = folder / f"unbroken-{epochs}-{seeds}"
    ended = execute(arguments(workdir, epochs, seeds))
    assert ended.status == 0, ended.stderr
    return Truth.of(workdir, time.monotonic() - started)


# Kills.

SIGNALS = (signal.SIGKILL,) * 4 + (signal.SIGTERM, signal.SIGINT)
EXPECTED = {
    signal.SIGKILL: (-signal.SIGKILL,),
    # Outside of training SIGTERM does what it always does.
    signal.SIGTERM: (143, -signal.SIGTERM, 0),
    signal.SIGINT: (130, 0),
}


def kill_series(name: str, truth: Truth, folder: Path) -> tuple[int, str]:
    """One run that is killed a few times, at random moments, and then left to end: how many kills,
    and the verdict."""
    rng = random.Random(name)
    workdir, kills = folder / "run", 0
    for _ in range(rng.randint(1, 3)):
        # Some kills fall in the run of fewer epochs that this one extends.
        epochs = EPOCHS // 2 if kills == 0 and rng.random() < 0.3 else EPOCHS
        child = start(arguments(workdir, epochs), folder)
        time.sleep(rng.uniform(0.0, 1.1 * truth.seconds))
        number = rng.choice(SIGNALS)
        os.kill(child, number)
        ended = wait(child, folder)
        kills += 1
        if ended.status not in (*EXPECTED[number], 0):
            return kills, f"cryptic: status {ended.status} after signal {number}: {ended.stderr!r}"
        if "Traceback" in ended.stderr:
            return kills, f"cryptic: after signal {number}: {ended.stderr[-300:]!r}"
    ended = wait(start(arguments(workdir), folder), folder)
    if ended.status != 0:
        return kills, f"stuck: {ended.stderr[-300:]!r}"
    return kills, truth.differs(workdir) or "good"


# Values.


def grid(value: object) -> tuple[str, ...]:
    """Bad values of a field, by its default, as a command line has them."""
    if isinstance(value, tuple):
        return ("(0,)", "(-1,)", "((1,),)", "('a',)", f"({10**30},)", "(1.5,)", "5", "(", "(True,)")
    if isinstance(value, float):
        return ("-1", "-1e-9", "1e30", "nan", "inf", "-inf", "x", "", str(10**400))
    return ("-1", "0", "-1000000000", str(2**31), str(10**30), "1.5", "x", "", "True")


def values() -> Iterator[tuple[str, str, str]]:
    """(config, field, bad value) of every numeric field of every method's first smoke row."""
    seen: set[tuple[str, str]] = set()
    for experiment in catalogue.names():
        for row in rows_of(catalogue.module(experiment)):
            spec = f"{experiment}:{row}"
            config = load(spec)
            for name, value in domains.fields(config):
                items = value if isinstance(value, tuple) else (value,)
                if any(isinstance(item, (str, bool)) or item is None for item in items):
                    continue
                section = config.method if name.startswith("model.") else "all"
                if (section, name) not in seen:
                    seen.add((section, name))
                    for bad in grid(value):
                        yield spec, name, bad


def load(spec: str, *overrides: str):
    experiment, row = spec.split(":")
    return cli.load_config(f"{catalogue.config_file(experiment)}:{row},smoke", overrides)[0]


class TooLong(Exception):
    """No answer within the limit."""


def value_verdict(spec: str, name: str, bad: str, folder: Path) -> str:
    """A value is refused in a line, or what can be had: then a rehearsal finds nothing else."""
    experiment, row = spec.split(":")
    argument = f"--config.{name}={bad}"
    before = sorted(folder.rglob("*"))

    def too_long(*_):
        raise TooLong

    previous = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT_S)
    try:
        path = f"{catalogue.config_file(experiment)}:{row},smoke"
        config, changed = cli.load_config(path, [argument])
        run = cli.Run(config, changed, folder / "run", rehearsal=True)
        catalogue.module(experiment).run(run)
        return "silent: ran"
    except runner.Rehearsed:
        verdict = "good"
    except UserError as error:
        verdict = "good" if "\n" not in str(error) and len(str(error)) < 600 else "cryptic: long"
    except TooLong:
        verdict = "stuck: no answer"
    except Exception as error:
        verdict = f"cryptic: {type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    return "silent: wrote" if sorted(folder.rglob("*")) != before else verdict


# Files.


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = random.Random(str(path.name)).randrange(len(content)) if content else 0
    content[at : at + 1] = bytes([content[at] ^ 0x10]) if content else b"x"
    path.write_bytes(content)


def _to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": _truncate,
    "flipped": _flip,
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "list": lambda path: path.write_text("[]"),
    "null": lambda path: path.write_text("null"),
    "number": lambda path: path.write_text("5"),
    "directory": _to_directory,
    "link": _to_link,
    "gone": lambda path: path.unlink(),
}


def damages(workdir: Path) -> Iterator[tuple[str, str]]:
    """(file, damage) of every file of a workdir, and of its directories (gone, or a file)."""
    for path in sorted(workdir.rglob("*")):
        name = str(path.relative_to(workdir))
        if "tfevents" in name:  # rewritten from metrics.jsonl; its name has the time in it
            continue
        for damage in DAMAGES if path.is_file() else ("gone", "file"):
            yield name, damage


def damage_verdict(
    whole: Path, name: str, damage: str, truth: Truth, execute: Execute, folder: Path
) -> str:
    """A run whose file is damaged is told so, or makes it anew; brought back, it goes on."""
    workdir = folder / "run"
    shutil.copytree(whole, workdir, symlinks=True)
    path = workdir / name
    if path.is_dir():
        shutil.rmtree(path)
        if damage == "file":
            path.write_text("")
    else:
        DAMAGES[damage](path)
    ended = execute(arguments(workdir))
    if ended.fault:
        return ended.fault
    if ended.status == 0:
        ledgers = name == "aae_table2.jsonl"  # its lines are the user's, and may be gone
        verdict = truth.differs(workdir, told=ended.stderr + name * (damage == "gone"))
        return "good" if ledgers and "recorded" in verdict else verdict or "good"
    if str(workdir) not in ended.errors[0]:
        return f"cryptic: names no file: {ended.errors[0]}"
    original = whole / name
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    if original.is_dir():
        shutil.copytree(original, path)
    else:
        shutil.copy(original, path)
    ended = execute(arguments(workdir))
    if ended.status != 0:
        return f"lost: brought back and still {ended.stderr[-200:]!r}"
    return truth.differs(workdir) or "good"


# Data: the decoded cache, and a set in TFDS's layout.


def write_data(root: Path) -> str:
    """A small set called "fuzzed", and its decoded cache; returns its checksum."""
    sys.path.insert(0, str(ROOT / "tests/data"))
    from test_sources import random_split, write_set

    splits = {"train": random_split(0, 30, (8, 8, 1)), "test": random_split(1, 20, (8, 8, 1))}
    write_set(root / "tfds", "fuzzed", "1.0.0", splits)
    with contextlib.redirect_stderr(io.StringIO()):
        return load_data(root)


def load_data(root: Path) -> str:
    return data.load("fuzzed", data_dir=str(root / "tfds"), cache_dir=str(root / "cache")).sha256


def data_verdict(whole: Path, name: str, damage: str, sha256: str, folder: Path) -> str:
    """A damaged file of a set or of its cache is refused in a line, or decoded anew."""
    root = folder / "data"
    shutil.copytree(whole, root)
    # A copy is younger than what was decoded, and so is decoded anew: keep the times.
    for path in whole.rglob("*"):
        shutil.copystat(path, root / path.relative_to(whole))
    DAMAGES[damage](root / name)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = load_data(root)
    except UserError as error:
        return "good" if "\n" not in str(error) else "cryptic: several lines"
    except Exception as error:
        return f"cryptic: {type(error).__name__}: {str(error)[:200]}"
    # What a set's own files say cannot be known to be wrong, unless it contradicts itself.
    own = name.startswith("tfds/")
    return "good" if own or found == sha256 else "silent: other data"
