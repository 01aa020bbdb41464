"""Text-to-image GANs (survey's slides, figures 3 and 4): do images show what the sentences say?

An image is drawn for a sentence of each of the first 4,000 test images. Captioned digits: the match
is the share of images of the digit and the colour asked for, where that combination is in the
training set; beside it the same where it is not, and digit, colour, ground and thickness (where a
sentence speaks of it) each alone. The digit is judged by a classifier of ours, trained on all
combinations, whose own error on test images stands beside it; colours, ground and thickness are
measured as they are on the data. Flowers and birds: the share of images that the joint embedding's
image encoder gives the class of the sentence (slides, equation 4) among the test set's, none of
which is in the training set.

Of the style encoder S: the squared error of z, as a share of its variance, on generated images; and
the correlation of a test image's slant with that of the image drawn with its style for the sentence
of another image, where that says nothing of the slant.

make reproduce-text-gancls PROFILE=fast ROWS="captioned_digits_gan captioned_digits_gan_int_cls"
"""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import plots
from aae_jax.core import State, named_key
from aae_jax.data import captions as captions_
from aae_jax.evaluators import Evaluation, Evaluator
from aae_jax.methods import Method
from aae_jax.methods.common import with_text_encoder
from configs.base import check_row
from experiments.gancls import embedding
from experiments.harness import cli, runner
from experiments.harness.drawing import first_state, model_images, neighbours, shown_images
from experiments.harness.judge import UPDATES, Judge, judge
from experiments.harness.runner import Finished, Measure, Trained
from experiments.harness.tables import Row, Table

VARIANTS = {"gan": "GAN", "gan_cls": "GAN-CLS", "gan_int": "GAN-INT", "gan_int_cls": "GAN-INT-CLS"}
_DATA = {
    "captioned_digits": "captioned digits (a stand-in)",
    "flowers": "flowers",
    "birds": "birds",
}
_PARTS = ("class", "colour", "ground", "thickness")
OF_STYLE = ("style_error", "style_slant_correlation")
SHOWN = (
    "held_out_match_percent",
    *(f"{kind}{part}_percent" for kind in ("", "held_out_") for part in _PARTS),
    "judge_error_percent",
    *OF_STYLE,
)
_SEEN = (
    "initial weights and rates were chosen by looks at GAN-INT-CLS on another seed, after all four "
    "variants had been seen on this one by the recipe before."
)
TABLE = Table(
    experiment="gancls_text",
    title="Text-to-image GANs: images that show what the sentence says, in percent",
    metric="match_percent",
    rows=tuple(
        Row(
            f"{data}_{variant}",
            f"{label}, {VARIANTS[variant]}",
            data=data,
            note=_SEEN if (data, variant) == ("captioned_digits", "gan") else "",
        )
        for data, label in _DATA.items()
        for variant in VARIANTS
    ),
    decimals=1,
    shown=SHOWN,
)
NUM_ASKED = 4_000
NUM_FOLLOWED = 500  # sentences, during training
SMOKE_UPDATES = 200  # of the judge, on digits
_BLOCK = 500
_PICTURES = "variants.npz"


def data_of(row: str) -> str:
    """``captioned_digits`` of ``captioned_digits_gan_cls``."""
    return next(data for data in _DATA if row.startswith(data))


def draw(run: Trained | Finished, state: State, noise, tokens: np.ndarray) -> jax.Array:
    """Images [n, h, w, c], as networks put them out, of noise [n, d] and tokens [n, t]."""
    decode = run.method.decode
    assert decode is not None
    decode = jax.jit(decode)
    noise = jnp.asarray(noise)
    blocks = [slice(i, i + _BLOCK) for i in range(0, len(tokens), _BLOCK)]
    return jnp.concatenate([decode(state, noise[b], jnp.asarray(tokens[b])) for b in blocks])


def _asked(run: Trained | Finished | Evaluation, num: int) -> datasets.Sentences:
    """What is asked for: the first sentence of each of the first test images, tokens [n, t]."""
    captions = run.dataset.captions
    assert captions is not None
    test = captions.test
    return datasets.Sentences(test.tokens[:num, 0], test.classes[:num], test.attributes[:num])


def shares(
    captions: datasets.Captions,
    asked: datasets.Sentences,
    seen: captions_.Seen,
    classes: np.ndarray | None = None,
) -> dict[str, float]:
    """How often images show what was asked for, in percent, by what ``look`` saw of them and,
    where there are any, the classes [n] that a judge gave them."""

    def of(name: str) -> np.ndarray:
        return captions_.attribute(captions, asked, name)

    thirds = next(a.thresholds for a in captions.attributes if a.name == "thickness")
    thickness = np.searchsorted(thirds, seen.measured.thickness, side="right")
    right = {
        "colour": seen.colour == of("colour"),
        "ground": seen.ground == of("ground"),
        "thickness": thickness == of("thickness"),
    }
    if classes is not None:
        right["class"] = classes == of("class")
        right["match"] = right["class"] & right["colour"]
    found = {}
    for kind, chosen in (("", of("combination") == 0), ("held_out_", of("combination") == 1)):
        for name, values in right.items():
            spoken_of = chosen & (of("thickness") != 1) if name == "thickness" else chosen
            found[f"{kind}{name}_percent"] = 100 * float(values[spoken_of].mean())
    return found


