"""What figures share: walks, neighbours, circles, panels."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from aae_jax import plots, priors
from experiments.aae import fig2 as aae_fig2
from experiments.aae import fig4 as aae_fig4
from experiments.aae import fig11 as aae_fig11
from experiments.harness import drawing
from experiments.harness.drawing import gather_panels, great_circle_walk, save_panel

POINTS = np.array([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.5]])


def test_a_walk_starts_at_its_points_and_is_closed():
    walk = great_circle_walk(POINTS, 8)
    assert walk.shape == (24, 2) and walk.dtype == np.float32
    np.testing.assert_allclose(walk[::8], POINTS, atol=1e-6)
    steps = np.linalg.norm(np.roll(walk, -1, axis=0) - walk, axis=1)
    assert steps[-1] < 2 * steps[16:23].max()  # from the last frame back to the first


def test_a_walks_radius_goes_evenly_from_one_point_to_the_next():
    walk = great_circle_walk(POINTS, 8)
    radii = np.linalg.norm(walk, axis=1)
    ends = np.linalg.norm(POINTS, axis=1)
    for leg in range(3):
        t = np.arange(8) / 8
        expected = (1 - t) * ends[leg] + t * ends[(leg + 1) % 3]
        np.testing.assert_allclose(radii[8 * leg : 8 * leg + 8], expected, rtol=1e-5)
    # A quarter of a circle, evenly in its angle.
    angles = np.arctan2(walk[:8, 1], walk[:8, 0])
    np.testing.assert_allclose(angles, np.pi / 2 * np.arange(8) / 8, atol=1e-6)


def test_a_walk_on_a_sphere_stays_on_it_in_many_dimensions():
    points = np.random.default_rng(0).normal(size=(5, 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    walk = great_circle_walk(points, 10)
    np.testing.assert_allclose(np.linalg.norm(walk, axis=1), 1.0, rtol=1e-5)


def test_a_walk_along_one_direction_is_straight():
    walk = great_circle_walk(np.array([[1.0, 1.0], [3.0, 3.0]]), 4)
    expected = [1, 1.5, 2, 2.5, 3, 2.5, 2, 1.5]
    np.testing.assert_allclose(walk, np.stack([expected, expected], axis=1), rtol=1e-6)


def test_nearest_images_by_hand():
    images = np.zeros((4, 1, 2, 1), np.uint8)
    images[:, 0, :, 0] = [[0, 0], [8, 0], [0, 8], [16, 16]]
    samples = np.array([[0.4, 0.1], [0.9, 0.8], [0.1, 0.2], [0.1, 0.4]]).reshape(4, 1, 2, 1)
    nearest = drawing.nearest_images(samples, images, 16)
    assert nearest.shape == samples.shape
    expected = [[0.5, 0], [1, 1], [0, 0], [0, 0.5]]
    np.testing.assert_allclose(nearest.reshape(4, 2), expected)


def test_nearest_images_over_several_blocks_against_all_distances():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5400, 2, 2, 1)).astype(np.uint8)
    images[5399] = images[2]  # of two that are equally near either will do
    samples = rng.uniform(size=(40, 2, 2, 1)).astype(np.float32)
    scaled = images.reshape(-1, 4) / 255
    distances = ((samples.reshape(40, 1, 4) - scaled) ** 2).sum(-1)
    chosen = distances.argmin(1)
    assert (chosen >= 5000).any() and (chosen < 5000).any()
    nearest = drawing.nearest_images(samples, images, 255)
    np.testing.assert_allclose(nearest.reshape(40, 4), scaled[chosen], rtol=1e-6)


def test_a_circle_by_hand():
    s = np.sqrt(0.5)
    expected = 3 * np.array([[1, 0], [s, s], [0, 1], [-s, s], [-1, 0], [-s, -s], [0, -1], [s, -s]])
    np.testing.assert_allclose(aae_fig11.circle(8, 3.0), expected, atol=1e-12)


class FakeRun:
    """A finished run whose decoder shows the code itself, as an image of 1x2 pixels."""

    def __init__(self, prior="gaussian"):
        self.config = SimpleNamespace(
            model=SimpleNamespace(prior=SimpleNamespace(name=prior, std=2.0), code_dim=2)
        )
        self.method = SimpleNamespace(decode=lambda state, z: z.reshape(-1, 1, 2, 1))
        self.result = SimpleNamespace(states=[jnp.zeros(1)])


def test_the_gaussian_manifold_grows_to_the_right_and_upwards_by_percentiles():
    grid = aae_fig2.manifold(FakeRun(), 4)
    assert grid.shape == (4, 4, 1, 2, 1)
    z1, z2 = grid[..., 0, 0, 0], grid[..., 0, 1, 0]
    # The percentiles 12.5, 37.5, 62.5 and 87.5 of N(0, 2²).
    expected = 2 * np.array([-1.150349, -0.318639, 0.318639, 1.150349])
    np.testing.assert_allclose(z1, np.tile(expected, (4, 1)), rtol=1e-4)
    np.testing.assert_allclose(z2, np.tile(expected[::-1, None], (1, 4)), rtol=1e-4)


def test_the_mixtures_manifold_shows_three_components_beside_each_other():
    grid = aae_fig4.mixture_manifold(FakeRun("mixture"), 3)
    assert grid.shape == (3, 11, 1, 2, 1)  # a white column between two
    codes = grid.reshape(3, 11, 2)
    assert (codes[:, [3, 7]] == 1).all()
    for k in range(3):
        part, angle = codes[:, 4 * k : 4 * k + 3], 2 * np.pi * k / 10
        outwards = np.array([np.cos(angle), np.sin(angle)])
        along, across = part @ outwards, part @ [-outwards[1], outwards[0]]
        np.testing.assert_allclose(part[1, 1], 1.4 * outwards, atol=1e-5)
        assert (np.diff(along, axis=1) > 0).all()  # along the radius to the right
        assert (np.diff(across, axis=0) < 0).all()  # and across it upwards


def test_the_rolls_walk_has_a_class_a_row():
    grid = aae_fig4.swiss_roll_walk(FakeRun("swiss_roll"), 5)
    assert grid.shape == (10, 5, 1, 2, 1)
    u = (np.arange(50) + 0.5) / 50
    np.testing.assert_allclose(
        np.linalg.norm(grid.reshape(50, 2), axis=1), 3 * np.sqrt(u), rtol=1e-4
    )
    prior = priors.swiss_roll()
    named = np.asarray(prior.class_log_prob(jnp.asarray(grid.reshape(50, 2)))).argmax(1)
    np.testing.assert_array_equal(named, np.repeat(np.arange(10), 5))


def panel(title, heads=None, names=None):
    codes = np.random.default_rng(0).normal(size=(30, 2))
    return plots.CodeSpace(title, codes, np.arange(30) % 10, heads, names)


def test_panels_of_rows_that_ran_are_gathered_in_the_rows_order(tmp_path):
    folders = {row: tmp_path / f"{row}-smoke-abc" for row in ("a", "b", "c", "a_b")}
    for row in ("c", "a"):
        folders[row].mkdir()
        save_panel(
            folders[row], panel(row, np.ones((2, 2)), ["7", "4, 9"]) if row == "c" else panel(row)
        )
    (tmp_path / "b-smoke").mkdir()  # of other overrides
    save_panel(tmp_path / "b-smoke", panel("other"))
    first, second = gather_panels(folders["c"], ["a", "b", "c"])
    assert (first.title, second.title) == ("a", "c")
    assert first.heads is None
    np.testing.assert_array_equal(second.heads, np.ones((2, 2)))
    assert second.head_names == ["7", "4, 9"]
    np.testing.assert_array_equal(first.codes, panel("a").codes)
    np.testing.assert_array_equal(first.labels, panel("a").labels)
    assert sorted(path.name for path in folders["a"].iterdir()) == ["panel.npz"]


@pytest.mark.parametrize("damage", ["empty", "junk", "truncated", "no codes", "directory", "link"])
def test_a_damaged_panel_of_a_neighbour_costs_itself_and_no_more(tmp_path, capsys, damage):
    for row in ("a", "b"):
        (tmp_path / f"{row}-smoke").mkdir()
        save_panel(tmp_path / f"{row}-smoke", panel(row))
    path = tmp_path / "a-smoke/panel.npz"
    content = path.read_bytes()
    path.unlink()
    if damage == "directory":
        path.mkdir()
    elif damage == "link":
        path.symlink_to(tmp_path / "nowhere")
    elif damage == "no codes":
        np.savez(path, title=np.array("a"))
    else:
        path.write_bytes({"empty": b"", "junk": b"junk", "truncated": content[:-30]}[damage])
    (own,) = gather_panels(tmp_path / "b-smoke", ["a", "b"])
    assert own.title == "b"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} cannot be read") and "the picture is without a" in line


def test_a_run_in_a_directory_of_the_users_has_its_own_panel_only(tmp_path):
    for name in ("mine", "a-smoke"):
        (tmp_path / name).mkdir()
        save_panel(tmp_path / name, panel(name))
    (only,) = gather_panels(tmp_path / "mine", ["a", "b"])
    assert only.title == "mine"


@pytest.mark.parametrize("channels", [1, 3])
def test_an_animation_is_an_endless_gif_of_its_frames(tmp_path, channels):
    frames = np.random.default_rng(0).uniform(-0.1, 1.1, (5, 4, 6, channels))
    path = plots.animation(frames, tmp_path / "deep/walk.gif", milliseconds=70, zoom=3)
    with Image.open(path) as gif:
        assert (gif.format, gif.size, gif.n_frames) == ("GIF", (18, 12), 5)
        assert gif.info["loop"] == 0 and gif.info["duration"] == 70
        for i, frame in enumerate(frames):
            gif.seek(i)
            shown = np.asarray(gif.convert("RGB"), np.float64)[1::3, 1::3] / 255
            np.testing.assert_allclose(
                shown, np.broadcast_to(np.clip(frame, 0, 1), (4, 6, 3)), atol=0.01
            )


def test_code_spaces_are_drawn_with_every_class_and_head(tmp_path):
    one, four = (
        plots.code_spaces(
            [panel(str(i), np.zeros((3, 2))) for i in range(num)],
            tmp_path / f"{num}.png",
            title="codes",
            limit=4.0 if num == 4 else None,
        )
        for num in (1, 4)
    )
    with Image.open(one) as first, Image.open(four) as second:
        assert first.format == second.format == "PNG"
        assert second.width > 1.5 * first.width and second.height > 1.5 * first.height
        colours = {colour for _, colour in first.convert("RGB").getcolors(1 << 20)}
    for colour in plots.CLASS_PALETTE:
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in colours


def test_error_curves_draw_more_lines_than_there_are_colours(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn, true = [], Axes.plot
    monkeypatch.setattr(
        Axes, "plot", lambda axes, *a, **k: drawn.append(k["label"]) or true(axes, *a, **k)
    )
    names = [f"seed {i}" for i in range(len(plots.PALETTE) + 2)]
    curves = [[{"step": 1, "test_error_percent": 9.0}, {"step": 9, "test_error_percent": 5.0}]]
    plots.error_curves(curves * len(names), tmp_path / "curves.png", title="", names=names)
    assert drawn == names
