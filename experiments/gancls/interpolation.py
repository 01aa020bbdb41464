"""Text-to-image GANs: between two sentences with one noise, and between two noises with one
sentence (the slides' figure 8); draws what the table of texts trains.

make reproduce-interpolation-gancls PROFILE=fast ROWS=captioned_digits_gan_int_cls
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax.data import captions as captions_
from experiments.gancls import text
from experiments.harness import cli
from experiments.harness.drawing import first_state, shown_images
from experiments.harness.runner import Finished

DRAWS = "gancls_text"
ROWS = tuple(row.name for row in text.TABLE.rows)
MADE_UP = {
    "captioned_digits": (
        ("a blue three on a white ground", "a red three on a white ground"),
        ("a yellow six on a black ground", "a yellow six on a grey ground"),
        ("a thin green zero on a white ground", "a thick green zero on a white ground"),
        ("a cyan five on a black ground", "a cyan nine on a black ground"),
    )
}


def pairs(finished: Finished) -> tuple[np.ndarray, list[str]]:
    """Tokens [pairs, 2, t] and what a row says: made up by us, otherwise of neighbours in the test
    set."""
    captions = finished.dataset.captions
    assert captions is not None
    own = MADE_UP.get(text.data_of(finished.config.row))
    if own is None:
        tokens = captions.test.tokens[text.sentences_shown(finished), 0]
        tokens = np.stack([tokens, np.roll(tokens, 1, axis=0)], axis=1)[:4]
        said = [[captions_.sentence_of(t, captions.vocabulary) for t in pair] for pair in tokens]
    else:
        length = captions.test.tokens.shape[2]
        tokens = np.stack([captions_.encode(pair, captions.vocabulary, length) for pair in own])
        said = [list(pair) for pair in own]
    return tokens, [" → ".join(pair) for pair in said]


def between(finished: Finished, steps: int = 8) -> tuple[np.ndarray, list[str]]:
    """Images [2 pairs, steps, h, w, c] and the rows' names: of each pair first from one sentence to
    the other, the noise held fixed; then from one noise to another, with the second sentence."""
    state, method = first_state(finished), finished.method
    assert method.encode_text is not None and method.decode is not None
    tokens, said = pairs(finished)
    num = len(tokens)
    ends = method.encode_text(state, jnp.asarray(tokens.reshape(2 * num, -1)))
    ends = ends.reshape(num, 2, -1)
    noises = jax.random.normal(jax.random.key(0), (num, 2, finished.config.model.noise_dim))
    share = jnp.linspace(0.0, 1.0, steps)[None, :, None]

    def mixed(pair):
        return (1 - share) * pair[:, :1] + share * pair[:, 1:]

    def fixed(pair, end):
        return jnp.repeat(pair[:, end : end + 1], steps, axis=1)

    z = jnp.concatenate([fixed(noises, 0), mixed(noises)])
    h = jnp.concatenate([mixed(ends), fixed(ends, 1)])
    flat = [x.reshape(2 * num * steps, -1) for x in (z, h)]
    images = shown_images(finished, method.decode(state, *flat))
    names = [*said, *(f"two noises, {row.split(' → ')[1]}" for row in said)]
    return images.reshape(2 * num, steps, *images.shape[1:]), names


def run(arguments: cli.Run) -> Finished:
    """Train a row of the table of texts, or take up what it has trained, and draw it."""
    return text.draw_again(arguments, "interpolation", between)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
