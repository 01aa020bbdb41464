"""Learning priors, figure 13: codes of test images beside codes from the code generator, in one
plane by t-SNE (scikit-learn's); draws what figure 12 trains.

Codes of images are coloured by their class, those of the code generator by their category, which
stands for nothing: colours of the two panels have nothing to do with each other.

make reproduce-fig13-learnedprior PROFILE=fast ROWS=mnist_ours
"""

import sys

import numpy as np

from aae_jax import plots
from configs.base import check_row
from experiments.harness import cli
from experiments.harness.drawing import codes_of, first_state
from experiments.harness.runner import Finished
from experiments.learnedprior import fig11, fig12

DRAWS = "learnedprior_fig12"
ROWS = tuple(row.name for row in fig12.TABLE.rows if row.name.endswith("_ours"))


def run(arguments: cli.Run) -> Finished:
    """Train a row of figure 12, or take up what it has trained, and draw it (codes.png)."""
    check_row("learnedprior_fig13", arguments.config.row, ROWS)
    finished = fig12.run(arguments)
    num, test = fig11.num_codes(finished), finished.dataset.test
    made, categories = fig11.generated(finished, num)
    found = codes_of(finished, first_state(finished), test.images[:num])
    placed = fig11.plane(np.concatenate([found, made]))
    config = finished.config
    path = plots.code_spaces(
        [
            plots.CodeSpace("encoder, by class", placed[:num], np.asarray(test.labels[:num])),
            plots.CodeSpace("code generator, by category", placed[num:], categories),
        ],
        finished.workdir / "codes.png",
        title=f"{config.row} ({config.profile}), {finished.dataset.name}",
        axis_names=("t-SNE 1", "t-SNE 2"),
        legend="class, or category",
    )
    print(f"  {path}")
    return finished


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
