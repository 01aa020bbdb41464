"""The "NN baseline" of the AAE's table 2: the encoder's MLP with dropout, on labelled data only.

The paper names the architecture and the dropout (section 5, last paragraph); its rates,
optimizer and epochs it does not give.
"""

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax.core import Batch, Metrics, Phase, State, create_state, update
from aae_jax.methods.common import DataSpec, Method, phase_key
from aae_jax.networks import Encoder, Network, corrupt
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.optimizers import optimizer, schedule, sgd


def default_config() -> ml_collections.ConfigDict:
    """Our choice throughout but for the widths: the paper is silent."""
    return ml_collections.ConfigDict(
        {
            "hidden": (1000, 1000),
            "init": "he_normal",
            "batch_norm": "",  # "": none, "hidden": hidden layers, "all": the output too
            "dropout": 0.5,  # hidden layers
            "input_noise": 0.0,
            "input_dropout": 0.2,
            "optimizers": {"classification": sgd(0.1, 0.9)},
            "schedule": {
                "name": "cosine",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.0,
            },
        }
    )


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions.

    Raises:
        UserError: for a setting that is none of its choices.
    """
    initializer(config.init)
    check_choice("model.batch_norm", config.batch_norm, ("", "hidden", "all"))
    network = Network(
        "classifier",
        Encoder(
            hidden=config.hidden,
            heads=(spec.num_classes,),
            batch_norm=config.batch_norm,
            dropout_rate=config.dropout,
            weight_init=config.init,
            axis_name=axis_name,
        ),
    )
    factor = schedule(config.schedule, spec.updates_per_epoch, spec.epochs)
    phase = Phase(
        "classification",
        ("classifier",),
        optimizer(config.optimizers.classification, factor),
        commits_batch_stats=True,
    )

    def init(key: jax.Array) -> State:
        images = jnp.zeros((1, *spec.image_shape))
        return create_state(*init_networks(key, {network: (images,)}), (phase,))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        input_key, dropout_key = jax.random.split(phase_key(key, axis_name))
        images = corrupt(input_key, batch.labelled_images, config.input_noise, config.input_dropout)

        def loss(params, stats):
            (logits,), stats = network(params, stats, images, key=dropout_key)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            return losses.mean(), stats

        state, metrics = update(state, phase, loss, axis_name)
        return state._replace(step=state.step + 1), metrics

    def classify(state: State, images: jax.Array) -> jax.Array:
        (logits,) = network.evaluate(state.params, state.batch_stats, images)
        return jax.nn.softmax(logits)

    return Method(init, train_step, classify)
