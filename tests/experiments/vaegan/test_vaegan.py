"""VAE/GAN, from end to end on the digits."""

import numpy as np
import pytest

from experiments.harness import catalogue, cli, workdir
from experiments.vaegan import reconstruction

NAME = "vaegan_reconstruction"
TINY = (
    "train.epochs=1",
    *(f"model.{network}.features=(4,4)" for network in ("encoder", "decoder", "discriminator")),
)


def run_row(row):
    spec = f"{catalogue.config_file(NAME)}:{row},smoke"
    config, changed = cli.load_config(spec, [f"--config.{change}" for change in TINY])
    return reconstruction.run(cli.Run(config, changed, workdir.derive(config, changed)))


def test_the_systems_side_by_side(recorded, grids):
    """The row of the VAE trains the VAE/GAN that it is measured by, which then repeats its
    result."""
    vae = run_row("mnist_vae")
    record = recorded(vae)
    assert record["mean"] > 0 and 0 < record["extra"]["pixel_error"][0] < 1
    assert grids["side_by_side.png"][:2] == (3, 12)  # test images, reconstructions, samples
    (beside,) = (p for p in vae.workdir.parent.iterdir() if p.name.startswith("mnist_vaegan-smoke"))
    written = (beside / "seed_0/result.json").stat().st_mtime_ns
    vaegan = run_row("mnist_vaegan")
    assert vaegan.workdir == beside
    assert (beside / "seed_0/result.json").stat().st_mtime_ns == written
    assert grids["side_by_side.png"][:2] == (5, 12)


def test_a_gan_is_searched_and_its_plane_walked(recorded, grids, monkeypatch):
    monkeypatch.setattr(reconstruction, "NUM_SEARCHED", 20)
    monkeypatch.setattr(reconstruction, "SEARCH_STEPS", 20)
    gan = run_row("mnist_gan_2d")
    recorded(gan)
    assert gan.method.encode is None
    assert grids["walk.png"][:2] == (15, 15)
    images = np.asarray(gan.dataset.test.images[:20])
    levels = gan.dataset.scaling.pixels(images)
    state = reconstruction.first_state(gan)
    errors = []
    for steps in (0, 20):
        monkeypatch.setattr(reconstruction, "SEARCH_STEPS", steps)
        found = reconstruction.reconstructions(gan, state, images)
        errors.append(float(np.square(np.asarray(found) - levels).mean()))
    assert errors[1] < errors[0]
    corner = np.asarray(gan.method.decode(state, np.float32([[-1.5, -1.5]])))[0]
    assert reconstruction.walk(gan)[0, 0] == pytest.approx(corner, abs=1e-4)
