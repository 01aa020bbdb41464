"""Loading: digits, TFDS sets built here as real array_record files, and MNIST where it lies."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aae_jax.data import is_available, load
from aae_jax.errors import UserError

DATA_DIR = os.environ.get("TFDS_DATA_DIR", "")
HAS_MNIST = (Path(DATA_DIR) / "mnist" / "3.0.1" / "dataset_info.json").is_file()


@pytest.fixture(autouse=True)
def directories(tmp_path, monkeypatch):
    """Own data and cache directories."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("AAE_JAX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "tfds", tmp_path / "cache" / "data"


def random_split(seed, n, shape):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, *shape)).astype(np.uint8)
    return images, rng.integers(0, 10, n).astype(np.int32)


def write_features(folder, shape, **other):
    kind = "tensorflow_datasets.core.features."
    dimensions = ["-1" if size is None else str(size) for size in shape]
    features = {
        "id": {"pythonClassName": kind + "text_feature.Text", "text": {}},
        "image": {
            "pythonClassName": kind + "image_feature.Image",
            "image": {"dtype": "uint8", "shape": {"dimensions": dimensions}},
        },
        "label": {
            "pythonClassName": kind + "class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "10"},
        },
    } | other
    features = {key: value for key, value in features.items() if value}
    content = {
        "pythonClassName": kind + "features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    (folder / "features.json").write_text(json.dumps(content))


def write_set(root, name, version, splits, file_format="array_record", **other_features):
    """Writes a set in TFDS's layout; ``splits`` maps names to (images, labels)."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from PIL import Image
    from tensorflow_datasets.proto import tf_example_pb2

    folder = root / name / version
    folder.mkdir(parents=True)
    infos = []
    for split, (images, labels) in splits.items():
        path = folder / f"{name}-{split}.{file_format}-00000-of-00001"
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for index, (image, label) in enumerate(zip(images, labels)):
            png = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(png, "PNG")
            example = tf_example_pb2.Example()
            example.features.feature["id"].bytes_list.value.append(b"%d" % index)
            example.features.feature["image"].bytes_list.value.append(png.getvalue())
            example.features.feature["label"].int64_list.value.append(int(label))
            writer.write(example.SerializeToString())
        writer.close()
        infos.append(
            {
                "name": split,
                "numBytes": "1",
                "shardLengths": [str(len(images))],
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    info = {"name": name, "version": version, "fileFormat": file_format, "splits": infos}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    write_features(folder, images.shape[1:], **other_features)
    return folder


def rewrite_labels(folder, labels):
    """Gives a set's examples an azimuth of 0 and the label as their category."""
    from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_pb2

    for path in folder.glob("*.array_record-*"):
        reader = ArrayRecordReader(str(path))
        examples = [tf_example_pb2.Example.FromString(r) for r in reader.read_all()]
        reader.close()
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for example, label in zip(examples, labels):
            example.features.feature["label_azimuth"].int64_list.value.append(0)
            example.features.feature["label_category"].int64_list.value.append(int(label))
            writer.write(example.SerializeToString())
        writer.close()


def write_cifar(root, version="1.0.0", seed=0):
    splits = {"train": random_split(seed, 40, (8, 8, 3)), "test": random_split(9, 20, (8, 8, 3))}
    return write_set(root, "cifar_like", version, splits), splits


def assert_same(split, images, labels):
    np.testing.assert_array_equal(split.images, images)
    np.testing.assert_array_equal(split.labels, labels)
    assert split.images.dtype == np.uint8 and split.labels.dtype == np.int32


def test_import_needs_numpy_only():
    code = (
        "import sys\n"
        "for name in ('tensorflow_datasets', 'tensorflow', 'sklearn', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "import aae_jax.data"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_digits_split_sizes():
    digits = load("digits")
    assert digits.name == "digits (stand-in, scikit-learn)"
    assert (digits.scaling.max_value, digits.num_classes) == (16, 10)
    assert [len(split.labels) for split in digits[4:7]] == [1200, 297, 300]
    assert digits.train.images.shape == (1200, 8, 8, 1)
    assert digits.train.images.dtype == np.uint8 and digits.train.labels.dtype == np.int32
    assert digits.train.images.max() == 16


def test_digits_splits_are_a_partition():
    from sklearn.datasets import load_digits

    def sort(images, labels):
        return sorted(zip(images.reshape(-1, 64).astype(int).tolist(), labels.tolist()))

    digits, whole = load("digits"), load_digits()
    together = [np.concatenate(field) for field in zip(*digits[4:7])]
    assert sort(*together) == sort(whole.images, whole.target)


def test_digits_are_the_same_every_time():
    first, again = load("digits"), load("digits", unlabelled=1497)
    assert first.sha256 == again.sha256
    assert again.sha256 == "15d1fbc75a94342177d48fbacbc2b488f12608a3ead0e8f72e266048ce8f9b7f"
    assert len(again.validation.labels) == 0
    assert_same(first.train, again.train.images[:1200], again.train.labels[:1200])
    assert_same(first.validation, again.train.images[1200:], again.train.labels[1200:])


@pytest.mark.parametrize("unlabelled", [-1, 1498])
def test_impossible_sizes_are_refused(unlabelled):
    with pytest.raises(UserError, match="1497 training images"):
        load("digits", unlabelled=unlabelled)


def test_tfds_set_is_decoded_exactly(directories, capfd):
    _, splits = write_cifar(directories[0])
    data = load("cifar_like", unlabelled=30)
    (images, labels), test = splits["train"], splits["test"]
    assert (data.name, data.scaling.max_value, data.num_classes) == ("cifar_like/1.0.0", 255, 10)
    assert_same(data.train, images[:30], labels[:30])
    assert_same(data.validation, images[30:], labels[30:])
    assert_same(data.test, *test)
    lines = [
        f"{hashlib.sha256(x.tobytes()).hexdigest()} {hashlib.sha256(y.tobytes()).hexdigest()}\n"
        for x, y in (splits["train"], test)
    ]
    assert data.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert "decoding 40 images of cifar_like (train)" in capfd.readouterr().err
    everything = load("cifar_like")
    assert everything.sha256 == data.sha256
    assert_same(everything.train, images, labels)
    assert everything.validation.images.shape == (0, 8, 8, 3)
    assert capfd.readouterr().err == ""


def test_svhn_trains_on_train_and_extra(directories):
    splits = {
        name: random_split(seed, n, (32, 32, 3))
        for seed, (name, n) in enumerate({"train": 30, "test": 10, "extra": 50}.items())
    }
    write_set(directories[0], "svhn_cropped", "3.1.0", splits)
    data = load("svhn_cropped", unlabelled=45)
    images, labels = (np.concatenate(pair) for pair in zip(splits["train"], splits["extra"]))
    assert_same(data.train, images[:45], labels[:45])
    assert_same(data.validation, images[45:], labels[45:])
    assert_same(data.test, *splits["test"])
    assert isinstance(data.train.images, np.memmap)


def test_validation_stands_in_for_a_missing_test_split(directories):
    splits = {name: random_split(0, 5, (4, 4, 1)) for name in ("train", "validation")}
    write_set(directories[0], "grey", "1.0.0", splits)
    assert_same(load("grey").test, *splits["validation"])
    assert_same(load("grey").test, *splits["validation"])  # and from the cache


def test_latest_version_unless_asked(directories):
    for seed, version in enumerate(["1.9.0", "1.10.0"]):
        write_cifar(directories[0], version, seed)
    assert load("cifar_like").name == "cifar_like/1.10.0"
    assert load("cifar_like/1.9.0").name == "cifar_like/1.9.0"
    with pytest.raises(UserError, match=r"cifar_like/2\.0\.0 .*there is 1\.9\.0, 1\.10\.0"):
        load("cifar_like/2.0.0")


def test_copy_beside_tfrecord_is_found(directories):
    root, _ = directories
    _, splits = write_cifar(root / "array_record")
    write_set(root, "cifar_like", "1.0.0", splits, file_format="tfrecord")
    assert is_available("cifar_like")
    assert_same(load("cifar_like").test, *splits["test"])


def test_tfrecord_only(directories):
    splits = {"train": random_split(0, 4, (4, 4, 1))}
    folder = write_set(directories[0], "mnist", "3.0.1", splits, file_format="tfrecord")
    assert not is_available("mnist")
    with pytest.raises(UserError, match=r"tfrecord.*make data DATASET=mnist`") as caught:
        load("mnist")
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_set(directories):
    assert not is_available("mnist")
    with pytest.raises(UserError, match="make data DATASET=mnist`") as caught:
        load("mnist")
    message = str(caught.value)
    assert all(str(folder) in message for folder in directories) and "\n" not in message


@pytest.mark.parametrize("name", ["", "../mnist", "mnist/", "a b", "mnist/3.0.1/x"])
def test_names_that_are_none(name):
    with pytest.raises(UserError, match="not the name"):
        load(name)


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[1000] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        Path.unlink,
        lambda path: os.truncate(path, 100),
    ],
)
def test_damaged_records(directories, damage):
    folder, _ = write_cifar(directories[0])
    damage(folder / "cifar_like-train.array_record-00000-of-00001")
    with pytest.raises(UserError, match="make data DATASET=cifar_like`") as caught:
        load("cifar_like")
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    assert not is_available("cifar_like", data_dir="/nonexistent")


