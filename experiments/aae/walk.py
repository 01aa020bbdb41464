"""AAE: an animated walk over the learnt manifold, as in the paper's video of faces (section 3).

make reproduce-walk-aae PROFILE=fast ROWS=mnist_10k
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import plots, priors
from configs.base import check_row
from experiments.aae import table1
from experiments.harness import cli
from experiments.harness.drawing import first_state, great_circle_walk, shown_images
from experiments.harness.runner import Finished

DRAWS = "aae_table1"
ROWS = ("mnist_10k", "tfd_10k")


def frames(finished: Finished, stops: int = 5, frames_per_leg: int = 12) -> np.ndarray:
    """Frames [t, H, W, c] of sixteen walks side by side, each through ``stops`` codes drawn from
    the prior and back to its first."""
    model, state = finished.config.model, first_state(finished)
    prior = priors.from_config(model.prior, model.code_dim)
    points = np.asarray(prior(jax.random.key(2), 16 * stops)).reshape(16, stops, -1)
    walks = np.stack([great_circle_walk(p, frames_per_leg) for p in points])
    assert finished.method.decode is not None
    num_frames = walks.shape[1]
    codes = jnp.asarray(walks.transpose(1, 0, 2).reshape(num_frames * 16, -1))
    shown = shown_images(finished, finished.method.decode(state, codes))
    return np.stack([plots.tile(s) for s in shown.reshape(num_frames, 4, 4, *shown.shape[1:])])


def figures(finished: Finished) -> list[Path]:
    """The animation."""
    return [plots.animation(frames(finished), finished.workdir / "walk.gif", zoom=3)]


def run(arguments: cli.Run) -> Finished:
    """Train table 1's row, or take up what it has trained, and walk over it."""
    check_row("aae_walk", arguments.config.row, ROWS)
    finished = table1.run(arguments)
    for picture in figures(finished):
        print(f"  {picture}")
    return finished


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
