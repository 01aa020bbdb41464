"""Text-to-image GANs: transfer of styles (the slides' figure 6), the style of real images with the
content of sentences, x̂ = G(S(x), φ(t)); draws what the table of texts trains.

make reproduce-style-gancls PROFILE=fast ROWS=captioned_digits_gan_int_cls
"""

import sys

import numpy as np

from aae_jax.data import captions as captions_
from experiments.gancls import text
from experiments.harness import cli
from experiments.harness.drawing import first_state, model_images, shown_images
from experiments.harness.runner import Finished

DRAWS = "gancls_text"
ROWS = tuple(row.name for row in text.TABLE.rows)
MADE_UP = {
    "captioned_digits": (
        "a red three on a black ground",
        "this eight is yellow the ground is brown",
        "white ground with a thick four in blue",
        "the digit seven written thin in cyan on grey",
    )
}


def sentences(finished: Finished) -> tuple[np.ndarray, list[str]]:
    """Tokens [n, t] and the sentences: of captioned digits made up by us, otherwise of the test
    set."""
    captions = finished.dataset.captions
    assert captions is not None
    own = MADE_UP.get(text.data_of(finished.config.row))
    if own is not None:
        length = captions.test.tokens.shape[2]
        return captions_.encode(own, captions.vocabulary, length), list(own)
    tokens = captions.test.tokens[text.sentences_shown(finished), 0]
    return tokens, [captions_.sentence_of(row, captions.vocabulary) for row in tokens]


def transfer(finished: Finished, columns: int = 10) -> tuple[np.ndarray, list[str]]:
    """Images [1 + sentences, columns, h, w, c] and the rows' names: test images, then for each
    sentence an image in the style of each."""
    state, encode = first_state(finished), finished.method.encode
    assert encode is not None
    images = np.asarray(finished.dataset.test.images[:columns])
    (styles,) = encode(state, model_images(finished, images))
    tokens, said = sentences(finished)
    noise, repeated = np.tile(styles, (len(said), 1)), np.repeat(tokens, columns, axis=0)
    drawn = shown_images(finished, text.draw(finished, state, noise, repeated))
    drawn = drawn.reshape(len(said), columns, *drawn.shape[1:])
    first = finished.dataset.scaling.pixels(images)
    return np.concatenate([first[None], drawn]), ["style of", *said]


def run(arguments: cli.Run) -> Finished:
    """Train a row of the table of texts, or take up what it has trained, and draw it."""
    return text.draw_again(arguments, "style", transfer)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
