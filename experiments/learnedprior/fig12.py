"""Learning priors, figure 12: priors conditioned on categories that stand for nothing; the purity
of a category's samples, in percent.

Purity is the share of a category's samples that are of the class that most of them are, in the eyes
of a judge of ours, on average over the categories; ``distinct_classes`` is how many classes the
categories stand for. ``code_energy_coefficient`` compares codes of test images with codes from the
prior (figure 13): their energy distance as a share of twice the mean distance between the two
kinds, 0 for one distribution and at most 1.

make reproduce-fig12-learnedprior PROFILE=fast ROWS="mnist_ours mnist_aae"
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax.core import State, named_key
from aae_jax.metrics import energy_distance
from configs.learnedprior import fig12 as configs
from experiments.harness import cli, scores
from experiments.harness.drawing import codes_of
from experiments.harness.judge import Judge, judge_of
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Table
from experiments.learnedprior import fig8, fig10, table3

NUM_CODES = 2_000  # of each kind
_OWN = ("purity_percent", "distinct_classes", "code_energy_coefficient")
TABLE = Table(
    experiment="learnedprior_fig12",
    title="Learned priors, figure 12: samples of a category that are of its class, in percent",
    metric="purity_percent",
    rows=fig10.rows(configs.ROWS),
    shown=(*_OWN[1:], *fig10.SHOWN),
)


def purity(values: np.ndarray, classes: np.ndarray) -> tuple[float, int]:
    """The mean over values of the share of their most frequent class, in percent, and how many
    classes are the most frequent one of a value; values and classes [n]."""
    counts = [np.bincount(classes[values == value]) for value in np.unique(values)]
    shares = [count.max() / count.sum() for count in counts]
    return 100 * float(np.mean(shares)), len({int(count.argmax()) for count in counts})


def energy_coefficient(first: np.ndarray, second: np.ndarray) -> float:
    """The energy distance of [n, d] and [m, d] over twice the mean distance between a point of the
    one and a point of the other."""
    from scipy.spatial.distance import cdist

    between = float(cdist(first, second).mean())
    return energy_distance(first, second) / max(2 * between, 1e-12)


def _of_codes(trained: Trained, state: State, seed: int) -> float:
    num = min(NUM_CODES, len(trained.dataset.test.labels))
    found = codes_of(trained, state, trained.dataset.test.images[:num])
    values = np.arange(num) % fig10.num_values(trained)
    key = named_key(jax.random.key(seed), "noise of compared codes")
    noise = jax.random.normal(key, (num, trained.config.model.noise_dim))
    made = fig10.conditioned_codes(trained, state, values, noise)
    return energy_coefficient(found, np.asarray(made))


def _measured(trained: Trained, judge: Judge) -> dict[str, list[float]]:
    found = scores.of_run(trained, judge, fig8.judge_name(trained.config.row))
    pairs = [purity(*seed) for seed in fig10.judged(trained, judge)]
    found["purity_percent"] = [share for share, _ in pairs]
    found["distinct_classes"] = [float(number) for _, number in pairs]
    found["code_energy_coefficient"] = [
        _of_codes(trained, jax.tree.map(jnp.asarray, state), seed)
        for seed, state in zip(trained.result.seeds, trained.result.states)
    ]
    return found


def figures(finished: Finished) -> list[Path]:
    """The figure's panel of this row."""
    return fig10.draw_panel(finished, "category")


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    names = scores.names(fig8.judge_name(arguments.config.row))
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=table3.EVALUATORS,
        measure=Measure((*_OWN, *names), _measured, judge_of),
        check=scores.check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
