"""Learning priors, figure 11: the code generator's output under each label, by t-SNE
(scikit-learn's); draws what figure 10 trains.

make reproduce-fig11-learnedprior PROFILE=fast ROWS=mnist_ours
"""

import sys

import jax
import numpy as np

from aae_jax import plots
from configs.base import check_row
from experiments.harness import cli
from experiments.harness.drawing import first_state
from experiments.harness.runner import Finished
from experiments.learnedprior import fig10

DRAWS = "learnedprior_fig10"
ROWS = tuple(row.name for row in fig10.TABLE.rows if row.name.endswith("_ours"))
NUM = 1_000  # codes


def plane(codes: np.ndarray) -> np.ndarray:
    """Codes [n, d] in two dimensions [n, 2]."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(codes) - 1) / 3)
    found = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(codes)
    return np.asarray(found, np.float32)


def generated(finished: Finished, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes [n, d] that the first seed's prior makes, and of which label or category [n]."""
    values = np.arange(num) % fig10.num_values(finished)
    noise = jax.random.normal(jax.random.key(1), (num, finished.config.model.noise_dim))
    codes = fig10.conditioned_codes(finished, first_state(finished), values, noise)
    return np.asarray(codes), values


def num_codes(finished: Finished) -> int:
    """How many codes are drawn."""
    return NUM if finished.config.profile != "smoke" else 100


def run(arguments: cli.Run) -> Finished:
    """Train a row of figure 10, or take up what it has trained, and draw it (tsne.png)."""
    check_row("learnedprior_fig11", arguments.config.row, ROWS)
    finished = fig10.run(arguments)
    codes, labels = generated(finished, num_codes(finished))
    config = finished.config
    path = plots.code_spaces(
        [plots.CodeSpace("code generator", plane(codes), labels)],
        finished.workdir / "tsne.png",
        title=f"{config.row} ({config.profile}), {finished.dataset.name}",
        axis_names=("t-SNE 1", "t-SNE 2"),
        legend="label",
    )
    print(f"  {path}")
    return finished


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