def followed() -> Evaluator:
    """During training: colours and grounds that are asked for and seen, ``test_colour_percent`` and
    ``test_ground_percent``."""

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        asked = _asked(evaluation, NUM_FOLLOWED)
        noise = jax.random.normal(
            evaluation.key("followed noise"), (len(asked.classes), _noise_dim(evaluation))
        )
        images = evaluation.call("decode", noise, jnp.asarray(asked.tokens))
        pixels = np.clip(np.asarray(evaluation.dataset.scaling.inverse(images)), 0, 1)
        assert evaluation.dataset.captions is not None
        found = shares(evaluation.dataset.captions, asked, captions_.look(pixels))
        yield "test_colour_percent", found["colour_percent"]
        yield "test_ground_percent", found["ground_percent"]

    return Evaluator(evaluate)


def _noise_dim(evaluation: Evaluation) -> int:
    heads = evaluation.state.params["style_encoder"]
    last = max((name for name in heads if name.startswith("Dense_")), key=lambda n: int(n[6:]))
    return heads[last]["bias"].shape[0]


def _style(
    trained: Trained, state: State, seed: int, asked: datasets.Sentences
) -> dict[str, float]:
    encode = trained.method.encode
    assert encode is not None
    encode = jax.jit(encode)
    key, dim = named_key(jax.random.key(seed), "style noise"), trained.config.model.noise_dim
    z = jax.random.normal(key, (len(asked.classes), dim))
    (found,) = encode(state, draw(trained, state, z, asked.tokens))
    values = {"style_error": float(jnp.square(found - z).mean())}
    captions = trained.dataset.captions
    assert captions is not None
    if all(attribute.name != "slant" for attribute in captions.attributes):
        return values
    images = trained.dataset.test.images[: len(asked.classes)]
    (styles,) = encode(state, model_images(trained, images))
    of_other = np.roll(asked.tokens, 1, axis=0)
    silent = np.roll(captions_.attribute(captions, asked, "slant"), 1) == 1
    drawn = shown_images(trained, draw(trained, state, styles, of_other))
    before, after = (
        captions_.look(pixels[silent]).measured.slant
        for pixels in (trained.dataset.scaling.pixels(np.asarray(images)), drawn)
    )
    varies = before.std() > 0 and after.std() > 0
    values["style_slant_correlation"] = float(np.corrcoef(before, after)[0, 1]) if varies else 0.0
    return values


def judged_by(trained: Trained) -> Judge:
    """A judge of every combination of class and colour."""
    data = trained.config.data
    every = datasets.load(f"{data.name}/every_combination", scaling=data.scaling)
    updates = SMOKE_UPDATES if trained.config.profile == "smoke" else UPDATES
    return judge(trained._replace(dataset=every), updates)


def of_digits(trained: Trained, of_data: Judge) -> dict[str, list[float]]:
    asked, captions = _asked(trained, NUM_ASKED), trained.dataset.captions
    assert captions is not None
    measured: dict[str, list[float]] = {}
    for seed, saved in zip(trained.result.seeds, trained.result.states):
        state = jax.tree.map(jnp.asarray, saved)
        key = named_key(jax.random.key(seed), "noise of measured images")
        noise = jax.random.normal(key, (len(asked.classes), trained.config.model.noise_dim))
        images = draw(trained, state, noise, asked.tokens)
        seen = captions_.look(shown_images(trained, images))
        values = shares(captions, asked, seen, of_data.classify(images))
        values["judge_error_percent"] = of_data.error_percent
        if trained.method.encode is not None:
            values |= _style(trained, state, seed, asked)
        for name, value in values.items():
            measured.setdefault(name, []).append(value)
    return measured


def of_folder(trained: Trained) -> dict[str, list[float]]:
    matcher = embedding.trained_for(trained.config, data_of(trained.config.row))
    of_matcher, captions = first_state(matcher), trained.dataset.captions
    assert captions is not None
    encode, encode_text = matcher.method.encode, matcher.method.encode_text
    assert encode is not None and encode_text is not None
    _, sentences, length = captions.test.tokens.shape
    tokens = jnp.asarray(captions.test.tokens.reshape(-1, length))
    texts = np.asarray(encode_text(of_matcher, tokens))
    classes = np.repeat(captions.test.classes, sentences)
    asked = _asked(trained, NUM_ASKED)
    measured: dict[str, list[float]] = {"match_percent": []}
    for seed, saved in zip(trained.result.seeds, trained.result.states):
        state = jax.tree.map(jnp.asarray, saved)
        key = named_key(jax.random.key(seed), "noise of measured images")
        noise = jax.random.normal(key, (len(asked.classes), trained.config.model.noise_dim))
        # As the embedding sees images: in [0, 1].
        images = shown_images(trained, draw(trained, state, noise, asked.tokens))
        codes = [
            np.asarray(encode(of_matcher, jnp.asarray(images[i : i + _BLOCK]))[0])
            for i in range(0, len(images), _BLOCK)
        ]
        given = embedding.nearest_classes(np.concatenate(codes), texts, classes)
        measured["match_percent"].append(100 * float((given == asked.classes).mean()))
        if trained.method.encode is not None:
            style = _style(trained, state, seed, asked)
            measured.setdefault("style_error", []).append(style["style_error"])
    return measured


