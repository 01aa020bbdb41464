"""The zoo's files: what is kept of a model, that each scores what it says, and what is refused."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aae_jax
from aae_jax import data, evaluators, methods, published, zoo
from aae_jax.core import Batch, named_key
from aae_jax.data.array_records import array_record_copies
from aae_jax.data.dataset import data_directory
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluation
from aae_jax.metrics import parzen
from experiments.harness import catalogue, cli, manifolds, rescore

# Models whose decoder takes a 2-D code, and how many labels beside it.
LABELS_OF_PLANES = {"label_informed_aae/mixture": 0, "dimension_reduction_aae/a": 10}
SPEC = methods.DataSpec((4, 4, 1), 3, labelled=True)


@pytest.fixture(scope="module")
def model():
    """(what a tiny AAE is built from, the method, its state)."""
    config = methods.default_config("semi_supervised_aae")
    config.update(hidden=(6,), discriminator_hidden=(5,), style_dim=2)
    config.update(init="lecun_normal", encoder_batch_norm="all")
    method = methods.build("semi_supervised_aae", config, spec=SPEC)
    described = {
        "method": "semi_supervised_aae",
        "model": json.loads(config.to_json()),
        "spec": SPEC._asdict(),
    }
    return described, method, jax.jit(method.init)(jax.random.key(0))


@pytest.fixture
def publish(model, tmp_path):
    """``publish(levels, without, model=...)``: the file of it."""

    def write(levels=0, without=(), **changes):
        described, _, state = model
        about = {"version": aae_jax.__version__, "model": described, "seed": 3, "step": 7}
        about |= {"without": list(without)} | changes
        arrays = published.reduced(published.weights_of(state, without), levels)
        published.write(tmp_path / "model.npz", about, arrays)
        return tmp_path / "model.npz"

    return write


def largest_difference(ours, theirs):
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


@pytest.mark.parametrize(("levels", "most"), [(0, 5e-4), (127, 5e-3), (15, 5e-2)])
def test_what_is_written_comes_back_to_the_precision_of_its_form(model, publish, levels, most):
    _, _, state = model
    method, loaded = aae_jax.load(publish(levels))
    assert int(loaded.step) == 7
    assert largest_difference(loaded.batch_stats, state.batch_stats) == 0
    difference = largest_difference(loaded.params, state.params)
    assert most / 100 < difference < most
    assert method.discriminate is not None
    assert method.sample(loaded, jax.random.key(0), 2).shape == (2, 4, 4, 1)


def test_integers_are_rounded_by_the_scale_of_their_column():
    kernel = np.array([[1.0, -0.3], [0.5, 0.1]], np.float32)
    arrays = published.reduced({"params.a": kernel, "batch_stats.b": kernel}, 3)
    np.testing.assert_array_equal(arrays["params.a"], [[3, -3], [2, 1]])  # 1.5 goes to even
    np.testing.assert_allclose(arrays["scale.params.a"], [1 / 3, 0.1])
    back = published.restored(arrays)
    np.testing.assert_allclose(back["params.a"], [[1, -0.3], [2 / 3, 0.1]], rtol=1e-6)
    np.testing.assert_array_equal(back["batch_stats.b"], kernel)


def test_without_adversaries_a_model_classifies_and_trains_on(model, publish):
    _, original, state = model
    method, loaded = aae_jax.load(publish(without=("style_discriminator", "label_discriminator")))
    assert method.discriminate is None and original.discriminate is not None
    assert {"style_discriminator", "label_discriminator"} <= loaded.params.keys()
    images = jax.random.uniform(jax.random.key(1), (5, 4, 4, 1))
    ours, theirs = method.classify(loaded, images), original.classify(state, images)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    batch = Batch(images, images, jnp.arange(5) % 3)
    trained, _ = jax.eval_shape(method.train_step, loaded, batch, jax.random.key(0))
    assert jax.tree.structure(trained) == jax.tree.structure(loaded)


def test_what_cannot_be_read_is_one_sentence(publish, model, tmp_path):
    def refused(message, source, **options):
        with pytest.raises(UserError, match=message) as caught:
            aae_jax.load(source, **options)
        assert "\n" not in str(caught.value)

    refused("holds seed 3 alone: leave seed out", publish(), seed=0)
    path = publish()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("cannot be read .it is damaged.: bring it back", path)
    path.write_bytes(whole[:400] + bytes(8) + whole[408:])
    refused("model.npz", path)
    with np.load(publish()) as saved:
        arrays = dict(saved)
    name = next(name for name in arrays if name.startswith("params."))
    np.savez(path, **arrays | {name: arrays[name] + 1})
    refused("is not what was written, by its checksum", path)
    about = json.loads(arrays["about"].tobytes()) | {"format": 2, "version": "9.1"}
    np.savez(path, about=np.frombuffer(json.dumps(about).encode(), np.uint8))
    refused("written by aae_jax 9.1 in format 2, and this version reads format 1", path)
    described = model[0]
    other = described | {"model": described["model"] | {"style_dim": 3}}
    of_another = "written by aae_jax 0.0.1, which made another model of it .*: install that one"
    refused(of_another, publish(model=other, version="0.0.1"))
    other = described | {"model": described["model"] | {"stile_dim": 3}}
    refused("no setting 'stile_dim'", publish(model=other))
    other = {name: described[name] for name in ("method", "model")}
    refused("'spec'", publish(model=other))


def test_a_number_beyond_float16_is_refused():
    with pytest.raises(UserError, match=r"params.a has numbers beyond float16, of up to 1e\+05"):
        published.reduced({"params.a": np.array([1e5], np.float32)})


def test_unknown_names_are_told_the_nearest():
    for name, near in (("label_informed_aae/mixtur", "label_informed_aae/mixture"),
                       ("fiae", "flipped_implicit_autoencoder/fiae"),
                       ("zzz", ", ".join(zoo.names()))):  # fmt: skip
        with pytest.raises(UserError, match="is no directory: give the --workdir") as caught:
            aae_jax.load(name)
        assert near in str(caught.value)
        with pytest.raises(UserError, match="name of a model of the zoo"):
            zoo.about(name)


def test_the_zoo_is_small():
    sizes = [path.stat().st_size for path in zoo.WEIGHTS.glob("*/*.npz")]
    assert len(sizes) == len(zoo.names()) >= 5
    assert max(sizes) <= published.LARGEST
    assert sum(sizes) <= 25_000_000


def evaluators_of(record, seed, monkeypatch):
    """What follows the run of a record."""
    module, given = catalogue.module(record["experiment"]), {}
    monkeypatch.setattr(module, "run_experiment", lambda *rest, **options: given.update(options))
    module.run(cli.Run(rescore.config_of(record, seed), {}, Path("nowhere")))
    return given.get("evaluators", (evaluators.classification(),))


def dataset_of(record):
    """The data of a record; of a set of images no more than what is scored on."""
    name, settings = record["dataset"].split(",")[0], record["config"]["data"]
    if name.startswith("toys/"):
        return data.load(name)
    classes = settings["classes"] or range(10)
    test = of_classes(data.load_test(name), classes)
    few = data.Images(test.images[:1], test.labels[:1])
    none = data.Images(test.images[:0], test.labels[:0])
    named_on = none
    if "_majority" in str(record):
        named_on = validation_of(name, settings["unlabelled"], classes)
    scale = data.make_scaling(settings["scaling"], 255, few.images)
    return data.Dataset(name, "", scale, len(classes), few, named_on, test)


def of_classes(images, classes):
    """The images of these classes, numbered in their order."""
    kept = np.isin(images.labels, classes)
    labels = [classes.index(label) for label in images.labels[kept]]
    return data.Images(images.images[kept], np.array(labels, np.int32))


def validation_of(name, unlabelled, classes):
    """The training images that are not trained on; decoding all would take half a minute."""
    import tensorflow_datasets as tfds

    key, version = name.split("/")
    copy = array_record_copies(key, data_directory())[version]
    builder = tfds.builder_from_directory(copy, file_format="array_record")
    source = builder.as_data_source("train")
    indices = list(range(len(source)))
    if len(classes) < 10:
        pixels_not = {"image": tfds.decode.SkipDecoding()}
        of_labels = builder.as_data_source("train", decoders=pixels_not)
        labels = [example["label"] for example in of_labels.__getitems__(indices)]
        indices = [i for i in indices if labels[i] in classes]
    examples = source.__getitems__(indices[unlabelled:])
    images = np.stack([example["image"] for example in examples])
    labels = np.array([example["label"] for example in examples], np.int32)
    return of_classes(data.Images(images, labels), classes)


def score(metric, method, state, dataset, seed, followed):
    """What the first of the evaluators that knows a metric finds in a model."""

    def outputs(function, split):
        images = evaluators.split_of(dataset, split).images
        blocks = [
            dataset.scaling.forward(images[i : i + 5000]) for i in range(0, len(images), 5000)
        ]
        of_block = jax.jit(getattr(method, function))
        parts = [of_block(state, block) for block in blocks]
        return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)

    def call(function, *arguments):
        return jax.jit(getattr(method, function))(state, *arguments)

    seen = Evaluation(
        method, dataset, seed, int(state.step), state=lambda: state, outputs=outputs, call=call
    )
    found = (pair for evaluator in followed for pair in evaluator.evaluate(seen))
    return next(value for name, value in found if name == metric)


def parzen_nats(method, state, dataset, seed, sigma):
    """The mean over the test images, under the sigma that was chosen when the run was measured."""
    key = named_key(jax.random.key(seed), "parzen")
    block = jax.jit(lambda key: method.sample(state, key, 2000).reshape(2000, -1))
    pixels = dataset.scaling.pixels(dataset.test.images).reshape(len(dataset.test.labels), -1)

    def draw(start, num):
        return block(jax.random.fold_in(key, start))[:num]

    return parzen.parzen_log_likelihoods(draw, pixels, [sigma], num_samples=10_000).mean()


@pytest.mark.parametrize("name", zoo.names())
def test_a_model_of_the_zoo_scores_what_its_record_says(name, monkeypatch):
    about = zoo.about(name)
    record, seed, table = about["record"], about["seed"], rescore.table_of(about["record"])
    recorded = record["values"][record["seeds"].index(seed)]
    assert rescore.keeps(about["score"], recorded, table, record["std"])
    assert about["name"] == name and record["profile"] != "smoke"
    assert set(record["overrides"]) <= {"train.seeds"}
    method, state = aae_jax.load(name)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
    of_method = [other for other in zoo.names() if other.split("/")[0] == name.split("/")[0]]
    if method.sample is not None and name == of_method[0]:  # compiling it takes seconds
        images = jax.jit(method.sample, static_argnums=2)(state, jax.random.key(0), 2)
        assert images.shape == (2, *about["model"]["spec"]["image_shape"])
        assert np.isfinite(images).all()
    shape = tuple(about["model"]["spec"]["image_shape"])
    assert manifolds.plane_of(method, state, shape) == LABELS_OF_PLANES.get(name)
    if data.is_available(record["dataset"].split(",")[0]):  # some are of a few classes
        dataset = dataset_of(record)
        if record["metric"] == "parzen_nats":
            found = parzen_nats(method, state, dataset, seed, record["extra"]["sigma"][0])
        else:
            followed = evaluators_of(record, seed, monkeypatch)
            found = score(record["metric"], method, state, dataset, seed, followed)
        # A test image or two near a border may fall to its other side by rounding.
        assert rescore.keeps(found, about["score"], table, record["std"])