def test_wrong_number_of_records(directories):
    folder, _ = write_cifar(directories[0])
    info = (folder / "dataset_info.json").read_text()
    (folder / "dataset_info.json").write_text(info.replace('"40"', '"39"'))
    with pytest.raises(UserError, match="40 records, not 39"):
        load("cifar_like")


KIND = "tensorflow_datasets.core.features."
FLOATS = {"dtype": "float32", "shape": {"dimensions": ["4", "4", "1"]}}
FORMS = {
    "no image": (
        {"image": None},
        r"no feature of encoded images, but id \(Text\), label \(ClassLabel\);",
    ),
    "a tensor": (
        {"image": {"pythonClassName": KIND + "tensor_feature.Tensor", "tensor": FLOATS}},
        r"but id \(Text\), image \(Tensor float32 4x4x1\), label",
    ),
    "float images": (
        {"image": {"pythonClassName": KIND + "image_feature.Image", "image": FLOATS}},
        "holds float32 images: only grey levels 0 to 255, uint8",
    ),
    "no label": ({"label": None}, "has no class label: every image needs one"),
}


@pytest.mark.parametrize("form", FORMS)
def test_sets_of_another_form(directories, form):
    features, message = FORMS[form]
    splits = {"train": random_split(0, 4, (4, 4, 1)), "test": random_split(0, 4, (4, 4, 1))}
    write_set(directories[0], "other", "1.0.0", splits, **features)
    with pytest.raises(UserError, match=f"{message}.*docs/own_data.md") as caught:
        load("other")
    assert "\n" not in str(caught.value)


