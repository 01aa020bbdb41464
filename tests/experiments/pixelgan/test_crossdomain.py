"""Section 4's mappings: every row's config, the error of edges, and rows from end to end."""

import numpy as np
import pytest

from aae_jax import data as datasets
from aae_jax.errors import UserError
from experiments.harness import catalogue, cli
from experiments.harness.pages import tables
from experiments.pixelgan import crossdomain

NARROW = (
    "model.generator.features=2",
    "model.image_discriminator.features=(4,)",
    "model.encoder_features=(4,)",
)

EDGES = ("data.domains=edges", "data.unlabelled=0")


def load(row, profile, *changes):
    return cli.load_config(
        f"{catalogue.config_file('pixelgan_crossdomain')}:{row},{profile}",
        [f"--config.{change}" for change in changes],
    )


def test_rows_of_a_group_differ_in_the_decoder_alone():
    assert crossdomain.TABLE in tables()
    for profile in ("paper", "fast", "smoke"):
        for group in ("mnist_100", "fashion_edges"):
            rows = {
                kind: load(f"{group}_{kind}", profile)[0] for kind in ("pixelgan", "odm", "aae")
            }
            odm, aae = (rows[kind].copy_and_resolve_references() for kind in ("odm", "aae"))
            assert (odm.model.decoder.name, aae.model.decoder.name) == ("none", "deterministic")
            odm.model.decoder.name, odm.row = "deterministic", aae.row
            assert odm == aae
            pixelgan = rows["pixelgan"]
            assert (pixelgan.data, pixelgan.train) == (aae.data, aae.train)
            if group == "fashion_edges":
                assert pixelgan.model.decoder.name == "pixelcnn"
                continue
            # PixelGAN itself, with the encoder, adversary and rates of the others.
            assert pixelgan.method == "pixelgan"
            of_decoder = ("num_blocks", "features", "head", "num_levels")
            for name in ("encoder_features", "encoder_dense", "discriminator_hidden", "init"):
                assert pixelgan.model[name] == aae.model[name]
            for name in ("input_noise", "optimizers", "schedule"):
                assert pixelgan.model[name] == aae.model[name]
            for name in of_decoder:
                assert pixelgan.model.decoder[name] == aae.model.decoder[name]
            assert pixelgan.model.head_scale.name == "learned"
            assert pixelgan.model.head_scale.start == aae.model.head_scale
            assert pixelgan.model.encoder_batch_norm and pixelgan.model.head_batch_norm


def test_the_error_of_edges():
    dataset = datasets.load("digits", domains="edges")
    true = dataset.scaling.pixels(dataset.second_test.images)
    perfect = crossdomain.edge_scores(dataset, true)
    assert perfect["test_error_percent"] == 0
    assert perfect["code_edges_percent"] == perfect["code_edges_near_percent"] == 100
    assert perfect["code_edges_of_others_percent"] < 50
    nothing = crossdomain.edge_scores(dataset, np.zeros_like(true))
    assert nothing["test_error_percent"] == 100
    # The edges of others are no better than they say.
    others = crossdomain.edge_scores(dataset, np.roll(true, 1, axis=0))
    assert others["code_edges_of_others_percent"] == 100
    assert others["code_edges_percent"] == perfect["code_edges_of_others_percent"]
    assert others["code_edges_near_percent"] > others["code_edges_percent"] + 20


@pytest.mark.parametrize(("kind", "reconstructions"), [("pixelgan", 4), ("odm", 0)])
def test_edges_of_digits_from_end_to_end(
    reproduced, recorded, assert_pictures, grids, kind, reconstructions
):
    finished = reproduced("pixelgan_crossdomain", f"fashion_edges_{kind}", *NARROW[:2])
    record = recorded(finished)
    assert set(record["extra"]) == set(crossdomain.OF_EDGES)
    assert record["mean"] == pytest.approx(100 - record["extra"]["code_edges_percent"][0])
    assert grids["edges.png"] == (8, 3 + reconstructions, 8, 8, 1)
    assert_pictures(finished.workdir, "test_error.png", "edges.png")
    grid = crossdomain.edge_grid(finished, rows=2)
    pixels = finished.dataset.scaling.pixels
    np.testing.assert_array_equal(grid[:, 0], pixels(finished.dataset.test.images[:2]))
    np.testing.assert_array_equal(grid[:, 2], pixels(finished.dataset.second_test.images[:2]))
    if kind == "pixelgan":
        assert (grid[:, 3] != grid[:, 4]).any()


def test_labels_of_digits_from_end_to_end(reproduced, recorded, assert_pictures):
    finished = reproduced("pixelgan_crossdomain", "mnist_100_aae", *NARROW)
    record = recorded(finished)
    assert record["metric"] == "test_error_percent" and record["mean"] < 90
    assert_pictures(finished.workdir, "test_error.png")


@pytest.mark.parametrize(
    ("row", "changes", "message"),
    [
        (
            "fashion_edges_odm",
            ["data.domains="],
            "needs a second domain of images: set data.domains",
        ),
        ("fashion_edges_odm", ["data.domains=classes"], "name two in data.classes"),
        ("fashion_edges_aae", ["data.scaling=symmetric"], "leave it at 'unit'"),
        ("mnist_100_odm", [*EDGES], "second domain, and model.second_domain is"),
        ("mnist_100_pixelgan", [*EDGES], "second domain is labels: leave it empty"),
        ("mnist_100_aae", ["data.labelled_batch_size=0"], "without paired examples"),
    ],
)
def test_what_cannot_be_mapped_or_measured_is_refused(row, changes, message, tmp_path):
    config, changed = load(row, "smoke", *changes)
    with pytest.raises(UserError, match=message) as caught:
        crossdomain.run(cli.Run(config, changed, tmp_path / "run"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_domains_without_counterparts_are_refused():
    config, _ = load("fashion_edges_odm", "smoke", "data.domains=classes", "data.classes=(0,1)")
    dataset = datasets.load("digits", domains="classes", classes=(0, 1))
    with pytest.raises(UserError, match="measures edges, which test images have in"):
        crossdomain.check(config, dataset)
