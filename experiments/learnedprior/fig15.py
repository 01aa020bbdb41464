"""Learning priors, figure 15: the colour in a sentence, varied; draws what figure 14 trains.

make reproduce-fig15-learnedprior PROFILE=fast ROWS=captioned_digits
"""

import sys

import jax
import numpy as np

from aae_jax import plots
from aae_jax.data import captions as captions_
from experiments.gancls import text
from experiments.harness import cli
from experiments.harness.drawing import first_state, shown_images
from experiments.harness.runner import Finished
from experiments.learnedprior import fig14

DRAWS = "learnedprior_fig14"
ROWS = tuple(row.name for row in fig14.TABLE.rows)
SENTENCES = {
    "captioned_digits": "a {} three on a black ground",
    "flowers": "the flower is {} in color and has petals that are rounded in shape and ruffled",
}
COLOURS = {
    "captioned_digits": tuple(captions_.COLOURS),
    # The paper's, in its order.
    "flowers": (
        "pink",
        "red",
        "yellow",
        "orange",
        "purple",
        "blue",
        "white",
        "green",
        "black",
    ),
}


def varied(finished: Finished, rows: int = 6) -> np.ndarray:
    """Images [rows, colours, h, w, c] in [0, 1]: a noise a row, a colour a column."""
    data, captions = text.data_of(finished.config.row), finished.dataset.captions
    assert captions is not None
    said = [SENTENCES[data].format(colour) for colour in COLOURS[data]]
    length = captions.test.tokens.shape[2]
    tokens = captions_.encode(said, captions.vocabulary, length)
    noise = jax.random.normal(jax.random.key(0), (rows, finished.config.model.noise_dim))
    drawn = text.draw(
        finished._replace(method=fig14.drawing(finished.method)),
        first_state(finished),
        np.repeat(noise, len(said), axis=0),
        np.tile(tokens, (rows, 1)),
    )
    images = shown_images(finished, drawn)
    return images.reshape(rows, len(said), *images.shape[1:])


def run(arguments: cli.Run) -> Finished:
    """Train a row of figure 14, or take up what it has trained, and draw it (colours.png)."""
    finished = fig14.run(arguments)
    config, data = finished.config, text.data_of(finished.config.row)
    path = plots.image_grid(
        varied(finished),
        finished.workdir / "colours.png",
        title=f"{SENTENCES[data].format('…')}: {config.row} ({config.profile}), "
        f"{finished.dataset.name}",
        row_label="noise",
        column_names=COLOURS[data],
    )
    print(f"  {path}")
    return finished


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
