"""Text-to-image GANs and their text encoder, from end to end on the small captioned digits."""

import jax
import numpy as np
import pytest

from aae_jax import data, zoo
from aae_jax.data import captions as captions_
from experiments.gancls import embedding, interpolation, style, text
from experiments.harness import catalogue, cli, workdir

TINY = {
    "gancls_embedding": ("train.epochs=3",),
    "gancls_text": (
        "train.epochs=1",
        "model.generator.features=(4,)",
        "model.discriminator.features=(4,)",
    ),
}


def run_row(name, row, module=None):
    spec = f"{catalogue.config_file(name)}:{row},smoke"
    config, changed = cli.load_config(spec, [f"--config.{change}" for change in TINY[name]])
    run = cli.Run(config, changed, workdir.derive(config, changed))
    return (module or catalogue.module(name)).run(run)


@pytest.fixture
def short(monkeypatch):
    """The text encoder that a GAN starts from, and the judge, are trained for a moment."""
    true = cli.load_config

    def load_config(spec, overrides=()):
        config, changed = true(spec, overrides)
        if config.experiment == "gancls_embedding":
            with config.unlocked():
                config.train.epochs = 1
        return config, changed

    monkeypatch.setattr(cli, "load_config", load_config)
    monkeypatch.setattr(text, "SMOKE_UPDATES", 14)


def test_images_and_sentences_find_each_other():
    finished = run_row("gancls_embedding", "captioned_digits")
    extra = finished.record["extra"]
    chance = 100 / 250  # classes among the 300 test images
    assert finished.record["mean"] > 2 * chance and extra["text_accuracy_percent"][0] > 2 * chance
    assert {"held_out_image_accuracy_percent", "held_out_text_accuracy_percent"} <= set(extra)
    assert (finished.workdir / "error.png").read_bytes().startswith(b"\x89PNG")


def test_the_class_of_the_largest_mean_score_by_hand():
    texts = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.5]])
    classes = np.array([4, 9, 4, 9])
    codes = np.array([[1.0, 2.5], [1.0, 0.1], [0.1, 1.0]])
    # Means (2, 0) and (0, 0.75): scores 2 and 1.875, 2 and 0.075, 0.2 and 0.75.
    np.testing.assert_array_equal(embedding.nearest_classes(codes, texts, classes), [4, 4, 9])


def test_a_gan_draws_what_sentences_say(short, grids):
    """One row: text encoder first, then the GAN, which ends with that encoder; measured, drawn,
    and loaded without data."""
    finished = run_row("gancls_text", "captioned_digits_gan_int_cls")
    extra = finished.record["extra"]
    assert set(text.SHOWN) <= set(extra)
    assert all(0 <= extra[name][0] <= 100 for name in text.SHOWN if name.endswith("percent"))
    assert 0 < extra["judge_error_percent"][0] < 100 and extra["style_error"][0] > 0
    assert grids["captions.png"][:2] == (8, 9) and grids["variants.png"][:2] == (8, 2)

    directory = workdir.derive(
        cli.load_config(f"{catalogue.config_file('gancls_embedding')}:captioned_digits,smoke")[0],
        {},
    )
    _, matcher = zoo.load(directory)
    method, state = zoo.load(finished.workdir)
    jax.tree.map(
        np.testing.assert_array_equal, state.params["text_encoder"], matcher.params["text_encoder"]
    )
    again = run_row("gancls_text", "captioned_digits_gan_int_cls", style)
    assert again.record == finished.record and grids["style.png"][:2] == (5, 10)
    run_row("gancls_text", "captioned_digits_gan_int_cls", interpolation)
    assert grids["interpolation.png"][:2] == (8, 8)
    images, _ = interpolation.between(finished)
    tokens, _ = interpolation.pairs(finished)
    noise = jax.random.normal(jax.random.key(0), (4, 2, finished.config.model.noise_dim))
    for end, column in ((0, 0), (1, -1)):
        drawn = method.decode(state, noise[:, 0], tokens[:, end])
        np.testing.assert_allclose(images[:4, column], drawn, atol=1e-5)


def test_the_test_images_show_what_their_sentences_say():
    small = data.load("captioned_digits/small")
    captions, test = small.captions, small.captions.test
    asked = data.Sentences(test.tokens[:, 0], test.classes, test.attributes)
    seen = captions_.look(small.scaling.pixels(small.test.images))
    found = text.shares(captions, asked, seen, small.test.labels)
    assert found["class_percent"] == found["held_out_class_percent"] == 100
    assert found["match_percent"] == found["colour_percent"] > 97
    assert found["thickness_percent"] > 80
    # With the sentences of others, what is left is chance.
    other = data.Sentences(*(np.roll(array, 1, axis=0) for array in asked))
    found = text.shares(captions, other, seen, small.test.labels)
    assert found["match_percent"] < 15 and found["ground_percent"] < 45


def test_every_row_is_there():
    rows = [row.name for row in text.TABLE.rows]
    assert len(rows) == 12 and set(style.ROWS) == set(interpolation.ROWS) == set(rows)
    switches = {}
    for row in rows[:4]:
        config, _ = cli.load_config(f"{catalogue.config_file('gancls_text')}:{row},fast")
        switches[row.removeprefix("captioned_digits_")] = (
            config.model.matching_aware,
            config.model.interpolation,
        )
    assert switches == {
        "gan": (False, False),
        "gan_cls": (True, False),
        "gan_int": (False, True),
        "gan_int_cls": (True, True),
    }
