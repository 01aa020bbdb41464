"""Captioned digits and the loader of flowers and birds."""

import numpy as np
import pytest
from PIL import Image

from aae_jax import data
from aae_jax.data import captions as captions_
from aae_jax.errors import UserError


@pytest.fixture(scope="module")
def small():
    return data.load("captioned_digits/small")


def test_captioned_digits_are_what_they_always_were(small):
    assert small.name == "captioned_digits, of digits (stand-in, scikit-learn) (a stand-in)"
    again = data.load("captioned_digits/small", unlabelled=1000)
    assert again.sha256 == small.sha256 == PINNED
    assert len(again.train.labels) == len(again.captions.train.tokens) == 1000
    assert len(again.validation.labels) == len(again.captions.validation.classes) == 497
    np.testing.assert_array_equal(
        again.captions.validation.tokens, small.captions.train.tokens[1000:]
    )
    assert small.train.images.dtype == np.uint8 and small.train.images.shape[1:] == (8, 8, 3)


PINNED = "2d4ac48fcad2849eb508eea4a8b721c49a430cabda0ce877305b838a81dbf26c"


def test_held_out_combinations_are_in_the_test_set_alone(small):
    captions = small.captions

    def combinations(sentences):
        names = ("class", "colour", "combination")
        return [captions_.attribute(captions, sentences, name) for name in names]

    digits, colours, kind = combinations(captions.train)
    assert not kind.any() and not captions_.held_out(digits, colours).any()
    assert len({*zip(digits, colours)}) == 60
    digits, colours, kind = combinations(captions.test)
    np.testing.assert_array_equal(kind == 1, captions_.held_out(digits, colours))
    assert 0.15 < kind.mean() < 0.35  # a quarter, of 300
    np.testing.assert_array_equal(digits, small.test.labels)
    every = data.load("captioned_digits/small/every_combination").captions
    pairs = [captions_.attribute(every, every.train, name) for name in ("class", "colour")]
    assert captions_.held_out(*pairs).any()


def test_a_sentence_says_what_the_image_is(small):
    captions, test = small.captions, small.captions.test
    names = [attribute.name for attribute in captions.attributes]
    assert names == ["class", "colour", "ground", "thickness", "slant", "size", "combination"]
    for i in range(20):
        values = [a.values[v] for a, v in zip(captions.attributes, test.attributes[i])][:-1]
        said = [captions_.sentence_of(t, captions.vocabulary) for t in test.tokens[i]]
        assert len(set(said)) == 4
        for sentence in said:
            assert {value for value in values if value} <= set(sentence.split())
            others = {v for a in captions.attributes[:-1] for v in a.values} - set(values)
            assert not others & set(sentence.split())
    same = test.classes[:, None] == test.classes
    content = test.attributes[:, :4]  # the class of a sentence: digit, colour, ground, thickness
    np.testing.assert_array_equal(same, (content[:, None] == content).all(axis=-1))
    assert test.classes.max() < captions.num_classes == 960
    assert test.tokens.max() < len(captions.vocabulary)


def test_a_look_at_the_images_finds_what_was_said(small):
    """Colours and grounds in all images but a few of so little ink that nothing reaches the
    border."""
    captions, test = small.captions, small.captions.test
    seen = captions_.look(small.scaling.pixels(small.test.images))
    for name, found in (("colour", seen.colour), ("ground", seen.ground)):
        assert (found == captions_.attribute(captions, test, name)).mean() > 0.97, name
    (thirds,) = (a.thresholds for a in captions.attributes if a.name == "thickness")
    thickness = np.searchsorted(thirds, seen.measured.thickness, side="right")
    said = captions_.attribute(captions, test, "thickness")
    assert (thickness == said).mean() > 0.8
    assert np.bincount(captions_.attribute(captions, captions.train, "slant")).min() > 300


