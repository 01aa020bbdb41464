"""PixelGAN, figure 8: semi-supervised error against epochs; draws what table 1 trains.

make reproduce-fig8-pixelgan PROFILE=fast
"""

import sys
from pathlib import Path

from aae_jax import logs, plots
from aae_jax.rundir import seed_directory
from configs.base import check_row
from experiments.harness import cli
from experiments.harness.drawing import neighbours
from experiments.harness.runner import Finished
from experiments.pixelgan import table1

DRAWS = "pixelgan_table1"
ROWS = ("mnist_20", "mnist_50", "mnist_100", "svhn_500", "svhn_1000")


def figures(finished: Finished) -> list[Path]:
    """Test error against epochs: the first seed of this run and of those of the other rows on the
    same data that have run."""
    dataset, seed = finished.config.row.split("_")[0], finished.result.seeds[0]
    curves, names = [], []
    for row, folder in neighbours(finished.workdir, [r for r in ROWS if r.startswith(dataset)]):
        if not (folder / "record.json").exists():  # still training, its log perhaps half a line
            continue
        entries = logs.read(seed_directory(folder, seed) / "metrics.jsonl")
        curve = [entry for entry in entries if "test_error_percent" in entry]
        if curve:
            curves.append(curve)
            names.append(f"{row.split('_')[1]} labels")
    return [
        plots.error_curves(
            curves,
            finished.workdir / "error_against_epochs.png",
            title=f"semi-supervised error, {finished.dataset.name}, seed {seed}, "
            f"{finished.config.profile} profile",
            names=names,
            against="epoch",
        )
    ]


def run(arguments: cli.Run) -> Finished:
    """Train table 1's row, or take up what it has trained, and draw it."""
    check_row("pixelgan_fig8", arguments.config.row, ROWS)
    finished = table1.run(arguments)
    for picture in figures(finished):
        print(f"  {picture}")
    return finished


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
