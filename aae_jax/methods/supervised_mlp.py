"""The "NN baseline" of the AAE's table 2: the encoder's MLP with dropout, on labelled data only;
with convolutions, the classifiers of ours that judge generated images.

The paper names the architecture and the dropout (section 5, last paragraph); its rates,
optimizer and epochs it does not give.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method, make_optimizers, with_parts
from aae_jax.networks import Encoder, Network, corrupt
from aae_jax.networks.common import check_choice, init_networks, initializer, moved
from aae_jax.networks.conv import ConvEncoder
from aae_jax.networks.dcgan import check_image_shape
from aae_jax.networks.resnet import ResnetClassifier
from aae_jax.optimizers import sgd


def default_config() -> ml_collections.ConfigDict:
    """Our choice throughout but for the widths: the paper is silent."""
    return ml_collections.ConfigDict(
        {
            "hidden": (1000, 1000),
            # Channels of strided convolutions before one dense layer, the last of ``hidden``, with
            # batch norm in the place of dropout; none: the MLP.
            "features": (),
            # Residual blocks of a stage: the first of ``features`` are then those of a convolution
            # that keeps the size, each further one begins a stage that halves it, and there is no
            # dense layer.
            "num_blocks": 0,
            "init": "he_normal",
            "batch_norm": "",  # "": none, "hidden": hidden layers, "all": the output too
            "dropout": 0.5,  # hidden layers
            "input_noise": 0.0,
            "input_dropout": 0.2,
            "shift": 0,  # pixels by which images are moved at most, in each direction
            "mirror": False,  # whether left and right are exchanged in half of the images
            "weight_decay": 0.0,  # of half the squares of all kernels, in the loss
            "optimizers": {"classification": sgd(0.1, 0.9)},
            "schedule": {
                "name": "cosine",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.0,
            },
        }
    )


class Networks(NamedTuple):
    """The classifier: images to a tuple of one array, the logits."""

    classifier: Network


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The network of a config.

    Raises:
        UserError: for a setting that is none of its choices, convolutions that do not fit the
            images, residual blocks without stages, or moves of vectors.
    """
    initializer(config.init)
    check_choice("model.batch_norm", config.batch_norm, ("", "hidden", "all"))
    if (config.shift or config.mirror) and len(spec.image_shape) != 3:
        raise UserError("vectors cannot be moved: set model.shift to 0 and model.mirror to False")
    if config.num_blocks:
        if not config.features:
            raise UserError("model.num_blocks needs stages: give model.features their channels")
        check_image_shape(spec.image_shape, config.features[1:], "model.features")
        residual = ResnetClassifier(
            config.features, config.num_blocks, spec.num_classes, config.init, axis_name
        )
        return Networks(Network("classifier", residual))
    if config.features:
        check_image_shape(spec.image_shape, config.features, "model.features")
        convolutional = ConvEncoder(
            config.features,
            config.hidden[-1],
            (spec.num_classes,),
            weight_init=config.init,
            axis_name=axis_name,
        )
        return Networks(Network("classifier", convolutional))
    module = Encoder(
        hidden=config.hidden,
        heads=(spec.num_classes,),
        batch_norm=config.batch_norm,
        dropout_rate=config.dropout,
        weight_init=config.init,
        axis_name=axis_name,
    )
    return Networks(Network("classifier", module))


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions.

    Raises:
        UserError: for a setting that is none of its choices.
    """
    (classifier,) = with_parts(networks(config, spec, axis_name), parts)
    rates = make_optimizers(config, spec, optimizers)
    phase = Phase(
        "classification", ("classifier",), rates["classification"], commits=("classifier",)
    )

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images = jnp.zeros((1, *spec.image_shape))
        return create_state(*init_networks(key, {classifier: (images,)}), (phase,))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.labelled_images``: the cross-entropy of their labels, nats, and
        the weight decay."""
        keys = step_keys(key, axis_name)
        images = batch.labelled_images
        if config.shift or config.mirror:
            images = moved(keys("moves"), images, config.shift, config.mirror)
        images = corrupt(keys("input noise"), images, config.input_noise, config.input_dropout)

        def classification_loss(params, stats):
            (logits,), stats = classifier(params, stats, images, key=keys("dropout"))
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            loss = losses.mean()
            if config.weight_decay:
                kernels = [w for w in jax.tree.leaves(params["classifier"]) if w.ndim > 1]
                loss += config.weight_decay * 0.5 * sum(jnp.square(w).sum() for w in kernels)
            return loss, stats

        return play(state, (phase, classification_loss), axis_name=axis_name)

    def classify(state: State, images: jax.Array) -> jax.Array:
        """p(y | x) [b, num_classes]."""
        (logits,) = classifier.evaluate(state.params, state.batch_stats, images)
        return jax.nn.softmax(logits)

    def features(state: State, images: jax.Array) -> jax.Array:
        """The classifier's last hidden layer [b, n]."""
        return classifier.hidden(state.params, state.batch_stats, images)

    own = "classifier" in (parts or {})  # whose hidden layers are not known
    return Method(init, train_step, classify=classify, features=None if own else features)
