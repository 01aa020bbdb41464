"""Learning priors, figure 10: priors conditioned on labels; samples of the label asked for, in
percent, by a judge of ours whose own error stands beside the share.

In the picture images of a row have one noise, and images of a column one label.

make reproduce-fig10-learnedprior PROFILE=fast ROWS="mnist_ours mnist_aae"
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import plots
from aae_jax.core import State, named_key
from configs.learnedprior import fig10 as configs
from experiments.harness import cli, scores
from experiments.harness.drawing import first_state, shown_images
from experiments.harness.judge import Judge, judge_of
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table
from experiments.learnedprior import fig8, table3

NUM = 10_000  # samples that are judged
_BLOCK = 500
SHOWN = (
    *(f"{judge}_classifier_fid" for judge in ("mnist", "svhn", "cifar10")),
    "confident_percent",
    "judge_error_percent",
    table3.RECONSTRUCTION,
)


def rows(names: tuple[str, ...]) -> tuple[Row, ...]:
    """Rows by what their names say."""
    return fig8.rows(names)


TABLE = Table(
    experiment="learnedprior_fig10",
    title="Learned priors, figure 10: samples of the label asked for, in percent",
    metric="label_percent",
    rows=rows(configs.ROWS),
    shown=SHOWN,
)


def conditioned_codes(
    run: Trained | Finished, state: State, values: np.ndarray, noise: jax.Array
) -> jax.Array:
    """Codes [n, code_dim] from the prior, of labels or categories [n] and noise [n, d]."""
    embed = run.method.embed
    assert embed is not None
    return embed(state, noise, jax.nn.one_hot(values, num_values(run)))


def num_values(run: Trained | Finished) -> int:
    """Labels or categories that the prior is conditioned on."""
    return run.config.model.num_categories or run.dataset.num_classes


def judged(trained: Trained, judge: Judge, num: int = NUM) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every seed what was asked for [n], equally many of each value, and the classes [n] that
    the judge gives the samples."""
    num = num if trained.config.profile != "smoke" else 500
    values = np.arange(num) % num_values(trained)
    decode, dim = trained.method.decode, trained.config.model.noise_dim
    assert decode is not None
    draw = jax.jit(
        lambda state, values, noise: decode(state, conditioned_codes(trained, state, values, noise))
    )
    found = []
    for seed, saved in zip(trained.result.seeds, trained.result.states):
        state = jax.tree.map(jnp.asarray, saved)
        key, classes = named_key(jax.random.key(seed), "judged samples"), []
        for i in range(0, num, _BLOCK):
            noise = jax.random.normal(jax.random.fold_in(key, i), (_BLOCK, dim))
            classes.append(judge.classify(draw(state, values[i : i + _BLOCK], noise)))
        found.append((values, np.concatenate(classes)))
    return found


def _measured(trained: Trained, judge: Judge) -> dict[str, list[float]]:
    found = scores.of_run(trained, judge, fig8.judge_name(trained.config.row))
    found["label_percent"] = [
        100 * float((classes == values).mean()) for values, classes in judged(trained, judge)
    ]
    return found


def panel(finished: Finished, rows: int = 10) -> np.ndarray:
    """Images [rows, values, h, w, c] in [0, 1] of the first seed: a noise a row, a value a
    column."""
    k, state, decode = num_values(finished), first_state(finished), finished.method.decode
    assert decode is not None
    noise = jax.random.normal(jax.random.key(0), (rows, finished.config.model.noise_dim))
    values = np.tile(np.arange(k), rows)
    codes = conditioned_codes(finished, state, values, jnp.repeat(noise, k, axis=0))
    images = shown_images(finished, decode(state, codes))
    return images.reshape(rows, k, *images.shape[1:])


def draw_panel(finished: Finished, name: str) -> list[Path]:
    """The figure's panel of this row; ``name`` is what its columns are."""
    config = finished.config
    return [
        plots.image_grid(
            panel(finished),
            finished.workdir / f"{name}.png",
            title=f"{config.row} ({config.profile}), {finished.dataset.name}",
            row_label="noise",
            column_label=name,
            column_names=[str(value) for value in range(num_values(finished))],
        )
    ]


def figures(finished: Finished) -> list[Path]:
    """The figure's panel of this row."""
    return draw_panel(finished, "label")


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    names = scores.names(fig8.judge_name(arguments.config.row))
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=table3.EVALUATORS,
        measure=Measure(("label_percent", *names), _measured, judge_of),
        check=scores.check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
