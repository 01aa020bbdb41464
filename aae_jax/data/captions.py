"""Images with sentences: captioned digits, and flowers and birds from the user's own files.

Reed et al. 2016 (survey's slides, "Generative Adversarial Text to Image Synthesis") trained on the
Oxford-102 flowers and the Caltech-UCSD birds with ten sentences an image, classes in the test set
that are not in the training set. **Captioned digits are a stand-in of that form**: handwritten
digits, one of eight colours on one of four grounds, with four sentences each, made from templates,
of what is measured on the image; and in the test set combinations of digit and colour that are not
in the training set. What is said of an image can so be looked for in a generated one.
"""

import difflib
import functools
import hashlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aae_jax.data import array_records, toys
from aae_jax.data.dataset import (
    Attribute,
    Captions,
    Dataset,
    Request,
    Sentences,
    assemble,
    in_memory,
)
from aae_jax.errors import UserError

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 220, 50),
    "orange": (240, 140, 30),
    "purple": (140, 60, 170),
    "pink": (245, 150, 190),
    "cyan": (60, 200, 210),
}
GROUNDS = {
    "black": (15, 15, 15),
    "white": (240, 240, 240),
    "grey": (128, 128, 128),
    "brown": (100, 65, 35),
}
# Of the middle third of the training images nothing is said.
MEASURED = {
    "thickness": ("thin", "", "thick"),
    "slant": ("left", "", "right"),
    "size": ("small", "", "large"),
}
COMBINATION = ("seen", "held out")
LENGTH = 16  # words of the longest sentence
FOLDER_SIZE = 64  # pixels, of flowers and birds


