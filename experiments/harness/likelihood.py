"""The Parzen-window log-likelihood of test images (Goodfellow et al. 2014, section 5), and the
training of what it is measured on, TFD's fold by fold."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import plots
from aae_jax.core import named_key
from aae_jax.data.tfd import NUM_FOLDS, is_tfd
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluator
from aae_jax.logs import progress_bar
from aae_jax.metrics import parzen
from experiments.harness import cli, runner
from experiments.harness.drawing import first_state, shown_images
from experiments.harness.runner import Finished, Trained
from experiments.harness.tables import Table


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse Parzen settings that could not be had after training.

    Raises:
        UserError: naming the field.
    """
    settings = config.parzen
    if not 0 < settings.lowest_sigma < settings.highest_sigma:
        raise UserError(
            f"parzen.lowest_sigma ({settings.lowest_sigma}) must be positive and less than "
            f"parzen.highest_sigma ({settings.highest_sigma})"
        )
    if settings.num_sigmas < 2:
        raise UserError(f"parzen.num_sigmas is {settings.num_sigmas}; it must be at least 2")
    if settings.num_samples < settings.selection_samples:
        raise UserError(
            f"parzen.num_samples ({settings.num_samples}) must be at least "
            f"parzen.selection_samples ({settings.selection_samples}), on which sigma is chosen"
        )
    num_validation = len(dataset.validation.labels)
    parzen.check_parzen_settings(settings.selection_samples, sigmas(config), num_validation)


def sigmas(config: ml_collections.ConfigDict) -> list[float]:
    """The log-spaced grid that sigma is chosen from."""
    low, high = config.parzen.lowest_sigma, config.parzen.highest_sigma
    return [float(sigma) for sigma in np.geomspace(low, high, config.parzen.num_sigmas)]


_MEASURED = (
    "parzen_nats",
    "standard_error_nats",
    "validation_nats",
    "sigma",
    "samples",
    "selection_samples",
)


def measurement(config: ml_collections.ConfigDict) -> runner.Measure:
    """Measures the Parzen likelihood of every seed by ``config.parzen``."""

    def measure(trained: Trained) -> dict[str, list[float]]:
        sample, scaling = trained.method.sample, trained.dataset.scaling
        assert sample is not None

        @jax.jit
        def block(state, key):
            # Pixels as the likelihood is measured on: [0, 1] (A.1).
            return scaling.inverse(sample(state, key, _BLOCK)).reshape(_BLOCK, -1)

        per_seed = [
            log_likelihood(trained, config, seed, functools.partial(block, jax.device_put(state)))
            for seed, state in zip(trained.result.seeds, trained.result.states)
        ]
        return {name: [values[name] for values in per_seed] for name in per_seed[0]}

    return runner.Measure(_MEASURED, measure)


def log_likelihood(
    trained: Trained,
    config: ml_collections.ConfigDict,
    seed: int,
    block: Callable[[jax.Array], jax.Array],
) -> dict[str, float]:
    """Mean and standard error over the test images and the mean over the validation images that
    sigma was chosen on, nats, and that sigma; ``block`` draws from the seed's model, by a key."""
    dataset, settings = trained.dataset, config.parzen
    key = named_key(jax.random.key(seed), "parzen")
    more = settings.num_samples > settings.selection_samples
    # Once to choose sigma, once under it; then all of them, if those were not all.
    drawn = 2 * settings.selection_samples + (settings.num_samples if more else 0)
    bar = progress_bar(f"Parzen, seed {seed}", "samples", drawn, unit_scale=True)

    def draw(start: int, num: int) -> jax.Array:
        bar.update(num)
        return block(jax.random.fold_in(key, start))[:num]

    validation, test = (
        dataset.scaling.pixels(np.asarray(split.images)).reshape(len(split.labels), -1)
        for split in (dataset.validation, dataset.test)
    )
    selected = parzen.parzen_estimate(
        draw,
        validation,
        test,
        num_samples=settings.selection_samples,
        sigma_grid=sigmas(config),
        sample_block=_BLOCK,
    )
    mean, standard_error = selected.mean, selected.standard_error
    if more:
        (nats,) = parzen.parzen_log_likelihoods(
            draw,
            test,
            [selected.sigma],
            num_samples=settings.num_samples,
            sample_block=_BLOCK,
        )
        mean, standard_error = float(nats.mean()), float(nats.std() / np.sqrt(len(nats)))
    bar.close()
    return {
        "parzen_nats": mean,
        "standard_error_nats": standard_error,
        "validation_nats": max(selected.validation),
        "sigma": selected.sigma,
        "samples": settings.num_samples,
        "selection_samples": settings.selection_samples,
    }


_BLOCK = 2000  # samples drawn at once


def sample_grid(finished: Finished) -> list[Path]:
    """Samples of the first seed's model."""
    sample = finished.method.sample
    assert sample is not None
    images = shown_images(finished, sample(first_state(finished), jax.random.key(0), 100))
    return [
        plots.image_grid(
            images.reshape(10, 10, *images.shape[1:]),
            finished.workdir / "samples.png",
            title=f"{finished.config.row} ({finished.config.profile}): samples, "
            f"{finished.dataset.name}",
        )
    ]


def train(
    arguments: cli.Run, measured: ml_collections.ConfigDict, follow: Sequence[Evaluator]
) -> list[Trained]:
    """Train a row, its evaluators ``follow``, so that it can be measured by ``measured.parzen``;
    TFD's fold by fold, each in a workdir of its own.

    Raises:
        UserError: as ``runner.train``, and for more seeds than TFD has folds.
    """

    def check_measured(_: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
        check(measured, dataset)

    config = arguments.config
    if not is_tfd(config.data.name):
        return [runner.train(arguments, evaluators=follow, check=check_measured)]
    folds = range(config.train.first_seed, config.train.first_seed + config.train.seeds)
    if not folds or folds[0] < 0 or folds[-1] >= NUM_FOLDS:
        raise UserError(
            f"TFD has {NUM_FOLDS} folds, one for each seed from 0 to {NUM_FOLDS - 1}: "
            f"train.first_seed is {config.train.first_seed} and train.seeds {config.train.seeds}"
        )
    parts = []
    for fold in folds:
        of_fold = config.copy_and_resolve_references()
        with of_fold.unlocked():
            of_fold.data.name = f"tfd/{fold}"
            of_fold.train.first_seed, of_fold.train.seeds = fold, 1
        folder = arguments.workdir.with_name(f"{arguments.workdir.name}-fold_{fold}")
        run_of_fold = arguments._replace(config=of_fold, workdir=folder)
        parts.append(runner.train(run_of_fold, evaluators=follow, check=check_measured))
    return parts


def report(
    arguments: cli.Run, table: Table, parts: list[Trained], figures: runner.Figures | None = None
) -> Finished:
    """Measure what ``train`` trained by ``arguments.config.parzen``, record and draw it: as one
    row, a seed a fold where there are folds."""
    measure = measurement(arguments.config)

    def measure_parts(_: Trained) -> dict[str, list[float]]:
        measured = [measure.of(part) for part in parts]
        return {name: [v for values in measured for v in values[name]] for name in measured[0]}

    return runner.report(
        arguments,
        table,
        runner.joined(parts),
        figures or sample_grid,
        measure=runner.Measure(measure.names, measure_parts),
        claimed_for=parts[0].dataset,
    )
