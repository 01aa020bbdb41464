"""Learned priors' tables and figures from end to end on the digits, and what they measure."""

import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.errors import UserError
from configs.learnedprior import fig9 as fig9_configs
from configs.learnedprior import fig10 as fig10_configs
from configs.learnedprior import fig12 as fig12_configs
from configs.learnedprior import table1 as table1_configs
from configs.learnedprior import table3 as table3_configs
from experiments.gancls import text
from experiments.harness import catalogue, cli, workdir
from experiments.learnedprior import fig10, fig12, fig14, fig15, table3

TINY = (
    "train.epochs=1",
    "model.encoder.features=(4,)",
    "model.decoder.features=(4,4)",
    "scores.num_samples=20",
)
FULL = (*TINY, "model.image_discriminator.features=(4,)")


def test_the_papers_settings():
    switches = [
        [config.model[name] for name in ("learned_prior", "perceptual", "decoder_in_both")]
        for config in (
            table3_configs.get_config(f"cifar10_{variant},paper")
            for variant in table3_configs.VARIANTS
        )
    ]
    assert switches == [[False] * 3, [True, False, False], [True, True, False], [True] * 3]
    cited = [row.cited[0][1] for row in table3.TABLE.rows]
    assert cited == 2 * [2.15, 3.04, 3.69, 6.52]
    vae, ours = (table1_configs.get_config(f"cifar10_{row},paper") for row in ("vae", "ours"))
    assert (vae.method, vae.model.system, vae.model.networks) == ("vae_gan", "vae", "residual")
    for config in (vae, ours):
        assert config.model.code_dim == 64
        assert config.model.encoder.features == (64, 128, 256, 512)
        assert config.model.decoder.features == (512, 256, 128, 64)
    sizes = {
        row: fig9_configs.get_config(f"{row},paper").model.code_dim
        for row in ("mnist_ours", "cifar10_aae_reparameterised")
    }
    assert sizes == {"mnist_ours": 100, "cifar10_aae_reparameterised": 2000}
    supervised, unsupervised = (
        module.get_config("svhn_cropped_aae,paper") for module in (fig10_configs, fig12_configs)
    )
    assert (supervised.model.noise_dim, supervised.model.code_dim) == (54, 64)
    assert (unsupervised.model.noise_dim, unsupervised.model.code_dim) == (90, 100)
    assert supervised.data.labelled_batch_size == supervised.data.batch_size
    assert not supervised.model.learned_prior and supervised.model.perceptual


def test_rows_of_one_training(reproduced, recorded, assert_pictures, tmp_path):
    """Table 1's AAE and figure 8's on CIFAR-10 are table 3's baseline."""
    first = reproduced("learnedprior_table1", "cifar10_jpeg_aae", *TINY)
    record = recorded(first)
    assert record["mean"] == record["values"][0] >= 1.0
    extra = record["extra"]
    assert extra["cifar10_classifier_fid"][0] > 0
    assert 0 < extra["test_reconstruction_error"][0] < 4
    assert_pictures(first.workdir, "samples.png")
    (trained,) = (tmp_path / "runs" / "learnedprior_table3").iterdir()
    written = (trained / "seed_0/result.json").stat().st_mtime_ns
    for experiment, row in (
        ("learnedprior_table3", "cifar10_jpeg_baseline"),
        ("learnedprior_fig8", "cifar10_jpeg_aae"),
    ):
        again = reproduced(experiment, row, *TINY)
        assert again.record["params_sha256"] == record["params_sha256"]
        assert again.record["experiment"] == experiment
    assert (trained / "seed_0/result.json").stat().st_mtime_ns == written


