"""Make a model of the zoo of a finished run.

    python -m experiments.harness.publish runs/aae_table3/mnist_30-fast [--name METHOD/ROW]
        [--seed N] [--to DIR]

The run's first seed is published, unless another is named, never its best; a run of fewer seeds
than its row's does for that. The file is the first of these forms that is at most 2 MB and keeps
the score, measured anew on the data: float16; float16 without the adversaries; then without them
integers of 8, 6, 5 and 4 bits. It goes into ``aae_jax/weights``, or DIR; ``aae_jax.load`` reads it
by its name or its path.
"""

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import aae_jax
from aae_jax import published, rundir, zoo
from aae_jax.core import State
from aae_jax.errors import UserError
from aae_jax.methods import Method
from experiments.harness import cli, ledger, rescore
from experiments.harness.report import curves_of_evaluators


class Form(NamedTuple):
    """How a model's numbers are kept."""

    name: str
    levels: int = 0  # of integers, to both sides of zero; 0: float16
    adversaries: bool = False


FORMS = (
    Form("float16", adversaries=True),
    Form("float16"),
    Form("8-bit integers", 127),
    Form("6-bit integers", 31),
    Form("5-bit integers", 15),
    Form("4-bit integers", 7),
)
_PICTURES = 16
_MOST_CHANGED = 0.02  # of a pixel in [0, 1], on average


def publish(
    directory: Path, *, name: str = "", seed: int | None = None, to: Path | None = None
) -> Path:
    """Publish one seed of a finished run; returns the file.

    Raises:
        UserError: there is no finished run, its name is taken or nameless, or no form of it is
            small enough and keeps its score.
    """
    record, described = _finished(directory)
    seed = record["seeds"][0] if seed is None else seed
    if seed not in record["seeds"]:
        known = ", ".join(map(str, record["seeds"]))
        raise UserError(f"{directory} has no finished seed {seed}: it has {known}")
    if to is None and (set(record["overrides"]) - {"train.seeds"} or record["profile"] == "smoke"):
        raise UserError(
            f"{directory} is no row as configured ({record['profile']}, {record['overrides']}): "
            "the zoo has only those; name a folder of your own by --to"
        )
    name = name or f"{record['config']['method']}/{record['row']}"
    if not re.fullmatch(r"\w+/\w+", name, flags=re.ASCII):
        raise UserError(f"--name={name}: a model is called METHOD/ROW, letters, digits and _")
    path = (to or zoo.WEIGHTS) / f"{name}.npz"
    _refuse_other(path, name, record)
    method, state = aae_jax.load(directory, seed)
    place = record["seeds"].index(seed)
    table, wanted = rescore.table_of(record), record["values"][place]
    adversaries = tuple(sorted(n for n in state.params if n.endswith("discriminator")))
    about = {
        "name": name,
        "version": aae_jax.__version__,
        "record": record,
        "seed": seed,
        "metric": record["metric"],
        "model": described,
        "step": int(state.step),
        "curves": curves_of_evaluators(record, directory),
    }
    reasons = []
    for form in FORMS:
        without = () if form.adversaries else adversaries
        arrays = published.reduced(published.weights_of(state, without), form.levels)
        smaller = published.filled_in(state, published.restored(arrays), int(state.step), without)
        about |= {"form": form.name, "without": list(without)}
        size = _size(about, arrays)
        kept_as = form.name + (", with adversaries" if form.adversaries else "")
        if size > published.LARGEST:
            reasons.append(f"{kept_as} is {size / 1e6:.1f} MB")
            continue
        found = rescore.score(record, seed, smaller)["values"][0]
        changed = _changed_pixels(method, state, smaller)
        if not rescore.keeps(found, wanted, table, record["std"]):
            reasons.append(f"{kept_as} scores {found:.4g} in the place of {wanted:.4g}")
        elif changed > _MOST_CHANGED:
            reasons.append(f"{kept_as} draws other pictures, by {changed:.3f} a pixel")
        else:
            about |= {"score": found, "changed_pixels": round(changed, 6)}
            published.write(path, about, arrays)
            return path
    raise UserError(
        f"{directory} cannot be published in {published.LARGEST / 1e6:g} MB with its score: "
        f"{'; '.join(reasons)}"
    )


def _finished(directory: Path) -> tuple[ledger.Record, dict[str, Any]]:
    """A run's record, and what its method was built from."""
    if not directory.is_dir():
        raise UserError(f"{directory} is no directory: give the --workdir of a finished run")
    try:
        record = rundir.load_json(directory / "record.json")
        described = rundir.load_json(directory / rundir.MODEL)
    except FileNotFoundError as error:
        raise UserError(
            f"{directory} has no {Path(error.filename).name}: give a run that is finished, or "
            "finish it by its command"
        ) from None
    except ValueError as error:
        raise UserError(f"{directory} cannot be read ({error}): run its command again") from None
    if missing := [key for key in ledger.KEYS if key not in record]:
        raise UserError(f"the record in {directory} has no '{missing[0]}': run its command again")
    return record, described


def _refuse_other(path: Path, name: str, record: ledger.Record) -> None:
    if path.exists():
        before = published.read_about(path)["record"]["experiment"]
        if before != record["experiment"]:
            raise UserError(
                f"{name} is a model of {before} already: give this one another name by --name"
            )


def _size(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return published.write(Path(folder) / "model.npz", about, arrays)


def _changed_pixels(method: Method, state: State, smaller: State) -> float:
    """How far what is drawn from one key is changed, on average over pixels, in parts of the range
    of the pictures; 0 where each pixel is a draw of its own."""
    if method.sample is None or method.log_prob is not None:
        return 0.0
    key = jax.random.key(0)
    before, after = (np.asarray(method.sample(s, key, _PICTURES)) for s in (state, smaller))
    return float(np.abs(after - before).mean() / max(np.ptp(before), 1e-6))


def main(arguments: Sequence[str]) -> None:
    parser = cli.Parser(prog="publish", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", default="")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--to", type=Path)
    given = parser.parse_args(arguments)
    path = publish(given.run, name=given.name, seed=given.seed, to=given.to)
    about = zoo.about(path)
    recorded = about["record"]["values"][about["record"]["seeds"].index(about["seed"])]
    print(
        f"{path}: {about['form']}, {path.stat().st_size / 1e6:.2f} MB; {about['metric']} "
        f"{about['score']:.4g}, recorded {recorded:.4g}"
    )


if __name__ == "__main__":
    cli.run_main(lambda: main(sys.argv[1:]))