def held_out(digits: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Which combinations of digit [n] and colour [n] are in no training set: two of each digit's
    eight colours."""
    return np.isin((colours - digits) % len(COLOURS), (0, 3))


def words(sentence: str) -> list[str]:
    """The words of a sentence, in small letters, without punctuation."""
    return re.findall(r"[a-z0-9']+", sentence.lower())


def encode(sentences: Sequence[str], vocabulary: Sequence[str], length: int) -> np.ndarray:
    """Sentences as int32 [n, length], places in the vocabulary filled up with 0.

    Raises:
        UserError: a sentence without words, with more than ``length``, or with one that the
            vocabulary does not have.
    """
    places = {word: place for place, word in enumerate(vocabulary) if word}
    tokens = np.zeros((len(sentences), length), np.int32)
    for row, sentence in zip(tokens, sentences):
        found = words(sentence)
        if not found:
            raise UserError(f"the caption {sentence!r} has no words: say something of the image")
        if len(found) > length:
            raise UserError(
                f"the caption {sentence!r} has {len(found)} words, and these captions have at most "
                f"{length}: say it in fewer"
            )
        for place, word in enumerate(found):
            if word not in places:
                near = difflib.get_close_matches(word, places, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(places)}"
                raise UserError(f"the vocabulary does not have the word {word!r}: {hint}")
            row[place] = places[word]
    return tokens


def sentence_of(tokens: np.ndarray, vocabulary: Sequence[str]) -> str:
    """The sentence of tokens [t]."""
    return " ".join(vocabulary[token] for token in tokens if token)


def of_split(captions: Captions, split: str) -> Sentences:
    """The sentences of "train", "validation" or "test"."""
    return getattr(captions, split)


def attribute(captions: Captions, sentences: Sentences, name: str) -> np.ndarray:
    """Values [n] of one attribute."""
    names = [attribute.name for attribute in captions.attributes]
    return sentences.attributes[:, names.index(name)]


# Captioned digits.


def load_digits(request: Request) -> Dataset:
    """``captioned_digits``, made of MNIST, or ``captioned_digits/small``, of scikit-learn's 8x8
    digits: colours and grounds are functions of the image's place alone.

    With ``/every_combination`` behind either name the training set has all combinations of digit
    and colour, as a classifier wants it that shall judge images of any.

    Raises:
        UserError: for another name, for classes to choose, without the set that it is made of, and
            as ``assemble``.
    """
    source = _made_of(request)
    every_combination = request.name.endswith(_EVERY)
    if request.classes or request.domains:
        raise UserError(
            f"{request.name} has all ten digits, and one domain: leave data.classes and "
            "data.domains empty"
        )
    plain = request._replace(unlabelled=0, scaling="unit")
    if source == "mnist":
        made_of = array_records.load(plain._replace(name="mnist"))
    else:
        made_of = toys.load_digits(plain._replace(name="digits"))
    training = zip(made_of.train, made_of.validation)
    parts = {
        "train": [np.concatenate(pair) for pair in training],
        "test": [np.asarray(array) for array in made_of.test],
    }
    measured = {name: measure(images[..., 0]) for name, (images, _) in parts.items()}
    thresholds = {
        # Of one bit pattern wherever a sum differs in its last.
        name: tuple((np.round(np.quantile(values, (1 / 3, 2 / 3)) * 1024) / 1024).tolist())
        for name, values in measured["train"]._asdict().items()
    }
    vocabulary, all_tokens = digit_sentences()
    splits, said = {}, {}
    for i, (name, (images, labels)) in enumerate(parts.items()):
        num, digits = len(labels), labels.astype(np.int64)
        colours = _drawn(num, len(COLOURS), i, 0)
        if name == "train" and not every_combination:
            seen = ~held_out(digits[:, None], np.arange(len(COLOURS)))
            order = _drawn(num, seen.sum(axis=1), i, 0)
            colours = (seen.cumsum(axis=1) > order[:, None]).argmax(axis=1)
        grounds = _drawn(num, len(GROUNDS), i, 1)
        thirds = [
            np.searchsorted(thresholds[field], getattr(measured[name], field), side="right")
            for field in MEASURED
        ]
        content = [digits, colours, grounds, *thirds]
        combination = held_out(digits, colours)
        said[name] = Sentences(
            all_tokens[tuple(content)],
            np.ravel_multi_index(content[:4], _SHAPE[:4]).astype(np.int32),
            np.stack([*content, combination], axis=1).astype(np.int32),
        )
        coloured = _coloured(images[..., 0], made_of.scaling.max_value, colours, grounds)
        splits[name] = in_memory(coloured, labels, len(DIGITS))
    title = f"captioned_digits, of {made_of.name} (a stand-in)"
    dataset = assemble(title, 255, splits["train"], splits["test"], request)
    attributes = (
        Attribute("class", DIGITS),
        Attribute("colour", tuple(COLOURS)),
        Attribute("ground", tuple(GROUNDS)),
        *(Attribute(name, values, thresholds[name]) for name, values in MEASURED.items()),
        Attribute("combination", COMBINATION),
    )
    return _with_captions(
        dataset, vocabulary, int(np.prod(_SHAPE[:4])), attributes, said["train"], said["test"]
    )


def digits_available(request: Request) -> bool:
    """Whether what they are made of is there; looks at names only."""
    return _made_of(request) == "digits" or array_records.is_available(
        request._replace(name="mnist")
    )


def check_digits(request: Request) -> None:
    """Say what to prepare.

    Raises:
        UserError: MNIST is not there.
    """
    if not digits_available(request):
        raise UserError(f"{request.name} are made of MNIST: make data DATASET=mnist")


_EVERY = "/every_combination"


def _made_of(request: Request) -> str:
    sources = {"captioned_digits": "mnist", "captioned_digits/small": "digits"}
    name = request.name.removesuffix(_EVERY)
    if name not in sources:
        raise UserError(f"there is no set {request.name!r}: there is {' or '.join(sources)}")
    return sources[name]


def _drawn(num: int, below, *stream: int) -> np.ndarray:
    """Integers [num] from 0 to ``below``, from the raw stream, which no NumPy release changes."""
    raw = np.random.PCG64([2016, *stream]).random_raw(num)
    return (raw % np.asarray(below, np.uint64)).astype(np.int64)


def _coloured(levels: np.ndarray, max_value: int, colours, grounds) -> np.ndarray:
    """uint8 [n, h, w, 3] of levels [n, h, w]: from the ground at 0 to the colour at the top."""
    inks, papers = (np.array(list(table.values()), np.int32) for table in (COLOURS, GROUNDS))
    ink, paper = inks[colours][:, None, None], papers[grounds][:, None, None]
    out = np.empty((*levels.shape, 3), np.uint8)
    for i in range(0, len(levels), 1024):  # in blocks: the products are four times as large
        block = slice(i, i + 1024)
        level = levels[block, ..., None].astype(np.int32)
        out[block] = (paper[block] * (max_value - level) + ink[block] * level) // max_value
    return out


class Measured(NamedTuple):
    """What is measured on the ink of images, each [n].

    Attributes:
        thickness: twice the area by the number of pixels at its edge.
        slant: how far right a step up goes, in steps.
        size: the bounding box's share of the image.
    """

    thickness: np.ndarray
    slant: np.ndarray
    size: np.ndarray


def measure(ink: np.ndarray) -> Measured:
    """Measures ink [n, h, w], of any scale: half of an image's largest is its edge."""
    top = np.maximum(ink.max(axis=(1, 2)), 1e-6)
    inside = ink > 0.5 * top[:, None, None]
    padded = np.pad(inside, ((0, 0), (1, 1), (1, 1)))
    core = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    area = inside.sum(axis=(1, 2))
    edge = (inside & ~core).sum(axis=(1, 2))
    down, across = (np.arange(size, dtype=np.float64) for size in ink.shape[1:])
    rows, columns = inside.sum(axis=2), inside.sum(axis=1)
    num = np.maximum(area, 1)
    y, x = rows @ down / num, columns @ across / num
    yy = rows @ down**2 / num - y**2
    yx = np.einsum("nhw,h,w->n", inside, down, across) / num - y * x
    box = inside.any(axis=2).sum(axis=1) * inside.any(axis=1).sum(axis=1)
    return Measured(
        2 * area / np.maximum(edge, 1),
        -yx / np.maximum(yy, 1e-6),
        box / inside[0].size,
    )


class Seen(NamedTuple):
    """What colours and ink say of images, each [n]: places in ``COLOURS`` and ``GROUNDS``, and what
    is measured."""

    colour: np.ndarray
    ground: np.ndarray
    measured: Measured


def look(images: np.ndarray) -> Seen:
    """Looks at images [n, h, w, 3] in [0, 1], generated ones too: the ground is the median of the
    border, the colour the mean of what is farthest from it."""
    images = np.asarray(images, np.float64)
    border = np.concatenate(
        [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]], axis=1
    )
    paper = np.median(border, axis=1)
    distance = np.linalg.norm(images - paper[:, None, None], axis=-1)
    far = distance >= 0.8 * distance.max(axis=(1, 2), keepdims=True)
    ink = (images * far[..., None]).sum(axis=(1, 2)) / far.sum(axis=(1, 2))[:, None]

    def nearest(values: np.ndarray, table: dict[str, tuple[int, int, int]]) -> np.ndarray:
        known = np.array(list(table.values())) / 255
        return np.linalg.norm(values[:, None] - known, axis=-1).argmin(axis=1)

    return Seen(nearest(ink, COLOURS), nearest(paper, GROUNDS), measure(distance))


