"""Learning priors, figure 14: images for sentences, by a prior conditioned on their embeddings;
images that show what the sentence says, in percent, measured as the text-to-image GANs are
(`reproduce-text-gancls`), on combinations of digit and colour that training has seen and on those
that it has not.

make reproduce-fig14-learnedprior PROFILE=fast ROWS=captioned_digits
"""

import sys
from pathlib import Path

import jax
import ml_collections

from aae_jax import data as datasets
from aae_jax import plots
from aae_jax.core import State
from aae_jax.methods import Method
from aae_jax.methods.common import with_text_encoder
from experiments.gancls import embedding, text
from experiments.harness import cli, runner
from experiments.harness.judge import Judge
from experiments.harness.runner import Finished, Measure, Trained
from experiments.harness.tables import Row, Table
from experiments.learnedprior import table3

SHOWN = tuple(name for name in text.SHOWN if name not in text.OF_STYLE)
_BESIDE = "GAN-INT-CLS on the same sentences stands among the text-to-image GANs (`gancls_text`)."
TABLE = Table(
    experiment="learnedprior_fig14",
    title="Learned priors, figure 14: images that show what the sentence says, in percent",
    metric="match_percent",
    rows=(
        Row(
            "captioned_digits",
            "captioned digits (a stand-in)",
            data="captioned_digits",
            note=_BESIDE,
        ),
        Row("flowers", "flowers", data="flowers", note=_BESIDE),
    ),
    decimals=1,
    shown=(*SHOWN, table3.RECONSTRUCTION),
)


def drawing(method: Method) -> Method:
    """The method as the text-to-image GANs have it: images of noise and sentences, and no encoder
    of styles."""
    decode, embed = method.decode, method.embed
    assert decode is not None and embed is not None

    def of_sentences(state: State, noise: jax.Array, tokens: jax.Array) -> jax.Array:
        return decode(state, embed(state, noise, tokens))

    return method._replace(decode=of_sentences, encode=None)


def _as_gan(run):
    return run._replace(method=drawing(run.method))


def measurement(config: ml_collections.ConfigDict) -> Measure:
    """What is measured of a row, by its data."""
    digits = text.data_of(config.row) == "captioned_digits"
    of = text.of_digits if digits else text.of_folder

    def measured(trained: Trained, *judges: Judge) -> dict[str, list[float]]:
        return of(_as_gan(trained), *judges)

    names = ("match_percent", *(SHOWN if digits else ()))
    return Measure(names, measured, text.judged_by if digits else None)


def figures(finished: Finished) -> list[Path]:
    """A test image for each of some sentences, then samples for it: combinations seen, then held
    out."""
    grid, said = text.keep_pictures(_as_gan(finished))
    config = finished.config
    return [
        plots.image_grid(
            grid,
            finished.workdir / "captions.png",
            title=f"{config.row} ({config.profile}): test image, then samples; "
            f"{finished.dataset.name}",
            row_names=said,
        )
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row; the text encoder first."""
    config = arguments.config
    runner.check_is_of(arguments, TABLE)

    def with_encoder(method: Method, dataset: datasets.Dataset) -> Method:
        trained = embedding.trained_for(config, text.data_of(config.row))
        return with_text_encoder(method, trained.result.states[0].params["text_encoder"])

    trained = runner.train(arguments, evaluators=table3.EVALUATORS, complete=with_encoder)
    return runner.report(arguments, TABLE, trained, figures, measure=measurement(config))


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
