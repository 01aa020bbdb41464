"""PixelGAN, figure 3: depth and conditioning of the decoder against what the code tells.

The classes' separation as a number: the error of a 10-nearest-neighbour vote on the codes, among
10,000 training images.

make reproduce-fig3-pixelgan PROFILE=fast
"""

import sys
from pathlib import Path

import jax
import ml_collections
import numpy as np

from aae_jax import evaluators, plots
from aae_jax.metrics import knn_error_percent
from experiments.harness import cli
from experiments.harness.drawing import codes_of, first_state, gather_panels, save_panel
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table
from experiments.pixelgan.table1 import check_data, information_of

TABLE = Table(
    experiment="pixelgan_fig3",
    title="PixelGAN, figure 3: error of a 10-nearest-neighbour vote on the code, in percent",
    metric="knn_error_percent",
    rows=(
        Row("shallow_invariant", "(a) 3 blocks, location-invariant, 2-D"),
        Row("shallow_dependent", "(b) 3 blocks, location-dependent, 2-D"),
        Row("deep_invariant", "(c) 12 blocks, location-invariant, 2-D"),
        Row("deep_dependent", "(d) 12 blocks, location-dependent, 2-D"),
        Row("deep_invariant_30d", "12 blocks, location-invariant, 30-D (section 2.1)"),
    ),
    shown=("reconstruction_nats", "code_gain_nats", "marginal_kl_nats"),
)

REFERENCES = 10_000


def separation(trained: Trained) -> dict[str, list[float]]:
    """The vote's error for every seed."""
    dataset, errors = trained.dataset, []
    num = min(REFERENCES, len(dataset.train.labels))
    for state in trained.result.states:
        codes = codes_of(trained, state, dataset.train.images[:num])
        test = codes_of(trained, state, dataset.test.images)
        labels = np.asarray(dataset.train.labels[:num])
        errors.append(knn_error_percent(codes, labels, test, np.asarray(dataset.test.labels)))
    return {"knn_error_percent": errors}


def measurement(config: ml_collections.ConfigDict) -> Measure:
    """Measures the separation of the classes, and equation 2."""
    names, information, _ = information_of(config)

    def measure(trained: Trained) -> dict[str, list[float]]:
        return separation(trained) | information(trained)

    return Measure(("knn_error_percent", *names), measure)


def figures(finished: Finished) -> list[Path]:
    """The code space beside those of the other rows, and samples."""
    row, dataset, seed = finished.config.row, finished.dataset, finished.result.seeds[0]
    pictures = []
    if finished.config.model.code_dim == 2:
        codes = codes_of(finished, finished.result.states[0], dataset.test.images)
        decoder = finished.config.model.decoder
        title = (
            f"{decoder.num_blocks} blocks, {decoder.conditioning.replace('_', '-')}: "
            f"{finished.record['values'][0]:.1f} % by k-NN"
        )
        save_panel(finished.workdir, plots.CodeSpace(title, codes, np.asarray(dataset.test.labels)))
        pictures.append(
            plots.code_spaces(
                gather_panels(finished.workdir, [r.name for r in TABLE.rows]),
                finished.workdir / "code_spaces.png",
                title=f"test images of {dataset.name}, seed {seed}, {finished.config.profile} "
                "profile",
            )
        )
    assert finished.method.sample is not None
    images = np.asarray(finished.method.sample(first_state(finished), jax.random.key(0), 64))
    pictures.append(
        plots.image_grid(
            images.reshape(8, 8, *images.shape[1:]),
            finished.workdir / "samples.png",
            title=f"samples, {row} ({finished.config.profile}), {dataset.name}",
        )
    )
    return pictures


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    follow = (evaluators.cost("reconstruction_nats"),)
    measure = measurement(arguments.config)
    return run_experiment(
        arguments, TABLE, figures, evaluators=follow, measure=measure, check=check_data
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
