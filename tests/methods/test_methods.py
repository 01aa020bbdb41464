"""Methods by name, and the supervised baseline."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from aae_jax import methods, priors
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


ALL = sorted(methods.METHODS)
WIDE = methods.DataSpec((4, 4, 1), 10)


def wide(name):
    """What the defaults fit: a cycle and a mapping have a second domain, and images that can be
    halved; texts need captions."""
    if name in ("cycle_implicit_autoencoder", "cross_domain_pixelgan"):
        return methods.DataSpec((8, 8, 1), 10, second_shape=(8, 8, 1))
    if name in ("joint_embedding", "text_gan"):
        return WIDE._replace(caption_length=3, vocabulary_size=5)
    return WIDE


def small(name):
    """A config whose networks compile at once."""
    config = methods.default_config(name)
    for field in ("hidden", "discriminator_hidden", "encoder_hidden", "encoder_features"):
        if field in config:
            config[field] = (4,)
    if name == "dcgan":
        config.generator.features, config.generator.output = (4,), "sigmoid"
        config.discriminator.features = (4,)
    for field in ("generator", "discriminator", "encoder", "decoder", "style_encoder", "image"):
        section = config.get(field, {})
        if "features" in section and name in ("vae_gan", "joint_embedding", "text_gan", "lsgan"):
            section.features = (4,)
    if name == "learned_prior_aae":
        for network in (config.encoder, config.decoder, config.image_discriminator):
            network.features = (4,)
        config.decoder.output = "sigmoid"
    if name == "vae_gan":
        config.discriminator.layer = 0
    if name in ("text_gan", "lsgan", "wgan_gp"):
        config.generator.output = "sigmoid"
    if name == "wgan_gp":
        config.critic_steps = config.generator.num_blocks = config.critic.num_blocks = 2
        config.generator.features = config.critic.features = 4
    if name == "vamp_prior_vae":
        config.num_pseudo_inputs, config.decoder.output = 3, "sigmoid"
        config.encoder.features = config.decoder.features = (4,)
    if name == "began":
        config.features = 4
    if name == "cross_domain_pixelgan":
        config.generator.update(features=2, num_blocks=1)
        config.image_discriminator.features = (4,)
    if name in ("pixelgan", "cross_domain_pixelgan"):
        config.decoder.num_blocks, config.decoder.features = 1, 4
    return config


@pytest.mark.parametrize("name", ALL)
def test_a_notebook_gets_help_on_every_function(name):
    method = methods.build(name, small(name), spec=wide(name))
    for field, function in method._asdict().items():
        if callable(function) and field != "check":
            assert (function.__doc__ or "").strip(), (name, field)
    assert "One update" in method.train_step.__doc__


@pytest.mark.parametrize("name", ALL)
def test_defaults_train_on_batches_that_the_method_is_made_for(name):
    """No labels asked of a method without labels, and no length at which the rates end."""
    spec = wide(name)
    method = methods.build(name, small(name), spec=spec)
    shape = (4, *spec.image_shape)
    images = jnp.linspace(0, 1, np.prod(shape)).reshape(shape)
    batch = Batch(images)
    words = {"captions": jnp.ones((4, 3), jnp.int32), "caption_classes": jnp.arange(4)}
    batch = batch._replace(**words)
    if spec.second_shape is not None:
        with pytest.raises(UserError, match="built for two domains and got images of one"):
            method.check(batch)
        batch = batch._replace(second_images=images)
    if methods.METHODS[name].labelled:
        with pytest.raises(UserError, match="built for labelled batches and got none"):
            method.check(batch)
        batch = Batch(images, images, jnp.arange(4), **words)
    method.check(batch)
    state = jax.eval_shape(method.init, jax.random.key(0))
    after, metrics = jax.eval_shape(method.train_step, state, batch, jax.random.key(1))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert all(value.shape == () for value in metrics.values())


def test_without_a_length_no_schedule_ends_training():
    config = small("vae")
    assert config.schedule.name == "cosine"
    method = methods.build("vae", config, spec=WIDE)
    state = jax.jit(method.init)(jax.random.key(0))._replace(step=jnp.int32(10**6))
    after, _ = jax.jit(method.train_step)(state, Batch(jnp.ones((2, 4, 4, 1))), jax.random.key(0))
    kernel = lambda s: s.params["decoder"]["Layer_0"]["Dense_0"]["bias"]  # noqa: E731
    assert float(jnp.abs(kernel(after) - kernel(state)).max()) > 1e-5


IMAGES = jnp.ones((2, 2, 2, 1))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (Batch(IMAGES), "got none: give Batch"),
        (Batch(IMAGES.astype(jnp.uint8), IMAGES, jnp.arange(2)), "Batch.images are uint8: scale"),
        (Batch(IMAGES, 255 * IMAGES, jnp.arange(2)), r"labelled_images lie in \[255, 255\]"),
        (Batch(IMAGES[:, :1], IMAGES, jnp.arange(2)), r"shape \(2, 1, 2, 1\).*\[b, 2, 2, 1\]"),
        (Batch(IMAGES, IMAGES, jnp.array([0, 3])), r"labels lie in 0\.\.3: classes are 0\.\.2"),
        (Batch(IMAGES, IMAGES, jnp.array([-1, 0])), r"labels lie in -1\.\.0"),
        (Batch(IMAGES, IMAGES, jnp.arange(3)), "give 2 integers"),
        (Batch(IMAGES, IMAGES, jnp.ones(2)), "type float32: give 2 integers"),
    ],
)
def test_a_batch_that_cannot_be_trained_on_gets_a_sentence(batch, message):
    method = methods.build("semi_supervised_aae", small("semi_supervised_aae"), spec=SPEC)
    with pytest.raises(UserError, match=message):
        method.check(batch)
    state = jax.eval_shape(method.init, jax.random.key(0))
    with pytest.raises(UserError, match=message):
        method.train_step(state, batch, jax.random.key(0))


def test_a_field_that_there_is_not_cannot_be_set():
    with pytest.raises(AttributeError, match="code_dim"):
        methods.default_config("aae").code_dims = 3
    config = small("aae").unlock()
    config.code_dims = 3
    with pytest.raises(UserError, match="no setting 'code_dims': did you mean 'code_dim'"):
        methods.build("aae", config, spec=SPEC)
    config = small("aae").unlock()
    del config.input_noise  # a config of before this setting
    methods.build("aae", config, spec=SPEC)


class OwnEncoder(nn.Module):
    """An encoder of one's own: convolutional, one head of two dimensions."""

    size: int = 2

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.relu(nn.Conv(3, (2, 2))(images))
        return (nn.Dense(self.size)(x.reshape(x.shape[0], -1)),)