def test_sets_of_several_sizes(directories):
    folder, _ = write_cifar(directories[0])
    write_features(folder, (None, None, 3))
    with pytest.raises(UserError, match=r"images of several sizes \(\?x\?x3\)"):
        load("cifar_like")


def test_an_image_of_another_size_than_the_set_says(directories):
    folder, _ = write_cifar(directories[0])
    write_features(folder, (8, 6, 3))
    with pytest.raises(UserError, match=r"image 0 of .* is 8x8x3, but .* says 8x6x3: all must"):
        load("cifar_like")
    assert not list(directories[1].rglob("*.npy*"))


@pytest.mark.parametrize("wrong", [10, -1])
def test_labels_that_are_no_class(directories, wrong):
    images, labels = random_split(0, 6, (4, 4, 1))
    labels[2] = wrong
    splits = {"train": random_split(0, 6, (4, 4, 1)), "test": (images, labels)}
    write_set(directories[0], "other", "1.0.0", splits)
    for _ in range(2):  # from the set, and from the cache
        with pytest.raises(UserError, match=f"labels from .*{wrong}.* its 10 classes, 0 to 9"):
            load("other")


def test_split_that_is_missing(directories):
    write_set(directories[0], "other", "1.0.0", {"train": random_split(0, 4, (4, 4, 1))})
    with pytest.raises(UserError, match="lacks the split test or validation; it has train: a set"):
        load("other")