def templates(digit: str, colour: str, ground: str, thickness: str, slant: str, size: str):
    """The four sentences of an image; of what is "" nothing is said."""

    def joined(*parts: str) -> str:
        return " ".join(part for part in parts if part)

    def with_article(*parts: str) -> str:
        said = joined(*parts)
        return f"an {said}" if said[0] in "aeo" else f"a {said}"

    leans = slant and f"leans {slant}"
    thing = with_article(size, thickness, colour, digit)
    return (
        joined(f"{thing} on a {ground} ground", leans and f"that {leans}"),
        joined(
            f"this {digit} is {colour}",
            thickness and f"and {thickness}",
            size and f"and {size}",
            leans and f"and {leans}",
            f"the ground is {ground}",
        ),
        joined(
            f"{ground} ground with {with_article(thickness, size, digit)} in {colour}",
            slant and f"leaning {slant}",
        ),
        joined(
            f"the digit {digit}",
            slant and f"leaning {slant}",
            "written",
            thickness,
            size,
            f"in {colour} on {ground}",
        ),
    )


_VALUES = (DIGITS, tuple(COLOURS), tuple(GROUNDS), *MEASURED.values())
_SHAPE = tuple(map(len, _VALUES))


@functools.cache
def digit_sentences() -> tuple[tuple[str, ...], np.ndarray]:
    """The vocabulary, and the tokens of every content [digit, colour, ground, thickness, slant,
    size, template, word]."""
    sentences = [s for content in itertools.product(*_VALUES) for s in templates(*content)]
    vocabulary = ("", *sorted({word for sentence in sentences for word in words(sentence)}))
    places = {word: place for place, word in enumerate(vocabulary)}
    tokens = np.zeros((len(sentences), LENGTH), np.int32)
    for row, sentence in zip(tokens, sentences):
        found = words(sentence)
        row[: len(found)] = [places[word] for word in found]
    return vocabulary, tokens.reshape(*_SHAPE, -1, LENGTH)


# Flowers and birds.


def folder_available(request: Request) -> bool:
    """Whether the folder is there."""
    return _folder(request).is_dir()


