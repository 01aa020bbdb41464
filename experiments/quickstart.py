"""``make quickstart``: the semi-supervised and the clustering AAE and the PixelGAN autoencoder on
scikit-learn's digits.

A few minutes on two cores, with no data to prepare. The 8x8 digits stand in for MNIST: the
numbers show that everything works, not what the methods can do.
"""

from pathlib import Path

from aae_jax import evaluators, plots, rundir
from experiments.aae import table2 as aae_table2
from experiments.aae.table3 import cluster_figure
from experiments.harness import cli
from experiments.harness.catalogue import ROOT
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table
from experiments.pixelgan import table1 as pixelgan_table1

TABLE = Table(
    experiment="quickstart",
    title="Quickstart on scikit-learn's digits (a stand-in), test error in percent",
    metric="test_error_percent",
    rows=(
        Row("semi_supervised", "semi-supervised AAE, 100 labels"),
        Row("clustering", "clustering AAE, 20 clusters, no labels"),
        Row("pixelgan", "PixelGAN autoencoder, 20 clusters, no labels"),
    ),
)


def figures(finished: Finished) -> list[Path]:
    if finished.config.row == "semi_supervised":
        return aae_table2.figures(finished)
    if finished.config.row == "pixelgan":
        return pixelgan_table1.figures(finished)
    curve = plots.error_curves(
        finished.result.curves,
        finished.workdir / "test_error.png",
        title=f"clustering on {finished.dataset.name}",
        names=[f"seed {seed}" for seed in finished.result.seeds],
        ylabel="test error, clusters named by the paper's rule (%)",
    )
    return [curve, cluster_figure(finished)]


def main() -> None:
    parser = cli.Parser(prog="python -m experiments.quickstart")
    parser.add_argument("--workdir", default="runs/quickstart")
    workdir = rundir.usable(parser.parse_args().workdir)
    print("quickstart: data are scikit-learn's 8x8 digits, a stand-in for MNIST\n")
    records = []
    for row, follow in (
        ("semi_supervised", evaluators.classification()),
        ("clustering", evaluators.clustering()),
        ("pixelgan", evaluators.clustering()),
    ):
        config, overrides = cli.load_config(f"{ROOT}/configs/quickstart.py:{row},smoke")
        run = cli.Run(config, overrides, workdir / row)
        measure = pixelgan_table1.information_of(config) if row == "pixelgan" else None
        finished = run_experiment(
            run, TABLE, figures, evaluators=(follow,), measure=measure, ledger=workdir
        )
        records.append(finished.record)
        print()
    print(TABLE.title)
    for line, record in zip(TABLE.rows, records):
        print(
            f"  {line.label:<42} {record['mean']:6.2f} ± {record['std']:.2f}   "
            f"{len(record['seeds'])} seeds, {record['updates']} updates each, "
            f"{record['wall_seconds']:.0f} s"
        )
    print(f"pictures and the ledger lie in {workdir}")


if __name__ == "__main__":
    cli.run_main(main)
