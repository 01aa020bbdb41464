"""The cycle implicit autoencoders' figures: every row's config, measures by hand, and both figures
from end to end."""

import jax
import numpy as np
import pytest

from aae_jax import data as datasets
from aae_jax.errors import UserError
from experiments.cycleiae import fig8, fig9
from experiments.harness import catalogue, cli
from experiments.harness.pages import tables

TINY = (
    "train.epochs=1",
    "train.seeds=1",
    "model.generator.features=2",
    "model.generator.num_blocks=0",
    "model.reconstruction_discriminator.features=(4,)",
    "model.regularization_discriminator.features=(4,)",
)


def load(figure, row, profile, *changes):
    return cli.load_config(
        f"{catalogue.config_file(f'cycleiae_{figure}')}:{row},{profile}",
        [f"--config.{change}" for change in changes],
    )


def run_row(figure, row, tmp_path, *changes, profile="smoke"):
    config, changed = load(figure, row, profile, *TINY, *changes)
    module = catalogue.module(f"cycleiae_{figure}")
    finished = module.run(cli.Run(config, changed, tmp_path / f"{row}-{profile}"))
    return finished, {"mean": finished.record["mean"], **finished.record["extra"]}


@pytest.mark.parametrize("figure", ["fig8", "fig9"])
def test_every_row_has_a_config(figure):
    table = catalogue.module(f"cycleiae_{figure}").TABLE
    assert table in tables()
    for row in table.rows:
        assert row.paper is None and ("stand-in" in row.label) == row.name.startswith("fashion")
        for profile in ("paper", "fast", "smoke"):
            config, _ = load(figure, row.name, profile)
            model = config.model
            assert (model.encoder_noise_dim == 0) == (figure == "fig8")
            assert (model.decoder_noise_dim == 0) == (figure == "fig9")
            kind = row.name.rpartition("_")[2]
            expected = kind if kind in ("l1", "marginal") else "adversarial"
            assert model.reconstruction == expected
            assert model.reconstruction_weight == (10 if kind == "l1" else 1)
            if profile != "smoke":
                assert max(model.encoder_noise_dim, model.decoder_noise_dim) == 100


def test_f1_of_edges_by_hand():
    line = np.zeros((1, 6, 6), bool)
    line[0, 2] = True
    assert fig8.f1_percent(line, line) == 100
    assert fig8.f1_percent(np.roll(line, 1, axis=1), line) == 100  # within a pixel
    assert fig8.f1_percent(np.roll(line, 2, axis=1), line) == 0
    assert fig8.f1_percent(np.roll(line, 1, axis=1), line, 0) == 0
    assert fig8.f1_percent(np.roll(line, 2, axis=1), line, 2) == 100
    half = line.copy()
    half[0, 2, 3:] = False  # the fourth of its six is still beside one
    assert fig8.f1_percent(half, line) == pytest.approx(100 * 2 * (4 / 6) / (1 + 4 / 6))
    assert fig8.f1_percent(line, half) == pytest.approx(100 * 2 * (4 / 6) / (1 + 4 / 6))
    assert fig8.f1_percent(np.zeros_like(line), line) == 0


def test_edges_of_the_truth_are_kept_and_those_of_others_are_not():
    """What would be measured of a perfect code and a perfect reconstruction, of digits in 32x32:
    8x8 pixels have no room for a pixel's tolerance."""
    digits = datasets.load("digits", domains="edges")
    large = digits.test.images[:50].repeat(4, axis=1).repeat(4, axis=2)
    lines = 16 * fig8.sobel_edges(large, 16).astype(np.uint8)[..., None]
    test, second = (datasets.Images(x, digits.test.labels[:50]) for x in (large, lines))
    dataset = digits._replace(test=test, second=second, second_test=second)
    true, images = (dataset.scaling.pixels(x)[None] for x in (lines, large))
    found = fig8.edges_kept(dataset, true, images)
    assert found["edges_kept_percent"] == found["code_edges_percent"] == 100
    assert found["edges_of_others_percent"] < 80
    # Lines that are dark on light, as pix2pix's are.
    dark = second._replace(images=16 - lines)
    inverted = dataset._replace(second=dark, second_test=dark)
    assert fig8.edges_kept(inverted, 1 - true, images) == found


