"""AAE, figures 2, 4, 7 and 11: the paper's settings, and one row of each from end to end."""

import numpy as np
import pytest

from aae_jax import data as datasets
from aae_jax.errors import UserError
from configs.aae import fig4 as fig4_configs
from configs.aae import fig7 as fig7_configs
from configs.aae import fig11 as fig11_configs
from experiments.aae import fig7, fig11
from experiments.harness import catalogue


def test_figure_11s_configs_are_the_papers():
    made = {row: fig11_configs.get_config(f"{row},paper") for row in "abcd"}
    assert [made[row].data.num_labels for row in "abd"] == [1000, 100, 100]
    assert [made[row].model.style_dim for row in "abcd"] == [2, 2, 2, 10]
    assert (made["c"].model.num_categories, made["c"].data.labelled_batch_size) == (20, 0)
    assert (made["d"].model.heads, made["d"].model.head_scale) == ("fixed", 10.0)
    assert all(made[row].model.heads == "learned" for row in "abc")
    assert all(made[row].model.style_std == 1.0 for row in "abcd")


def test_figures_4_and_7_have_the_papers_settings():
    for row in fig4_configs.ROWS:
        config = fig4_configs.get_config(f"{row},paper")
        assert (config.data.num_labels, config.data.unlabelled) == (10_000, 50_000)
        assert (config.model.prior.name, config.model.code_dim) == (row, 2)
    assert all(
        fig7_configs.get_config(f"{row},paper").model.code_dim == 15 for row in ("mnist", "svhn")
    )


def test_figure_2(reproduced, recorded, grids, assert_pictures):
    finished = reproduced("aae_fig2", "aae_gaussian")
    record = recorded(finished)
    assert record["dataset"].startswith("digits (stand-in")
    assert (record["seeds"], record["updates"]) == ([0], 24)
    assert record["metric"] == "energy_distance" and record["paper"] is None
    extra = record["extra"]
    assert set(extra) == {
        "energy_distance_of_two_prior_samples",
        "root_mean_square_code",
        "validation_reconstruction",
        "test_reconstruction",
    }
    assert abs(extra["energy_distance_of_two_prior_samples"][0]) < 0.05
    assert record["values"][0] > extra["energy_distance_of_two_prior_samples"][0]
    assert_pictures(finished.workdir, "code_spaces.png", "manifold.png")
    assert grids == {"manifold.png": (20, 20, 8, 8, 1)}


def test_figure_4(reproduced, recorded, grids, assert_pictures):
    finished = reproduced("aae_fig4", "swiss_roll")
    record = recorded(finished)
    assert record["metric"] == "test_error_percent" and 0 <= record["values"][0] <= 100
    assert set(record["extra"]) == {"validation_error_percent", "energy_distance"}
    assert_pictures(finished.workdir, "code_space.png", "walk.png")
    assert grids == {"walk.png": (10, 20, 8, 8, 1)}


def test_figure_7_of_standardised_colour_images(
    reproduced, recorded, grids, assert_pictures, monkeypatch
):
    """The `fast` row of SVHN itself, but for widths and length, on small images of its form."""
    rng = np.random.default_rng(0)

    def images(num):
        labels = np.arange(num, dtype=np.int32) % 10
        pixels = rng.integers(0, 60, (num, 8, 8, 3)) + 19 * labels[:, None, None, None]
        return datasets.Images(pixels.astype(np.uint8), labels)

    parts = images(300), images(20), images(50)

    def load(*_, scaling, **__):
        scaling = datasets.make_scaling(scaling, 255, parts[0].images)
        return datasets.Dataset("svhn", "0" * 64, scaling, 10, *parts)

    monkeypatch.setattr(datasets, "load", load)
    finished = reproduced("aae_fig7", "svhn", profile="fast")
    record = recorded(finished)
    assert set(record["extra"]) == {
        "validation_error_percent",
        "validation_reconstruction",
        "test_reconstruction",
    }
    assert finished.config.data.scaling == "standardised"
    assert finished.config.model.decoder_batch_norm
    assert_pictures(finished.workdir, "content_style.png", "style_walk.gif")
    assert grids == {"content_style.png": (10, 11, 8, 8, 3)}  # a test image and ten labels
    grid = fig7.style_grid(finished, 3)
    np.testing.assert_allclose(grid[:, 0], np.asarray(parts[2].images[:3]) / 255, atol=1e-3)


def test_figure_7s_score_is_the_error_of_the_cheapest_label():
    costs = np.array([[1.0, 2.0, 3.0], [5.0, 4.0, 6.0], [9.0, 8.0, 7.0], [1.0, 0.5, 2.0]])
    assert fig7.error_and_cost(costs, np.array([0, 1, 0, 1])) == (25.0, (1 + 4 + 9 + 0.5) / 4)


def test_figure_11_with_clusters_and_with_labels_in_one_picture(
    reproduced, recorded, assert_pictures, monkeypatch
):
    drawn = []
    true = fig11.plots.code_spaces
    monkeypatch.setattr(
        fig11.plots,
        "code_spaces",
        lambda panels, path, **options: drawn.append(panels) or true(panels, path, **options),
    )
    for row, num in (("d", 10), ("c", 20)):
        finished = reproduced("aae_fig11", row)
        record = recorded(finished)
        assert 0 <= record["values"][0] <= 100
        assert_pictures(finished.workdir, "representation.png", "test_error.png")
        points, heads = fig11.representation(finished)
        assert points.shape == (300, 2) and heads.shape == (num, 2)
        if row == "d":  # ten dimensions, mapped so that the heads lie on a circle
            np.testing.assert_allclose(heads, fig11.circle(10, 10.0), atol=1e-4)
        else:
            assert {"test_error_majority_percent", "nmi", "clusters_in_use"} < set(record["extra"])
    assert [[panel.title[:3] for panel in panels] for panels in drawn] == [["(d)"], ["(c)", "(d)"]]


@pytest.mark.parametrize(
    ("experiment", "row", "change", "message"),
    [
        ("aae_fig2", "aae_gaussian", "model.code_dim=3", "code_dim is 3; figure 2 is about 2-D"),
        ("aae_fig11", "a", "model.style_dim=1", "style_dim is 1 with learned heads"),
        ("aae_fig11", "a", "model.style_dim=3", "style_dim is 3 with learned heads"),
    ],
)
def test_what_the_pictures_cannot_show_is_refused(
    tiny_run, tmp_path, experiment, row, change, message
):
    run = tiny_run(experiment, row, change)
    with pytest.raises(UserError, match=message):
        catalogue.module(experiment).run(run)
    assert not (tmp_path / "runs").exists()
