"""Driver behind ``make reproduce-<table or figure>-<paper>``: one or more rows of an experiment.

    python -m experiments.harness.reproduce table2-aae --profile=fast --rows="mnist_100" \
        --seeds=1 -- --config.train.epochs=3
"""

import argparse
import contextlib
import difflib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from types import ModuleType

from aae_jax import data as datasets
from aae_jax import processes
from aae_jax.data.dataset import data_directory
from aae_jax.errors import UserError
from configs.base import check_row
from experiments.harness import catalogue, cli, runner, workdir
from experiments.harness.estimate import estimate


def experiment_name(target: str) -> str:
    """ "aae_table2" from "table2-aae".

    Raises:
        UserError: if there is no such experiment; the message lists the known ones.
    """
    targets = {catalogue.target(name): name for name in catalogue.names()}
    if target in targets:
        return targets[target]
    near = difflib.get_close_matches(target, targets, 1)
    listed = ", ".join(f"reproduce-{known}" for known in targets)
    hint = f"did you mean reproduce-{near[0]}?" if near else f"there are {listed}"
    raise UserError(f"no experiment reproduce-{target}: {hint}")


def rows_of(module) -> list[str]:
    """The rows of an experiment: of its table, or, of one that draws what another trains, its
    own."""
    return list(getattr(module, "ROWS", ())) or [row.name for row in module.TABLE.rows]


def default_profile() -> str:
    """``paper`` on an accelerator, ``fast`` on a CPU."""
    import jax

    return "fast" if jax.default_backend() == "cpu" else "paper"


def split_arguments(text: str) -> list[str]:
    """The overrides in the text of ``ARGS``; a tuple without spaces needs no quotes of its own.

    Raises:
        UserError: a quote that is not closed, or a tuple with spaces that has none.
    """
    try:
        tokens = shlex.split(text)
    except ValueError:
        raise UserError(f"ARGS has a quote that is not closed: {text}") from None
    torn = next((token for token in tokens if token.count("(") != token.count(")")), None)
    if torn is not None:
        raise UserError(
            f"ARGS is split at spaces, at {torn} too: write a tuple without them, or in quotes of "
            "its own, as in ARGS=\"--config.model.hidden='(500, 500)'\""
        )
    return tokens


def ensure_data(name: str) -> None:
    """Prepare a data set, unless it is prepared or decoded already.

    Raises:
        UserError: if it cannot be prepared, or has a name that nothing has.
    """
    if datasets.is_available(name):
        return
    datasets.check_preparable(name)
    print(f"{name} is neither decoded nor prepared here: make data DATASET={name}", flush=True)
    done = subprocess.run(
        ["make", "--no-print-directory", "data", f"DATASET={name}"], cwd=catalogue.ROOT
    )
    if done.returncode:
        raise UserError(
            f"{name} could not be prepared in {data_directory()}: see above, then run "
            f"`make data DATASET={name}`"
        )


def _rehearse(module: ModuleType, run: cli.Run) -> None:
    with contextlib.suppress(runner.Rehearsed):
        module.run(run._replace(rehearsal=True))


def main(argv: list[str] | None = None) -> None:
    parser = cli.Parser(
        prog="python -m experiments.harness.reproduce",
        epilog="after --: overrides, --config.field=value",
    )
    parser.add_argument("target", help="for example table2-aae")
    parser.add_argument("--profile", default="", help="paper, fast or smoke")
    parser.add_argument("--rows", default="", help="rows, separated by spaces; default all")
    parser.add_argument("--seeds", default="", help="how many seeds")
    parser.add_argument("--args", default="", help="overrides as one text, split as a shell would")
    parser.add_argument(
        "--distributed", action="store_true", help="one of several processes, one a host"
    )
    argv = sys.argv[1:] if argv is None else argv
    split = argv.index("--") if "--" in argv else len(argv)
    arguments = parser.parse_args(argv[:split])
    overrides = split_arguments(arguments.args) + argv[split + 1 :]

    if arguments.distributed:
        processes.start()
    runner.check_devices()
    with _printing():
        reproduce(arguments, overrides)


@contextlib.contextmanager
def _printing() -> Iterator[None]:
    """Of several processes the leading one alone prints; what is refused every one says."""
    if processes.leads():
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def reproduce(arguments: argparse.Namespace, overrides: list[str]) -> None:
    """Everything that the command line asks for.

    Raises:
        UserError: for what cannot be run.
    """
    name = experiment_name(arguments.target)
    module = catalogue.module(name)
    profile = arguments.profile
    if not profile:
        profile = default_profile()
        print(f"no PROFILE given: {profile}, the one for this device")
    if arguments.seeds:
        overrides.append(f"--config.train.seeds={arguments.seeds}")
    known = rows_of(module)
    rows = arguments.rows.replace(",", " ").split() or known
    for row in rows:
        check_row(name, row, known)

    loaded = [
        cli.load_config(f"{catalogue.config_file(name)}:{row},{profile}", overrides) for row in rows
    ]
    for config, _ in loaded:
        print(f"{config.experiment} {config.row} ({profile}): {estimate(config)}")
    missing = {}
    for config, _ in loaded:
        try:
            processes.first(partial(ensure_data, config.data.name))
            processes.together(partial(ensure_data, config.data.name))
        except UserError as error:
            missing[config.data.name] = error
    if missing and len(missing) == len({config.data.name for config, _ in loaded}):
        raise next(iter(missing.values()))
    runs = [
        cli.Run(config, changed, workdir.derive(config, changed))
        for config, changed in loaded
        if config.data.name not in missing
    ]
    # What can be wrong with a row's settings or data is found before the first row trains.
    for run in runs:
        processes.together(partial(_rehearse, module, run))
    failed = {}
    for config, _ in loaded:
        if config.data.name in missing:
            failed[config.row] = missing[config.data.name]
            print(f"{config.row}: not run, {missing[config.data.name]}", file=sys.stderr)
    for run in runs:
        try:
            with contextlib.suppress(runner.Followed):
                module.run(run)
        except UserError as error:
            if len(loaded) == 1 or isinstance(error, processes.Lost):
                raise
            failed[run.config.row] = error
            print(f"{run.config.row}: {error}", file=sys.stderr)
    if failed:
        raise UserError(f"not all rows have a result, see above: {', '.join(failed)} have none")


if __name__ == "__main__":
    cli.run_main(main)
