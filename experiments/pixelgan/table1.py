"""PixelGAN, table 1: clustering and semi-supervised classification error, in percent.

make reproduce-table1-pixelgan PROFILE=fast ROWS="mnist_unsupervised mnist_100"
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import evaluators, plots
from aae_jax.core import named_key
from aae_jax.errors import UserError
from aae_jax.objectives import bits_per_dimension
from experiments.harness import cli
from experiments.harness.drawing import first_state, model_images
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table

_EARLIER = "recorded with an earlier `fast`: six epochs, blocks without dilations, a learned scale."
TABLE = Table(
    experiment="pixelgan_table1",
    title="PixelGAN, table 1: clustering and semi-supervised classification, test error in percent",
    metric="test_error_percent",
    rows=(
        Row(
            "mnist_unsupervised",
            "MNIST, unsupervised, 30 clusters",
            (5.27, 1.81),
            (
                ("Adversarial Autoencoder", 4.10, 1.13),
                ("Convolutional CatGAN", 4.27, None),
                ("InfoGAN", 5.00, None),
            ),
            note="run twice by one recipe, for draws had changed in between; the first run had "
            "12.74 ± 2.89.",
        ),
        Row(
            "mnist_20",
            "MNIST, 20 labels",
            (12.08, 5.50),
            (("Feature Matching GAN", 16.77, 4.52),),
            note=_EARLIER,
        ),
        Row(
            "mnist_50",
            "MNIST, 50 labels",
            (1.16, 0.17),
            (("Feature Matching GAN", 2.21, 1.36),),
        ),
        Row(
            "mnist_100",
            "MNIST, 100 labels",
            (1.08, 0.15),
            (
                ("VAE", 3.33, 0.14),
                ("VAT", 2.33, None),
                ("ADGM", 0.96, 0.02),
                ("SDGM", 1.32, 0.07),
                ("Adversarial Autoencoder", 1.90, 0.10),
                ("Ladder Networks", 0.89, 0.50),
                ("Convolutional CatGAN", 1.39, 0.28),
                ("Feature Matching GAN", 0.93, 0.06),
            ),
            note="under other recipes seed 0 parts classes the wrong way, and ended at 10.6 % with "
            "an earlier one. That the decoder learns alone at first was tried after seed 0 of "
            "yet another, stopped and not recorded, had been seen, and chosen on seed 103.",
        ),
        Row(
            "svhn_500",
            "SVHN, 500 labels",
            (10.47, 1.80),
            (("Feature Matching GAN", 18.44, 4.80), ("Temporal Ensembling", 7.05, 0.30)),
            data="svhn_cropped",
        ),
        Row(
            "svhn_1000",
            "SVHN, 1000 labels",
            (6.96, 0.55),
            (
                ("VAE", 36.02, 0.10),
                ("VAT", 24.63, None),
                ("ADGM", 22.86, None),
                ("SDGM", 16.61, 0.24),
                ("Adversarial Autoencoder", 17.70, 0.30),
                ("Feature Matching GAN", 8.11, 1.30),
                ("Temporal Ensembling", 5.43, 0.25),
            ),
            data="svhn_cropped",
        ),
        Row(
            "norb_1000",
            "NORB, 1000 labels",
            (8.90, 1.0),
            (
                ("VAE", 18.79, 0.05),
                ("VAT", 9.88, None),
                ("ADGM", 10.06, 0.05),
                ("SDGM", 9.40, 0.04),
            ),
            data="smallnorb",
        ),
    ),
    shown=(
        "reconstruction_nats",
        "code_gain_nats",
        "marginal_kl_nats",
        "mutual_information_nats",
    ),
)


def information(trained: Trained) -> dict[str, list[float]]:
    """Equations 2 and 3 as a measurement on the test images, in nats, per seed. The codes are one
    draw from q(z | x) for each image, with the noise n at the encoder's input, under the running
    batch-norm statistics.

    ``reconstruction_nats`` is -E log p(x | z), an image; ``bits_per_dimension`` the same in bits a
    pixel and channel. ``code_gain_nats`` is what the decoder makes of the code: how much likelier
    it finds an image under its own code than under another test image's. ``marginal_kl_nats``,
    where there is a trained adversary, is KL(q(z) || p(z)) as it estimates it, E over q of
    log (1 - D) / D: a rough figure, right only for the optimal discriminator, and for a
    categorical prior (points, which a softmax never reaches, so that the divergence itself is
    infinite) no more than a measure of how well it still tells the two apart.
    ``mutual_information_nats`` is I(z; x) of a category drawn from the softmax,
    H(E q(z | x)) - E H(q(z | x)), and ``mutual_information_bound_nats`` the lesser of log k and
    log N (equation 3). The decoder gets the softmax itself, so away from the simplex's corners the
    code can say more than this: see ``code_gain_nats``.
    """
    method, images = trained.method, trained.dataset.test.images
    assert method.encode is not None and method.log_prob is not None
    encode, log_prob, discriminate = method.encode, method.log_prob, method.discriminate

    @jax.jit
    def of_block(state, x, key):
        (z,) = encode(state, x, key)
        own, others = log_prob(state, x, z), log_prob(state, x, jnp.roll(z, 1, axis=0))
        ratio = -discriminate(state, z) if discriminate is not None else jnp.zeros(len(x))
        return z, -own, own - others, ratio

    measured: dict[str, list[float]] = {}
    for seed, saved in zip(trained.result.seeds, trained.result.states):
        state = jax.tree.map(jnp.asarray, saved)
        key = named_key(jax.random.key(seed), "information")
        blocks = [
            of_block(state, model_images(trained, images[i : i + 500]), jax.random.fold_in(key, i))
            for i in range(0, len(images), 500)
        ]
        z, costs, gains, ratios = (
            np.concatenate([np.asarray(block[i]) for block in blocks]) for i in range(4)
        )
        values = {
            "reconstruction_nats": float(costs.mean()),
            "bits_per_dimension": float(
                bits_per_dimension(-costs.mean(), trained.dataset.test.images.shape[1:])
            ),
            "code_gain_nats": float(gains.mean()),
        }
        if discriminate is not None:
            values["marginal_kl_nats"] = float(ratios.mean())
        if trained.config.model.prior == "categorical":
            values["mutual_information_nats"] = mutual_information(z)
            values["mutual_information_bound_nats"] = float(np.log(min(z.shape[::-1])))
        for name, value in values.items():
            measured.setdefault(name, []).append(value)
    return measured


def information_of(config: ml_collections.ConfigDict) -> Measure:
    """``information`` as the end of a run measures it."""
    names = ["reconstruction_nats", "bits_per_dimension", "code_gain_nats"]
    if config.model.regularized and config.model.decoder.conditioning != "none":
        names.append("marginal_kl_nats")
    if config.model.prior == "categorical":
        names += ["mutual_information_nats", "mutual_information_bound_nats"]
    return Measure(tuple(names), information)


def mutual_information(probabilities: np.ndarray) -> float:
    """I(z; x) in nats of a categorical code whose q(z | x) are the rows of [n, k]."""

    def entropy(p: np.ndarray) -> np.ndarray:
        return -(p * np.log(np.maximum(p, 1e-30))).sum(axis=-1)

    p = probabilities.astype(np.float64)
    return float(entropy(p.mean(axis=0)) - entropy(p).mean())


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse what the measurements and pictures of categorical codes cannot have.

    Raises:
        UserError: another prior than the categorical one, or images that are not in [0, 1].
    """
    if config.model.prior != "categorical":
        raise UserError(
            f"model.prior is {config.model.prior!r}; {config.experiment} is about categorical "
            "codes: leave it, or run reproduce-fig3-pixelgan"
        )
    check_data(config, dataset)