def measurement(config: ml_collections.ConfigDict) -> Measure:
    """What is measured of a row, by its data."""
    if data_of(config.row) == "captioned_digits":
        return Measure(("match_percent", *SHOWN), of_digits, judged_by)
    return Measure(("match_percent", "style_error"), of_folder)


def sentences_shown(finished: Finished, num: int = 4) -> np.ndarray:
    """Which test images [2 num] have their sentences drawn: the first of combinations that are in
    the training set, and of those that are not."""
    captions = finished.dataset.captions
    assert captions is not None
    combination = captions_.attribute(captions, captions.test, "combination")
    kinds = [np.flatnonzero(combination == kind)[:num] for kind in (0, 1)]
    return np.concatenate(kinds)


def keep_pictures(finished: Finished, columns: int = 8) -> tuple[np.ndarray, list[str]]:
    """Images [sentences, 1 + columns, h, w, c] of the first seed, the test image first, and the
    sentences; kept beside the run for the picture of all variants."""
    chosen, state = sentences_shown(finished), first_state(finished)
    captions, scaling = finished.dataset.captions, finished.dataset.scaling
    assert captions is not None
    tokens = captions.test.tokens[chosen, 0]
    noise = jax.random.normal(jax.random.key(0), (columns, finished.config.model.noise_dim))
    drawn = draw(finished, state, np.tile(noise, (len(chosen), 1)), np.repeat(tokens, columns, 0))
    shown = shown_images(finished, drawn)
    real = scaling.pixels(np.asarray(finished.dataset.test.images)[chosen])
    grid = np.concatenate(
        [real[:, None], shown.reshape(len(chosen), columns, *shown.shape[1:])], axis=1
    )
    said = [captions_.sentence_of(row, captions.vocabulary) for row in tokens]
    temporary = finished.workdir / f".pictures.{os.getpid()}.npz"
    np.savez_compressed(temporary, grid=grid)
    os.replace(temporary, finished.workdir / _PICTURES)
    return grid, said


def figures(finished: Finished) -> list[Path]:
    """Images for sentences of combinations seen and held out; and those of all variants on these
    data that have run, an image a sentence."""
    config, name = finished.config, finished.dataset.name
    grid, said = keep_pictures(finished)
    data = data_of(config.row)
    columns, names = [grid[:, 0]], ["GT"]
    rows = [f"{data}_{variant}" for variant in VARIANTS]
    for (_, folder), label in zip(neighbours(finished.workdir, rows), VARIANTS.values()):
        if (folder / _PICTURES).exists():
            with np.load(folder / _PICTURES) as saved:
                columns.append(saved["grid"][:, 1])
            names.append(label.replace("-", "\n"))  # side by side they are too long
    return [
        plots.image_grid(
            grid,
            finished.workdir / "captions.png",
            title=f"{config.row} ({config.profile}): test image, then samples; {name}",
            row_names=said,
        ),
        plots.image_grid(
            np.stack(columns, axis=1),
            finished.workdir / "variants.png",
            title=f"{name} ({config.profile})",
            row_names=said,
            column_names=names,
        ),
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row; the text encoder first."""
    config = arguments.config
    digits = data_of(config.row) == "captioned_digits"

    def with_encoder(method: Method, dataset: datasets.Dataset) -> Method:
        trained = embedding.trained_for(config, data_of(config.row))
        return with_text_encoder(method, trained.result.states[0].params["text_encoder"])

    trained = runner.train(
        arguments, evaluators=(followed(),) if digits else (), complete=with_encoder
    )
    return runner.report(arguments, TABLE, trained, figures, measure=measurement(config))


def draw_again(
    arguments: cli.Run,
    picture: str,
    grid_of: Callable[[Finished], tuple[np.ndarray, list[str]]],
) -> Finished:
    """Train a row, or take up what it has trained, and draw ``picture.png``: the images
    [rows, columns, h, w, c] and the rows' names that ``grid_of`` makes."""
    check_row(f"gancls_{picture}", arguments.config.row, [row.name for row in TABLE.rows])
    finished = run(arguments)
    grid, names = grid_of(finished)
    config = finished.config
    path = plots.image_grid(
        grid,
        finished.workdir / f"{picture}.png",
        title=f"{config.row} ({config.profile}) on {finished.dataset.name}",
        row_names=names,
    )
    print(f"  {path}")
    return finished


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
