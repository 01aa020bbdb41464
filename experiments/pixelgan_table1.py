"""PixelGAN, table 1: clustering and semi-supervised classification error, in percent.

make reproduce-table1-pixelgan PROFILE=fast ROWS="mnist_unsupervised mnist_100"
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import plots, training
from aae_jax.objectives import bits_per_dimension
from aae_jax.results import Row, Table
from experiments import cli
from experiments.drawing import first_state, model_images
from experiments.runner import Finished, Trained, run_experiment

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
        ),
        Row(
            "mnist_20", "MNIST, 20 labels", (12.08, 5.50), (("Feature Matching GAN", 16.77, 4.52),)
        ),
        Row("mnist_50", "MNIST, 50 labels", (1.16, 0.17), (("Feature Matching GAN", 2.21, 1.36),)),
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
        ),
        Row(
            "svhn_500",
            "SVHN, 500 labels",
            (10.47, 1.80),
            (("Feature Matching GAN", 18.44, 4.80), ("Temporal Ensembling", 7.05, 0.30)),
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
        ),
    ),
    shown=("reconstruction_nats", "marginal_kl_nats", "mutual_information_nats"),
)


def information(trained: Trained) -> dict[str, list[float]]:
    """Equation 2 as a measurement on the test images, in nats, per seed.

    ``reconstruction_nats`` is -E log p(x | z), an image; ``bits_per_dimension`` the same in bits a
    pixel and channel. ``marginal_kl_nats`` is KL(q(z) || p(z)) as the
    discriminator estimates it, E over q of log (1 - D) / D: a rough figure, right only for the
    optimal discriminator (0 without one). ``mutual_information_nats`` is I(z; x) of a categorical
    code, H(E q(z | x)) - E H(q(z | x)), at most log of the number of categories and log N
    (equation 3).
    """
    method, images = trained.method, trained.dataset.test.images
    assert method.encode is not None and method.log_prob is not None
    encode, log_prob, discriminate = method.encode, method.log_prob, method.discriminate

    @jax.jit
    def of_block(state, x):
        (z,) = encode(state, x)
        ratio = -discriminate(state, z) if discriminate is not None else jnp.zeros(len(x))
        return z, -log_prob(state, x), ratio

    measured: dict[str, list[float]] = {}
    for saved in trained.result.states:
        state = jax.tree.map(jnp.asarray, saved)
        blocks = [
            of_block(state, model_images(trained, images[i : i + 500]))
            for i in range(0, len(images), 500)
        ]
        z, costs, ratios = (np.concatenate([np.asarray(b[i]) for b in blocks]) for i in range(3))
        values = {
            "reconstruction_nats": float(costs.mean()),
            "bits_per_dimension": float(
                bits_per_dimension(-costs.mean(), trained.dataset.test.images.shape[1:])
            ),
            "marginal_kl_nats": float(ratios.mean()),
        }
        if trained.config.model.prior == "categorical":
            values["mutual_information_nats"] = mutual_information(z)
        for name, value in values.items():
            measured.setdefault(name, []).append(value)
    return measured


def mutual_information(probabilities: np.ndarray) -> float:
    """I(z; x) in nats of a categorical code whose q(z | x) are the rows of [n, k]."""

    def entropy(p: np.ndarray) -> np.ndarray:
        return -(p * np.log(np.maximum(p, 1e-30))).sum(axis=-1)

    p = probabilities.astype(np.float64)
    return float(entropy(p.mean(axis=0)) - entropy(p).mean())


def cluster_samples(finished: Finished, per_cluster: int = 12) -> np.ndarray:
    """Samples [categories, per_cluster, h, w, c] of every category (figures 6 and 7)."""
    method, model = finished.method, finished.config.model
    num = model.num_categories or finished.dataset.num_classes
    y = jnp.repeat(jnp.eye(num), per_cluster, axis=0)
    assert method.decode is not None
    images = np.asarray(method.decode(first_state(finished), y, jax.random.key(0)))
    return images.reshape(num, per_cluster, *images.shape[1:])


def figures(finished: Finished) -> list[Path]:
    """Figure 8's error over training, and samples of every category (figures 6 and 7)."""
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
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    labelled = arguments.config.data.labelled_batch_size > 0
    score = training.classification_score if labelled else training.clustering_score
    return run_experiment(arguments, TABLE, figures, score=score, measure=information)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