def test_ink_is_measured_by_hand():
    bar = np.zeros((1, 12, 10))
    bar[0, 2:10, 4:7] = 200.0  # 8 high, 3 wide: of 24 pixels 6 are inside
    found = captions_.measure(bar)
    assert found.thickness[0] == pytest.approx(2 * 24 / 18)
    assert found.size[0] == pytest.approx(24 / 120)
    assert found.slant[0] == pytest.approx(0)
    leaning = np.stack([np.roll(bar[0], shift, axis=1) for shift in (0, 0)])
    for i in range(12):  # one to the right for every two steps up
        leaning[0, i] = np.roll(leaning[0, i], (9 - i) // 2)
        leaning[1, i] = np.roll(leaning[1, i], -((9 - i) // 2))
    right, left = captions_.measure(leaning).slant
    assert right == pytest.approx(0.5, abs=0.05) and left == pytest.approx(-right, abs=1e-9)
    assert np.isfinite(captions_.look(np.zeros((2, 8, 8, 3))).measured).all()


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("a red thre on a black ground", "does not have the word 'thre': did you mean 'three'"),
        ("a xylophone", "does not have the word 'xylophone': it has a, "),
        ("red " * 17, "has 17 words, and these captions have at most 16"),
        (" , ", "has no words"),
    ],
)
def test_a_caption_that_cannot_be_is_one_line(sentence, message, small):
    with pytest.raises(UserError, match=message) as error:
        captions_.encode([sentence], small.captions.vocabulary, 16)
    assert "\n" not in str(error.value)


def test_a_caption_is_its_words(small):
    vocabulary = small.captions.vocabulary
    tokens = captions_.encode(["A RED three, on a black ground."], vocabulary, 16)
    assert tokens.shape == (1, 16) and tokens.dtype == np.int32
    assert captions_.sentence_of(tokens[0], vocabulary) == "a red three on a black ground"


def test_names_and_classes_that_there_are_not_are_refused():
    with pytest.raises(UserError, match="no set 'captioned_digits/smal'"):
        data.load("captioned_digits/smal")
    with pytest.raises(UserError, match=r"leave data\.classes and data\.domains empty"):
        data.load("captioned_digits/small", classes=(1, 2))
    with pytest.raises(UserError, match="make data DATASET=mnist"):
        data.check_preparable("captioned_digits", "/nonexistent")


@pytest.fixture
def folder(tmp_path):
    """Three classes of two images, two sentences each (three of one of them)."""
    root = tmp_path / "downloads/manual/birds"
    colours = {"red_bird": (200, 0, 0), "blue_bird": (0, 0, 200), "grey_bird": (90, 90, 90)}
    for name, colour in colours.items():
        for kind in ("images", "text"):
            (root / kind / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (90, 70), colour).save(root / f"images/{name}/{i}.jpg")
            said = f"This bird is {name[:-5]}.\n\na bird, number {i}\n" + "more\n" * i
            (root / f"text/{name}/{i}.txt").write_text(said)
    (root / "trainclasses.txt").write_text("red_bird\nblue_bird\n")
    (root / "testclasses.txt").write_text("grey_bird\n")
    return root


def test_birds_are_read_from_the_users_own_files(folder, tmp_path):
    birds = data.load("birds", data_dir=str(tmp_path))
    assert data.is_available("birds", str(tmp_path)) and not data.is_available("flowers", "/none")
    assert birds.train.images.shape == (4, 64, 64, 3) and birds.num_classes == 3
    np.testing.assert_array_equal(birds.train.labels, [0, 0, 1, 1])
    np.testing.assert_array_equal(birds.test.labels, [2, 2])
    assert abs(int(birds.test.images[0, 32, 32, 0]) - 90) < 4
    captions = birds.captions
    assert captions.train.tokens.shape == (4, 2, 4) and captions.num_classes == 3
    said = [captions_.sentence_of(t, captions.vocabulary) for t in captions.train.tokens[1]]
    assert said == ["this bird is red", "a bird number 1"]
    assert captions_.attribute(captions, captions.test, "combination").all()
    assert captions_.attribute(captions, captions.train, "class").tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "text/red_bird/0.txt").unlink(), "0.txt cannot be read"),
        (lambda f: (f / "text/red_bird/0.txt").write_text("\n"), "0.txt is empty"),
        (lambda f: (f / "testclasses.txt").write_text("red_bird\n"), "'red_bird' in both splits"),
        (lambda f: (f / "testclasses.txt").write_text("green_bird\n"), "green_bird has no images"),
        (lambda f: (f / "images/red_bird/0.jpg").write_bytes(b"no"), "no image that can be read"),
    ],
)
def test_a_folder_that_is_not_of_the_form_is_one_line(spoil, message, folder, tmp_path):
    spoil(folder)
    with pytest.raises(UserError, match=message) as error:
        data.load("birds", data_dir=str(tmp_path))
    assert "\n" not in str(error.value)


def test_without_the_folder_one_line_says_where_it_goes(tmp_path):
    with pytest.raises(UserError, match="flowers are not there: put images/<class>"):
        data.load("flowers", data_dir=str(tmp_path))
