"""``make rows``: one command a row, or a row and some of its seeds, for a queue.

    python -m experiments.harness.rows --paper=aae --profile=fast --seeds=1 > rows.txt
    xargs -P 4 -I{} sh -c {} < rows.txt
    parallel < rows.txt

Behind the command, as a comment, stands how long it will take. A row that is split runs each of its
groups of seeds in a directory of its own; ``make collect`` joins their records.
"""

import difflib
import shlex
from collections.abc import Iterator

from aae_jax import data as datasets
from aae_jax.errors import UserError
from configs.base import PROFILES
from experiments.harness import catalogue, cli
from experiments.harness.estimate import estimate
from experiments.harness.reproduce import rows_of


def trained(paper: str = "") -> list[str]:
    """The experiments that train their rows themselves, of one paper or system or of all.

    Raises:
        UserError: for a paper that there is not.
    """
    known = catalogue.names()
    papers = sorted({name.split("_", 1)[0] for name in known})
    if paper and paper not in papers:
        near = difflib.get_close_matches(paper, papers, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(papers)}"
        raise UserError(f"no paper or system {paper!r}: {hint}")
    names = [name for name in known if name.split("_", 1)[0] == paper or not paper]
    return [name for name in names if not hasattr(catalogue.module(name), "DRAWS")]


def commands(names: list[str], profile: str, seeds_a_job: int = 0) -> Iterator[str]:
    """A shell command for every row of the experiments, or for each of its groups of
    ``seeds_a_job`` seeds, with the time that it will take."""
    for name in names:
        for row in rows_of(catalogue.module(name)):
            spec = f"{catalogue.config_file(name)}:{row},{profile}"
            config, _ = cli.load_config(spec)
            seeds, first = config.train.seeds, config.train.first_seed
            at_once = min(seeds_a_job or seeds, seeds)
            for start in range(first, first + seeds, at_once):
                words = ["make", f"reproduce-{catalogue.target(name)}"]
                words += [f"PROFILE={profile}", f"ROWS={row}"]
                count = min(at_once, first + seeds - start)
                overrides = []
                if count < seeds:
                    words.append(f"SEEDS={count}")
                    overrides.append(f"--config.train.seeds={count}")
                if start != first:
                    overrides.append(f"--config.train.first_seed={start}")
                    words.append(f"ARGS={overrides[-1]}")
                of_job, _ = cli.load_config(spec, overrides)
                there = "" if datasets.is_available(config.data.name) else "; no data here"
                yield f"{shlex.join(words)}  # {estimate(of_job)}{there}"


def main(argv: list[str] | None = None) -> None:
    parser = cli.Parser(prog="python -m experiments.harness.rows")
    parser.add_argument("--paper", default="", help="a folder of experiments/; default all")
    parser.add_argument("--profile", default="", help="paper, fast or smoke; default paper")
    parser.add_argument("--seeds", default="", help="seeds a command; default all of a row's")
    arguments = parser.parse_args(argv)
    profile = arguments.profile or "paper"
    if profile not in PROFILES:
        raise UserError(f"unknown profile {profile!r}: choose one of {', '.join(PROFILES)}")
    seeds = arguments.seeds or "0"
    if not seeds.isdecimal():
        raise UserError(f"SEEDS is {seeds!r}; it must be a number of seeds for one command")
    for command in commands(trained(arguments.paper), profile, int(seeds)):
        print(command)


if __name__ == "__main__":
    cli.run_main(main)