def test_reader_that_is_not_installed(directories, monkeypatch):
    write_cifar(directories[0])
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match="needs tensorflow-datasets"):
        load("cifar_like")


# The cache as load() uses it.


@pytest.mark.parametrize("damage", [flip_a_byte, lambda path: os.truncate(path, 1000)])
def test_damaged_cache_is_rebuilt(directories, damage, capfd):
    write_cifar(directories[0])
    before = load("cifar_like")
    images = np.array(before.train.images)
    damage(directories[1] / "cifar_like" / "1.0.0" / "train.images.npy")
    capfd.readouterr()
    after = load("cifar_like")
    np.testing.assert_array_equal(after.train.images, images)
    assert after.sha256 == before.sha256
    notice = capfd.readouterr().err
    assert "the decoded cache is damaged (train.json: " in notice
    assert "decoding 20 images" not in notice  # the test split is whole
    load("cifar_like")
    assert capfd.readouterr().err == ""


def test_damaged_cache_without_source(directories):
    root, cache_root = directories
    write_cifar(root)
    load("cifar_like")
    flip_a_byte(cache_root / "cifar_like" / "1.0.0" / "test.images.npy")
    shutil.rmtree(root)
    with pytest.raises(UserError, match=r"damaged.*make data DATASET=cifar_like`") as caught:
        load("cifar_like")
    assert str(cache_root) in str(caught.value) and "\n" not in str(caught.value)


def test_cache_alone_is_enough(directories, monkeypatch):
    root, _ = directories
    write_cifar(root)
    before = load("cifar_like", unlabelled=10)
    shutil.rmtree(root)
    for reader in ("tensorflow_datasets", "array_record", "PIL"):
        monkeypatch.setitem(sys.modules, reader, None)
    assert is_available("cifar_like") and is_available("cifar_like/1.0.0")
    assert not is_available("cifar_like/2.0.0")
    after = load("cifar_like", unlabelled=10)
    assert after.sha256 == before.sha256 and after.name == before.name
    assert_same(after.validation, *before.validation)


def test_half_a_cache_is_no_cache(directories):
    root, cache_root = directories
    write_cifar(root)
    load("cifar_like")
    (cache_root / "cifar_like" / "1.0.0" / "test.json").unlink()
    assert is_available("cifar_like")
    assert not is_available("cifar_like", data_dir="/nonexistent")
    load("cifar_like")
    assert is_available("cifar_like", data_dir="/nonexistent")


def test_a_set_that_is_written_anew_is_decoded_anew(directories, capfd):
    """As one's own is, under its old version, after a mistake in its labels."""
    folder, splits = write_cifar(directories[0])
    before = load("cifar_like")
    shutil.rmtree(folder)
    splits = {name: (images, (labels + 1) % 10) for name, (images, labels) in splits.items()}
    write_set(directories[0], "cifar_like", "1.0.0", splits)
    capfd.readouterr()
    after = load("cifar_like")
    assert_same(after.train, *splits["train"])
    assert_same(after.test, *splits["test"])
    assert after.sha256 != before.sha256
    assert capfd.readouterr().err.count("decoding") == 2
    load("cifar_like")
    shutil.rmtree(folder)
    assert load("cifar_like").sha256 == after.sha256
    assert capfd.readouterr().err == ""


def test_cache_that_cannot_be_written(directories, monkeypatch, tmp_path):
    write_cifar(directories[0])
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="set AAE_JAX_CACHE_DIR"):
        load("cifar_like", cache_dir=str(tmp_path / "file"))


def test_two_processes_building_at_once_without_tensorflow(directories):
    write_cifar(directories[0])
    code = (
        "import sys; from aae_jax.data import load\n"
        "print(load('cifar_like').sha256, 'tensorflow' in sys.modules)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    digests = {process.communicate()[0] for process in processes}
    assert digests == {load("cifar_like").sha256 + " False\n"}


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("mnist_cache"))