def test_labels_asked_for_and_codes_of_each(tiny_run, recorded, grids, assert_pictures):
    run = tiny_run("learnedprior_fig11", "mnist_ours", *FULL)
    finished = catalogue.module("learnedprior_fig11").run(run)
    record = recorded(finished)
    assert record["experiment"] == "learnedprior_fig10" and 0 < record["mean"] < 100
    assert grids["label.png"] == (10, 10, 8, 8, 1)
    assert_pictures(finished.workdir, "label.png", "tsne.png")
    asked = []

    def embed(state, noise, s):
        asked.append((np.asarray(noise), np.asarray(s)))
        return jnp.zeros((len(noise), 64))

    method = finished.method._replace(embed=embed, decode=lambda _, z: jnp.zeros((len(z), 8, 8, 1)))
    fig10.panel(finished._replace(method=method))
    noise, s = (x.reshape(10, 10, -1) for x in asked[0])
    np.testing.assert_array_equal(s, np.broadcast_to(np.eye(10), (10, 10, 10)))
    np.testing.assert_array_equal(noise, np.broadcast_to(noise[:, :1], noise.shape))
    assert np.abs(noise[0] - noise[1]).max() > 0.1


def test_categories_and_codes_of_both_kinds(tiny_run, recorded, grids, assert_pictures):
    run = tiny_run("learnedprior_fig13", "mnist_ours", *FULL)
    finished = catalogue.module("learnedprior_fig13").run(run)
    extra = recorded(finished)["extra"]
    assert 10 <= finished.record["mean"] <= 100
    assert 1 <= extra["distinct_classes"][0] <= 10
    assert 0 < extra["code_energy_coefficient"][0] <= 1
    assert grids["category.png"] == (10, 10, 8, 8, 1)
    assert_pictures(finished.workdir, "category.png", "codes.png")


def test_sentences_and_their_colours(tiny_run, recorded, grids, assert_pictures, monkeypatch):
    true = cli.load_config

    def load_config(spec, overrides=()):
        config, changed = true(spec, overrides)
        if config.experiment == "gancls_embedding":
            with config.unlocked():
                config.train.epochs = 1
        return config, changed

    monkeypatch.setattr(cli, "load_config", load_config)
    monkeypatch.setattr(text, "SMOKE_UPDATES", 14)
    run = tiny_run("learnedprior_fig15", "captioned_digits", *FULL[:3], FULL[-1])
    finished = catalogue.module("learnedprior_fig15").run(run)
    assert {*fig14.SHOWN} <= set(recorded(finished)["extra"])
    assert_pictures(finished.workdir, "captions.png", "colours.png")
    assert grids["colours.png"][:2] == (6, len(fig15.COLOURS["captioned_digits"]))


def test_purity_and_energy_by_hand():
    values = np.array([0, 0, 0, 0, 1, 1])
    classes = np.array([7, 7, 7, 2, 7, 3])
    assert fig12.purity(values, classes) == (pytest.approx(100 * (0.75 + 0.5) / 2), 2)
    near = np.array([[0.0], [0.0]])
    # Within no distance at all, and 3 between: the energy distance is 2 x 3.
    assert fig12.energy_coefficient(near, near + 3) == pytest.approx(1)
    rng = np.random.default_rng(0)
    same = fig12.energy_coefficient(rng.normal(size=(400, 2)), rng.normal(size=(400, 2)))
    assert abs(same) < 0.01


@pytest.mark.parametrize(
    ("experiment", "row", "change", "message"),
    [
        ("table3", "cifar10_jpeg_full", "scores.num_samples=5", "5 samples"),
        ("table3", "cifar10_jpeg_full", "model.image_discriminator.features=()", "it has none"),
        ("fig10", "mnist_aae", "model.noise_dim=10", "set model.noise_dim to 54"),
        ("fig10", "mnist_ours", "data.labelled_batch_size=0", "set data.labelled_batch_size"),
        ("table1", "cifar10_jpeg_vae", "model.networks=deep", "unknown model.networks 'deep'"),
    ],
)
def test_what_cannot_be_is_said_before_training(tmp_path, experiment, row, change, message):
    name = f"learnedprior_{experiment}"
    spec = f"{catalogue.config_file(name)}:{row},smoke"
    config, changed = cli.load_config(spec, [f"--config.{change}"])
    with pytest.raises(UserError, match=message) as error:
        catalogue.module(name).run(cli.Run(config, changed, workdir.derive(config, changed)))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()
