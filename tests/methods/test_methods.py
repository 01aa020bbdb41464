"""Methods by name, and the supervised baseline."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError

SPEC = methods.DataSpec((2, 2, 1), 3)


def test_no_method_imports_another():
    folder = pathlib.Path(methods.__file__).parent
    for path in set(folder.glob("*.py")) - {folder / "__init__.py"}:
        imported = re.findall(r"aae_jax\.methods(?:\.| import )(\w+)", path.read_text())
        assert set(imported) <= {"common"}, path.name


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="'clustering_ae': did you mean 'clustering_aae'"):
        methods.build("clustering_ae", spec=SPEC)
    with pytest.raises(UserError, match=r"choose one of aae, label_informed_aae, .*, vae, gan"):
        methods.default_config("xyzzy")


def test_an_unknown_weight_init_is_refused_with_the_known_ones():
    config = methods.default_config("semi_supervised_aae")
    config.init = "normal"
    with pytest.raises(UserError, match=r"unknown weight init 'normal'.*normal_0\.01"):
        methods.build("semi_supervised_aae", config, spec=SPEC).init(jax.random.key(0))


def test_the_baseline_learns_a_separable_set_from_its_labelled_images():
    config = methods.default_config("supervised_mlp")
    config.hidden = (20,)
    config.schedule.name = "constant"
    method = methods.build("supervised_mlp", config, spec=SPEC)
    labels = jnp.arange(12) % 3
    images = jax.nn.one_hot(labels, 4).reshape(12, 2, 2, 1)
    nothing = jnp.full((6, 2, 2, 1), jnp.nan)  # it must not look at unlabelled images
    state = jax.jit(method.init)(jax.random.key(0))
    step = jax.jit(method.train_step)
    for i in range(60):
        state, metrics = step(state, Batch(nothing, images, labels), jax.random.key(i))
    assert metrics.keys() == {"classification/loss"}
    assert state.step == 60
    probabilities = np.asarray(method.classify(state, images))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), labels)
    assert method.decode is None
    assert method.sample is None


def test_the_baselines_dropout_is_in_training_only():
    config = methods.default_config("supervised_mlp")
    config.update(hidden=(20,), dropout=0.5, input_dropout=0.0)
    method = methods.build("supervised_mlp", config, spec=SPEC)
    images, labels = jnp.ones((6, 2, 2, 1)), jnp.arange(6) % 3
    state = jax.jit(method.init)(jax.random.key(0))
    step = jax.jit(method.train_step)
    losses = [
        float(
            step(state, Batch(images, images, labels), jax.random.key(k))[1]["classification/loss"]
        )
        for k in range(2)
    ]
    assert losses[0] != losses[1]
    probabilities = np.asarray(method.classify(state, images))
    np.testing.assert_array_equal(probabilities, np.repeat(probabilities[:1], 6, axis=0))