def test_shoes_of_digits_from_end_to_end(tmp_path, grids):
    finished, found = run_row("fig8", "fashion_edges", tmp_path)
    assert set(found) == {
        "mean",
        *fig8.OF_EDGES[1:],
        *fig8.OF_PIXELS,
        *fig8.OF_JUDGE,
        "test_pixel_error_without_noise",
    }
    assert found["pixel_spread"][0] > 0 and found["judge_error_percent"][0] < 15
    assert grids["cycle.png"] == (8, 1 + 1 + 6, 8, 8, 1)
    assert "(stand-in)" in finished.dataset.name
    # Along a column the noise is one, along a row the code.
    state = finished.result.states[0]
    grid = fig8.cycle_grid(finished, rows=3, draws=2)
    np.testing.assert_array_equal(grid, fig8.cycle_grid(finished, rows=3, draws=2))
    codes, made = fig8.drawn(finished, state, jax.random.key(0))
    np.testing.assert_array_equal(codes[0], codes[1])
    assert np.abs(made[0] - made[1]).max() > 1e-4


def test_boots_of_digits_from_end_to_end(tmp_path, grids):
    finished, found = run_row("fig9", "fashion_boots", tmp_path)
    assert set(found) == {"mean", *fig9.METRICS[1:], "test_pixel_error_without_noise"}
    assert found["code_spread"][0] > 0
    assert grids["cycle.png"] == (8, 1 + 6 + 6, 8, 8, 1)
    # A perfect cycle has no error, and one that copies is not taken for the second domain.
    perfect = finished.method._replace(
        encode=lambda state, x, key=None: (x,), decode=lambda state, z, key=None: z
    )
    trained = finished._replace(method=perfect)
    found = fig9.quality(trained, fig9.judged_by(trained))
    values = {name: value[0] for name, value in found.items()}
    assert values["pixel_error"] < 1e-10 < values["pixel_error_of_others"]
    assert values["code_spread"] < 1e-6 and values["first_domain_percent"] > 60
    assert values["second_domain_percent"] < 20


def test_edges2shoes_from_end_to_end_on_small_images_of_its_form(tmp_path, monkeypatch, grids):
    """The `fast` row itself, but for widths: colour, dark lines on light, no classes to judge."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3)).astype(np.uint8)
    shoes = datasets.Images(noise, np.zeros(64, np.int32))
    light = shoes._replace(images=np.where(noise > 40, 255, 0).astype(np.uint8))
    small = datasets.Dataset(
        "edges2shoes/1.0.0", "0" * 64, datasets.Scaling(255, 0.5, 0.5), 1,
        shoes, shoes._replace(images=shoes.images[:0], labels=shoes.labels[:0]), shoes,
        light, light,
    )  # fmt: skip
    monkeypatch.setattr(datasets, "load", lambda *_, **__: small)
    _, found = run_row("fig8", "edges2shoes", tmp_path, profile="fast")
    assert set(found) & set(fig8.OF_JUDGE) == set()
    assert grids["cycle.png"] == (8, 8, 8, 8, 3)


def test_domains_that_a_figure_cannot_measure_are_refused():
    dataset = datasets.load("digits")
    for figure, module, changes, message in (
        ("fig8", fig8, ["data.domains=classes"], "leave it at one of them"),
        ("fig9", fig9, ["data.domains=edges"], "leave data.domains at 'classes'"),
        ("fig9", fig9, ["data.classes=(1,2,3)"], "name two in data.classes"),
    ):
        row = module.TABLE.rows[-1].name
        config, _ = load(figure, row, "smoke", *changes)
        with pytest.raises(UserError, match=message) as caught:
            module.check(config, dataset)
        assert "\n" not in str(caught.value)