def own_prior(dim):
    """A ring."""

    def sample(key, num):
        x = jax.random.normal(key, (num, dim))
        return x / jnp.linalg.norm(x, axis=-1, keepdims=True)

    return priors.Prior(dim, sample)


def test_parts_of_ones_own_train():
    config = small("aae")
    config.code_dim = 2
    method = methods.build(
        "aae",
        config,
        spec=SPEC,
        parts={"encoder": OwnEncoder(), "prior": own_prior(2)},
        optimizers={"generator": optax.chain(optax.clip(0.1), optax.adam(1e-3))},
    )
    state = jax.jit(method.init)(jax.random.key(0))
    assert "Conv_0" in state.params["encoder"]
    after, metrics = jax.jit(method.train_step)(state, Batch(IMAGES), jax.random.key(0))
    assert all(np.isfinite(float(value)) for value in metrics.values())
    moved = (
        after.params["encoder"]["Conv_0"]["kernel"] - state.params["encoder"]["Conv_0"]["kernel"]
    )
    assert float(jnp.abs(moved).max()) > 0
    assert method.encode(after, IMAGES)[0].shape == (2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": {"encodr": OwnEncoder()}}, "no part 'encodr': did you mean 'encoder'"),
        ({"parts": {"prior": own_prior(3)}}, "Prior of the code's 8 dimensions .* has 3"),
        ({"parts": {"encoder": OwnEncoder(5)}}, "no update can be traced: "),
        ({"optimizers": {"generation": optax.sgd(0.1)}}, "no phase 'generation'.*generator"),
    ],
)
def test_parts_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UserError, match=message) as caught:
        methods.build("aae", small("aae"), spec=SPEC, **options)
    assert "\n" not in str(caught.value)