def check_data(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse images that no PixelCNN can have.

    Raises:
        UserError: the images are not in [0, 1].
    """
    if config.method == "pixelgan" and config.data.scaling != "unit":
        raise UserError(
            f"data.scaling is {config.data.scaling!r}; a PixelCNN needs pixels in [0, 1]: leave it "
            "at unit"
        )


def cluster_samples(finished: Finished, per_cluster: int = 12) -> np.ndarray:
    """Samples [categories, per_cluster, h, w, c] of every category (figures 6 and 7)."""
    method, model = finished.method, finished.config.model
    num = model.num_categories or finished.dataset.num_classes
    y = jnp.repeat(jnp.eye(num), per_cluster, axis=0)
    assert method.decode is not None
    images = np.asarray(method.decode(first_state(finished), y, jax.random.key(0)))
    return images.reshape(num, per_cluster, *images.shape[1:])


def completions(finished: Finished, num_images: int = 10, per_image: int = 8) -> np.ndarray:
    """Images [num_images, 2 + per_image, h, w, c]: a test image, its upper half, and completions of
    that half under the code of the whole."""
    method, state = finished.method, first_state(finished)
    assert method.encode is not None and method.complete is not None
    originals = model_images(finished, finished.dataset.test.images[:num_images])
    (z,) = method.encode(state, originals)
    given_rows = originals.shape[1] // 2
    completed = method.complete(
        state,
        jnp.repeat(originals, per_image, axis=0),
        given_rows,
        jnp.repeat(z, per_image, axis=0),
        jax.random.key(1),
    ).reshape(num_images, per_image, *originals.shape[1:])
    upper = completed[:, :1].at[:, :, given_rows:].set(0.0)
    return np.asarray(jnp.concatenate([originals[:, None], upper, completed], axis=1))


def figures(finished: Finished) -> list[Path]:
    """The error over training, samples of every category (figures 6 and 7), and completions."""
    config, result, name = finished.config, finished.result, finished.dataset.name
    grid, labelled = cluster_samples(finished), config.data.labelled_batch_size > 0
    return [
        plots.error_curves(
            result.curves,
            finished.workdir / "test_error.png",
            title=f"{config.row} ({config.profile}) on {name}",
            names=[f"seed {seed}" for seed in result.seeds],
        ),
        plots.image_grid(
            grid,
            finished.workdir / "cluster_samples.png",
            title=f"samples of every category, {name}, {config.profile} profile",
            row_label="class" if labelled else "cluster",
            column_label="samples of p(x | z)",
            # Classes by their label, clusters as in the AAE's figure 9.
            row_names=[str(k + (not labelled)) for k in range(len(grid))],
        ),
        plots.image_grid(
            completions(finished),
            finished.workdir / "completions.png",
            title=f"lower halves, {name}, {config.profile} profile",
            column_label="test image, what is given, completions under the image's code",
        ),
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    config = arguments.config
    labelled = config.data.labelled_batch_size > 0
    follow = evaluators.classification() if labelled else evaluators.clustering()
    measure = information_of(config)
    return run_experiment(
        arguments, TABLE, figures, evaluators=(follow,), measure=measure, check=check
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
