"""The plain generative adversarial network (Goodfellow et al. 2014; AAE, section 1.1) of the AAE's
table 1: fully connected, on pixels."""

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax.core import Batch, Metrics, Phase, State, create_state, update
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method, make_decoder, merge, phase_key
from aae_jax.networks import Network
from aae_jax.networks.common import init_networks
from aae_jax.networks.mlp import Discriminator
from aae_jax.objectives import discriminator_loss, generator_loss
from aae_jax.optimizers import adam, optimizer, schedule


def default_config() -> ml_collections.ConfigDict:
    """Our settings: the AAE paper cites the number and gives none; Goodfellow et al. had maxout
    discriminators and gradient descent."""
    return ml_collections.ConfigDict(
        {
            "hidden": (1200, 1200),  # generator
            "discriminator_hidden": (1200, 1200),
            "noise_dim": 100,  # uniform in (-1, 1)
            "dropout": 0.5,  # hidden layers of the discriminator
            "output": "sigmoid",
            "init": "glorot_uniform",
            "decoder_batch_norm": False,
            "optimizers": {
                "discriminator": adam(0.0002, 0.5),
                "generator": adam(0.0002, 0.5),
            },
            "schedule": {
                "name": "cosine",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,
            },
        }
    )


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions. ``decode`` takes noise [b, noise_dim] in (-1, 1).

    Raises:
        UserError: for a setting that is none of its choices.
    """
    if config.noise_dim < 1:
        raise UserError(f"model.noise_dim is {config.noise_dim}; it must be at least 1")
    if not 0.0 <= config.dropout < 1.0:
        raise UserError(f"model.dropout is {config.dropout}; it must be at least 0 and below 1")
    generator = make_decoder(config, spec, axis_name, name="generator")
    discriminator = Network(
        "discriminator",
        Discriminator(config.discriminator_hidden, config.init, dropout_rate=config.dropout),
    )
    factor = schedule(config.schedule, spec.updates_per_epoch, spec.epochs)
    discrimination = Phase(
        "discriminator", ("discriminator",), optimizer(config.optimizers.discriminator, factor)
    )
    generation = Phase(
        "generator",
        ("generator",),
        optimizer(config.optimizers.generator, factor),
        commits_batch_stats=True,
    )

    def prior(key: jax.Array, num: int) -> jax.Array:
        return jax.random.uniform(key, (num, config.noise_dim), minval=-1.0, maxval=1.0)

    def init(key: jax.Array) -> State:
        networks = {
            generator: (jnp.zeros((1, config.noise_dim)),),
            discriminator: (jnp.zeros((1, *spec.image_shape)),),
        }
        return create_state(*init_networks(key, networks), (discrimination, generation))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        keys = jax.random.split(phase_key(key, axis_name), 4)
        num = batch.images.shape[0]

        def discriminator_objective(params, stats):
            fake, _ = generator(params, stats, prior(keys[0], num))
            images = jnp.concatenate([batch.images, fake])
            logits, _ = discriminator(params, stats, images, key=keys[1])
            return discriminator_loss(*jnp.split(logits, 2)).mean(), stats

        def generator_objective(params, stats):
            fake, stats = generator(params, stats, prior(keys[2], num))
            logits, _ = discriminator(params, stats, fake, key=keys[3])
            return generator_loss(logits).mean(), stats

        state, first = update(state, discrimination, discriminator_objective, axis_name)
        state, second = update(state, generation, generator_objective, axis_name)
        return state._replace(step=state.step + 1), merge(first, second)

    def decode(state: State, z: jax.Array) -> jax.Array:
        return generator.evaluate(state.params, state.batch_stats, z)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """-log D(x) in nats [b, 1]: log 2 where the discriminator cannot tell."""
        logits = discriminator.evaluate(state.params, state.batch_stats, images)
        return jax.nn.softplus(-logits)[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        return decode(state, prior(key, num))

    return Method(init, train_step, decode=decode, sample=sample, evaluate=evaluate)