def test_pmap_is_refused_to_a_method_that_was_not_told_of_it():
    with pytest.raises(UserError, match=r'methods\.build\(\.\.\., axis_name="data"\)'):
        methods.build("aae", small("aae"), spec=SPEC).pmapped()
    method = methods.build("aae", small("aae"), spec=SPEC, axis_name="data")
    state = jax.jit(method.init)(jax.random.key(0))
    one = jax.tree.map(lambda x: x[None], (state, Batch(IMAGES)))
    after, _ = method.pmapped()(*one, jax.random.key(1))
    assert after.step.shape == (1,)
    assert int(after.step[0]) == 1


def test_another_network_leaves_the_initial_weights_of_the_others_alone():
    alone = methods.build("semi_supervised_aae", small("semi_supervised_aae"), spec=SPEC)
    config = small("dimension_reduction_aae")
    config.style_dim = 10
    beside = methods.build("dimension_reduction_aae", config, spec=SPEC)
    first, second = (jax.jit(m.init)(jax.random.key(0)).params for m in (alone, beside))
    np.testing.assert_array_equal(
        first["encoder"]["Trunk_0"]["Layer_0"]["Dense_0"]["kernel"],
        second["encoder"]["Trunk_0"]["Layer_0"]["Dense_0"]["kernel"],
    )
    np.testing.assert_array_equal(
        first["style_discriminator"]["Layer_0"]["Dense_0"]["kernel"],
        second["style_discriminator"]["Layer_0"]["Dense_0"]["kernel"],
    )


def test_a_classifier_of_ones_own_has_no_layer_to_compare_images_in():
    class Own(nn.Module):
        @nn.compact
        def __call__(self, images, *, train):
            return (nn.Dense(3)(images.reshape(images.shape[0], -1)),)

    assert methods.build("supervised_mlp", spec=SPEC).features is not None
    assert methods.build("supervised_mlp", spec=SPEC, parts={"classifier": Own()}).features is None


def test_weight_decay_is_half_the_squares_of_all_kernels():
    config = methods.default_config("supervised_mlp")
    config.update(hidden=(4,), dropout=0.0, input_dropout=0.0)
    images, labels = jnp.ones((6, 2, 2, 1)), jnp.arange(6) % 3
    found = []
    for decay in (0.0, 0.3):
        config.weight_decay = decay
        method = methods.build("supervised_mlp", config, spec=SPEC)
        state = method.init(jax.random.key(0))
        step = jax.jit(method.train_step)
        _, metrics = step(state, Batch(images, images, labels), jax.random.key(0))
        found.append(float(metrics["classification/loss"]))
    kernels = [w for w in jax.tree.leaves(state.params) if w.ndim == 2]
    assert len(kernels) == 2
    squares = sum(float(jnp.square(w).sum()) for w in kernels)
    np.testing.assert_allclose(found[1] - found[0], 0.15 * squares, rtol=1e-4)


def test_moves_of_vectors_and_blocks_without_stages_are_refused():
    config = methods.default_config("supervised_mlp")
    config.mirror = True
    with pytest.raises(UserError, match=r"vectors cannot be moved: set model\.shift to 0"):
        methods.build("supervised_mlp", config, spec=methods.DataSpec((4,), 3))
    config.num_blocks = 1
    with pytest.raises(UserError, match=r"num_blocks needs stages: give model\.features"):
        methods.build("supervised_mlp", config, spec=SPEC)
