"""Scores of samples by classifiers, drawn batch by batch."""

import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.data.scaling import Scaling
from aae_jax.errors import UserError
from aae_jax.metrics import frechet_distance, inception_score
from aae_jax.networks import inception_weights
from configs.scores import scores_section
from experiments.harness import scores
from experiments.harness.judge import Judge

SCALING = Scaling(255, 0.5, 0.5)
REAL = np.random.default_rng(0).integers(0, 256, (60, 2, 2, 1)).astype(np.uint8)


def described(images):
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    return np.asarray(jax.nn.softmax(2 * flat)), flat[:, :2]


def test_of_batches_as_of_all_samples_at_once():
    drawn = []

    def sample(key, num):
        drawn.append(np.asarray(jax.random.uniform(key, (num, 2, 2, 1), minval=-1.0)))
        return jnp.asarray(drawn[-1])

    judge = Judge(lambda images: described(images)[0].argmax(axis=1), 12.0, described)
    found = scores.image_scores(
        sample, 50, judge, REAL, scaling=SCALING, key=jax.random.key(0), splits=5, batch_size=20
    )
    assert [len(batch) for batch in drawn] == [20, 20, 20]  # one compiled program
    assert not np.array_equal(drawn[0], drawn[1])
    probabilities, features = described(np.concatenate(drawn)[:50])
    score, std = inception_score(probabilities, 5)
    real = described(SCALING.forward(REAL))[1]
    assert found == {
        "classifier_score": pytest.approx(score),
        "classifier_score_std": pytest.approx(std),
        "classifier_fid": pytest.approx(frechet_distance(features, real), rel=1e-5),
        "confident_percent": pytest.approx(100 * (probabilities.max(axis=1) > 0.9).mean()),
    }
    assert std > 0 and 0 < found["confident_percent"] < 100


def test_inception_is_asked_where_it_is_there():
    seen = []

    def by_inception(images):
        seen.append(np.asarray(images))
        probabilities, features = described(images)
        return probabilities[:, ::-1] ** 2 / (probabilities**2).sum(1, keepdims=True), 3 * features

    judge = Judge(lambda images: None, 12.0, described)
    found = scores.image_scores(
        lambda key, num: jax.random.uniform(key, (num, 2, 2, 1), minval=-1.0),
        40,
        judge,
        REAL,
        scaling=SCALING,
        key=jax.random.key(0),
        batch_size=20,
        by_inception=by_inception,
    )
    assert {"inception_score", "inception_score_std", "fid"} < set(found)
    assert min(x.min() for x in seen) >= 0 and max(x.max() for x in seen) <= 1  # pixels
    assert found["inception_score"] > found["classifier_score"]  # of surer probabilities
    # Pixels are half of what networks see, and three times that in these features.
    assert found["fid"] == pytest.approx(1.5**2 * found["classifier_fid"], rel=1e-3)


def test_weights_of_inception_are_looked_at_before_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    config = ml_collections.ConfigDict({"profile": "smoke"})
    scores_section(config)
    scores._say_so.cache_clear()
    scores.check(config, None)
    scores.check(config, None)  # once in a process
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"there are no weights of Inception in {tmp_path}/inception/inception-20"
    )
    assert "inception_score" not in scores.names("cifar10")
    inception_weights.path().parent.mkdir()
    inception_weights.path().write_bytes(b"other weights")
    with pytest.raises(UserError, match="make it anew"):
        scores.check(config, None)
    assert scores.names("cifar10")[-3:] == ("inception_score", "inception_score_std", "fid")


def test_fewer_samples_than_splits_are_refused_before_any_is_drawn():
    with pytest.raises(UserError, match="4 samples in 5 splits"):
        scores.image_scores(None, 4, None, REAL, scaling=SCALING, key=jax.random.key(0), splits=5)


@pytest.mark.parametrize("changes", [{"hidden": (6, 5)}, {"hidden": (5,), "features": (4,)}])
def test_a_classifiers_last_hidden_layer_is_what_its_logits_are_made_of(changes):
    config = methods.default_config("supervised_mlp")
    config.update(changes)
    method = methods.build("supervised_mlp", config, spec=methods.DataSpec((4, 4, 1), 3))
    state = method.init(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (7, 4, 4, 1))
    hidden = method.features(state, images)
    assert hidden.shape == (7, 5)
    params = state.params["classifier"]
    last = params["Layer_0"]["Dense_0"] if "Layer_0" in params else params["Dense_1"]
    expected = jax.nn.softmax(hidden @ last["kernel"] + last["bias"])
    np.testing.assert_allclose(method.classify(state, images), expected, rtol=1e-5)


SHARDED = """
import json
import jax, jax.numpy as jnp, numpy as np
from aae_jax.networks.conv import convolution
from experiments.harness import scores
from experiments.harness.judge import Judge
from aae_jax.data.scaling import Scaling

spread = []

def described(x):
    flat = convolution(x, jnp.arange(8.0).reshape(2, 2, 1, 2) / 4).reshape(len(x), -1)
    return jax.nn.softmax(2 * flat), flat[:, :2]

def describe(images):
    spread.append(len(images.sharding.device_set))
    return jax.device_get(jax.jit(described)(images))

def sample(key, num):
    return jax.random.uniform(key, (num, 2, 2, 1), minval=-1.0)

draw = jax.jit(sample, static_argnums=1, out_shardings=scores._over_all_devices(8))
real = np.arange(240).reshape(60, 2, 2, 1).astype(np.uint8)
found = scores.image_scores(
    draw, 20, Judge(None, 0.0, describe), real, scaling=Scaling(255, 0.5, 0.5),
    key=jax.random.key(0), splits=2, batch_size=8,
)
print(json.dumps([found, spread]))
"""


def test_scores_of_batches_on_four_devices_are_those_of_one(run_program):
    found = []
    for devices in (1, 4):
        flags = f"--xla_force_host_platform_device_count={devices}"
        done = run_program("-c", SHARDED, XLA_FLAGS=flags)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    (alone, spread), (together, over_four) = found
    assert alone == pytest.approx(together, rel=1e-5)
    assert set(spread) == {1} and set(over_four) == {4}