@pytest.mark.skipif(not HAS_MNIST, reason="no MNIST 3.0.1 in $TFDS_DATA_DIR")
class TestMnist:
    """The real set, decoded once for the tests here."""

    def test_splits(self, cache_dir):
        data = load("mnist", unlabelled=50_000, data_dir=DATA_DIR, cache_dir=cache_dir)
        assert data.name == "mnist/3.0.1"
        assert [split.images.shape for split in data[4:7]] == [
            (50_000, 28, 28, 1),
            (10_000, 28, 28, 1),
            (10_000, 28, 28, 1),
        ]
        whole = load("mnist", data_dir=DATA_DIR, cache_dir=cache_dir)
        assert whole.sha256 == data.sha256
        assert whole.train.labels.shape == (60_000,) and whole.validation.labels.shape == (0,)
        np.testing.assert_array_equal(whole.train.images[50_000:], data.validation.images)
        counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        assert np.bincount(whole.train.labels).tolist() == counts
        counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert np.bincount(data.test.labels).tolist() == counts

    def test_same_images_as_the_archives(self, cache_dir):
        archives = Path(DATA_DIR) / "downloads" / "manual"
        if not (archives / "train-images-idx3-ubyte.gz").is_file():
            pytest.skip("the original archives are not in $TFDS_DATA_DIR/downloads/manual")

        def read(name, header):
            content = gzip.decompress((archives / f"{name}-ubyte.gz").read_bytes())
            return np.frombuffer(content, np.uint8, offset=header)

        def multiset(images, labels):
            rows = np.concatenate([images.reshape(-1, 784), labels.reshape(-1, 1)], axis=1)
            return sorted(row.tobytes() for row in rows.astype(np.uint8))

        data = load("mnist", data_dir=DATA_DIR, cache_dir=cache_dir)
        for split, prefix in ((data.train, "train"), (data.test, "t10k")):
            expected = read(f"{prefix}-images-idx3", 16), read(f"{prefix}-labels-idx1", 8)
            assert multiset(*split) == multiset(*expected)


def test_classes_are_kept_in_the_order_asked_for_before_anything_is_held_out():
    whole, part = load("digits", unlabelled=1497), load("digits", unlabelled=200, classes=(2, 0))
    chosen = np.isin(whole.train.labels, (2, 0))
    num = int(chosen.sum())
    assert part.num_classes == 2
    assert part.name.endswith("classes 2, 0")
    assert (len(part.train.labels), len(part.validation.labels)) == (200, num - 200)
    np.testing.assert_array_equal(part.train.images, whole.train.images[chosen][:200])
    np.testing.assert_array_equal(
        np.array([2, 0])[part.validation.labels], whole.train.labels[chosen][200:]
    )
    assert set(np.unique(part.test.labels)) == {0, 1}
    assert part.sha256 != whole.sha256


@pytest.mark.parametrize("classes", [(0, 10), (-1,), (3, 3)])
def test_classes_that_a_set_does_not_have_are_refused(classes):
    with pytest.raises(UserError, match="each to be named once"):
        load("digits", classes=classes)


def test_norb_is_pooled_to_a_third_and_labelled_by_category(directories):
    rng = np.random.default_rng(5)
    data_dir, _ = directories
    images = rng.integers(0, 256, (12, 12, 9, 1)).astype(np.uint8)
    labels = (np.arange(12) % 5).astype(np.int32)
    kind = "tensorflow_datasets.core.features.class_label_feature.ClassLabel"
    folder = write_set(
        data_dir,
        "smallnorb",
        "2.0.0",
        {"train": (images, labels), "test": (images[:5], labels[:5])},
        label=None,
        label_azimuth={"pythonClassName": kind, "classLabel": {"numClasses": "18"}},
        label_category={"pythonClassName": kind, "classLabel": {"numClasses": "5"}},
    )
    rewrite_labels(folder, labels)
    norb = load("smallnorb")
    assert norb.num_classes == 5
    np.testing.assert_array_equal(norb.train.labels, labels)
    assert norb.train.images.shape == (12, 4, 3, 1)
    expected = np.round(images[7, 3:6, 6:9, 0].astype(float).mean())
    assert norb.train.images[7, 1, 2, 0] == expected