def load_folder(request: Request) -> Dataset:
    """``flowers`` or ``birds`` from ``downloads/manual/<name>`` in the TFDS directory, as Reed et
    al. gave out their sentences: ``images/<class>/<image>.jpg``, ``text/<class>/<image>.txt`` with
    a sentence a line, and ``trainclasses.txt`` and ``testclasses.txt`` with a class a line.

    Images are cut to their middle square and shrunk to 64x64. Every image has as many sentences as
    the one with the fewest.

    Raises:
        UserError: if anything of this is missing or cannot be read, for classes to choose, and as
            ``assemble``.
    """
    folder = _folder(request)
    if request.name not in ("flowers", "birds"):
        raise UserError(f"there is no set {request.name!r}: there is flowers or birds")
    if not folder.is_dir():
        raise UserError(
            f"{request.name} are not there: put images/<class>/<image>.jpg, "
            "text/<class>/<image>.txt, trainclasses.txt and testclasses.txt into "
            f"{folder}"
        )
    if request.classes or request.domains:
        raise UserError(
            f"{request.name} has its classes in two files, and one domain: leave data.classes and "
            "data.domains empty"
        )
    named = {split: _lines(folder / f"{split}classes.txt") for split in ("train", "test")}
    if both := set(named["train"]) & set(named["test"]):
        raise UserError(f"{folder} has class {min(both)!r} in both splits: name it in one")
    classes = [*named["train"], *named["test"]]
    files = {
        split: [(p, classes.index(c)) for c in names for p in _images_of(folder, c)]
        for split, names in named.items()
    }
    texts = {
        split: [
            _lines(folder / "text" / classes[label] / f"{path.stem}.txt") for path, label in found
        ]
        for split, found in files.items()
    }
    all_texts = [*texts["train"], *texts["test"]]
    num = min(map(len, all_texts))
    spoken = [words(sentence) for text in all_texts for sentence in text[:num]]
    vocabulary = ("", *sorted({word for sentence in spoken for word in sentence}))
    length = max(map(len, spoken))
    splits, said = {}, {}
    for split, found in files.items():
        labels = np.array([label for _, label in found], np.int32)
        splits[split] = in_memory(
            np.stack([_read_image(path) for path, _ in found]), labels, len(classes)
        )
        tokens = encode([s for text in texts[split] for s in text[:num]], vocabulary, length)
        held = np.full(len(labels), split == "test")
        said[split] = Sentences(
            tokens.reshape(len(labels), num, length),
            labels,
            np.stack([labels, held], axis=1).astype(np.int32),
        )
    dataset = assemble(request.name, 255, splits["train"], splits["test"], request)
    attributes = Attribute("class", tuple(classes)), Attribute("combination", COMBINATION)
    return _with_captions(
        dataset, vocabulary, len(classes), attributes, said["train"], said["test"]
    )


def _folder(request: Request) -> Path:
    return request.data_root / "downloads" / "manual" / request.name


def _lines(path: Path) -> list[str]:
    """The lines of a text file that say something.

    Raises:
        UserError: it is missing, no text, or empty.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read: {reason}") from None
    lines = [line for line in lines if line]
    if not lines:
        raise UserError(f"{path} is empty: it needs a line for each of what it names")
    return lines


def _images_of(folder: Path, name: str) -> list[Path]:
    found = sorted(
        path
        for path in (folder / "images" / name).glob("*")
        if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    if not found:
        raise UserError(f"{folder / 'images' / name} has no images: it needs .jpg or .png files")
    return found


def _read_image(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            size = (FOLDER_SIZE, FOLDER_SIZE)
            fitted = ImageOps.fit(image.convert("RGB"), size, Image.Resampling.BILINEAR)
    except OSError as error:
        raise UserError(f"{path} is no image that can be read: {error}") from None
    return np.asarray(fitted, np.uint8)


def _with_captions(
    dataset: Dataset,
    vocabulary: tuple[str, ...],
    num_classes: int,
    attributes: tuple[Attribute, ...],
    train: Sentences,
    test: Sentences,
) -> Dataset:
    """The data set with its sentences, split as its images are; they count for its ``sha256``."""
    cut = len(dataset.train.labels)
    digest = hashlib.sha256(dataset.sha256.encode())
    for sentences in (train, test):
        digest.update(np.ascontiguousarray(sentences.tokens).data.cast("B"))
    digest.update("\n".join(vocabulary).encode())
    captions = Captions(
        vocabulary,
        num_classes,
        attributes,
        Sentences(*(array[:cut] for array in train)),
        Sentences(*(array[cut:] for array in train)),
        test,
    )
    return dataset._replace(sha256=digest.hexdigest(), captions=captions)
