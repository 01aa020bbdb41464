"""InfoGAN's experiments from end to end: what is measured of the codes, and the slide's panels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.rundir import read_json
from configs.infogan import codes as configs
from experiments.harness import cli
from experiments.infogan import codes

SMALL = (
    "train.epochs=1",
    "model.noise_dim=4",
    "model.generator.dense=(16,)",
    "model.generator.features=(8,)",
    "model.discriminator.features=(8,)",
)


def test_the_papers_settings():
    config = configs.get_config("mnist,paper")
    model = config.model
    assert (model.num_categories, model.num_continuous, model.noise_dim) == (10, 2, 62)
    assert (model.weight, config.data.batch_size) == (1.0, 128)
    rates = {phase: settings.learning_rate for phase, settings in model.optimizers.items()}
    assert rates == {"discriminator": 0.0002, "generator": 0.001}
    assert {row: configs.get_config(f"{row},fast").model.informed for row in configs.ROWS} == {
        "mnist": True,
        "gan": False,
    }
    assert codes.TABLE.rows[0].paper == (5.0, None)


def check_panels(finished):
    """A panel varies one code and holds the others."""
    asked = []

    def decode(state, *given):
        asked.append([np.asarray(code) for code in given])
        return jnp.zeros((len(given[0]), 8, 8, 1))

    shown = finished._replace(method=finished.method._replace(decode=decode))
    codes.panel(shown, 0)
    categories, continuous, noise = (x.reshape(10, 10, -1) for x in asked[-1])
    np.testing.assert_array_equal(categories, np.broadcast_to(np.eye(10), (10, 10, 10)))
    for held in (continuous, noise):
        np.testing.assert_array_equal(held, np.broadcast_to(held[:, :1], held.shape))
        assert np.abs(held[0] - held[1]).max() > 0.01
    codes.panel(shown, 2)  # c3
    categories, continuous, noise = (x.reshape(10, 10, -1) for x in asked[-1])
    np.testing.assert_array_equal(categories[:, 3], np.eye(10))
    np.testing.assert_allclose(continuous[4, :, 1], np.linspace(-2, 2, 10), rtol=1e-6)
    assert not continuous[..., 0].any()
    np.testing.assert_array_equal(noise, np.broadcast_to(noise[:, :1], noise.shape))


def test_both_rows_are_measured_and_drawn_side_by_side(
    reproduced, recorded, grids, assert_pictures, monkeypatch
):
    shown = []
    true = codes.plots.lines

    def noted(curves, path, **options):
        shown.append(set(curves))
        return true(curves, path, **options)

    monkeypatch.setattr(codes.plots, "lines", noted)
    finished = reproduced("infogan_codes", "mnist", *SMALL)
    extra = recorded(finished)["extra"]
    assert 0 < finished.record["mean"] < 100
    assert extra["test_error_hungarian_percent"][0] > 0
    (total,), (one,), (other,) = (
        extra[f"{name}information_nats"] for name in ("", "categorical_", "continuous_")
    )
    assert total == pytest.approx(one + other) and one < np.log(10) and other < 0
    for what in ("slant", "thickness"):
        found = [abs(extra[f"{code}_{what}"][0]) for code in ("c2", "c3")]
        assert extra[f"{what}_correlation"] == [pytest.approx(max(found))]
    assert_pictures(finished.workdir, "c1.png", "c2.png", "c3.png", "bound.png")
    assert grids["c1.png"] == grids["c2.png"] == (10, 10, 8, 8, 1)
    reproduced("infogan_codes", "gan", *SMALL)
    assert shown[-1] == {"mnist, seed 0", "gan, seed 0"}
    points = read_json(finished.workdir / "bound.json")["mnist, seed 0"]
    assert points == [[24, pytest.approx(total)]]
    check_panels(finished)


def test_faces_have_continuous_codes_alone(reproduced, recorded, grids, assert_pictures):
    finished = reproduced("infogan_faces", "faces", *SMALL)
    record = recorded(finished)
    assert record["mean"] == pytest.approx(record["extra"]["continuous_information_nats"][0])
    assert_pictures(finished.workdir, *(f"c{i}.png" for i in range(1, 6)), "bound.png")


def test_correlation_by_hand():
    x = np.array([1.0, 2.0, 3.0])
    assert codes.correlation(x, 5 - 2 * x) == pytest.approx(-1)
    assert codes.correlation(x, np.array([1.0, 0.0, 1.0])) == pytest.approx(0)
    assert codes.correlation(x, np.ones(3)) == 0


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("num_categories", "the table measures both kinds of codes"),
        ("num_continuous", "the table measures both kinds of codes"),
        ("noise_dim", "the pictures hold the noise fixed"),
    ],
)
def test_codes_that_the_table_cannot_measure(tiny_run, tmp_path, field, message):
    with pytest.raises(UserError, match=message):
        codes.run(tiny_run("infogan_codes", "mnist", f"model.{field}=0"))
    assert not (tmp_path / "runs").exists()


def test_random_codes_are_what_decode_takes():
    config, _ = cli.load_config("configs/infogan/codes.py:mnist,smoke")
    categories, continuous, noise = codes.random_codes(config.model, jax.random.key(0), 50)
    np.testing.assert_array_equal(categories.sum(axis=1), 1)
    assert (continuous.shape, noise.shape) == ((50, 2), (50, 10))
    assert -1 <= float(noise.min()) < -0.5 and 0.5 < float(noise.max()) <= 1
