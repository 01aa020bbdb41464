"""The conditional GAN (Mirza and Osindero 2014): generator and discriminator are told the label y.

The MLPs with maxout units of the paper's MNIST experiment, or strided convolutions: the conditional
DCGAN of the survey. Labels are needed for every image; the batches are the labelled ones.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax.core import (
    Batch,
    Metrics,
    Phase,
    State,
    create_state,
    named_key,
    play,
    real_and_fake,
    step_keys,
)
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    check_convolutions,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.networks.conditional import ConditionalGenerator, MaxoutDiscriminator
from aae_jax.networks.dcgan import DcganDecoder, ImageDiscriminator, ImageTrunk
from aae_jax.objectives import discriminator_loss, generator_loss
from aae_jax.optimizers import rising_sgd
from aae_jax.priors import Prior, uniform


def default_config() -> ml_collections.ConfigDict:
    """The settings for MNIST. Initial weights, the number of updates in which the momentum rises,
    and all of the convolutions: paper silent."""
    return ml_collections.ConfigDict(
        {
            "networks": "mlp",  # or "convolutional"
            "noise_dim": 100,  # uniform in (-1, 1)
            "mlp": {
                "noise_hidden": 200,
                "label_hidden": 1000,
                "hidden": 1200,
                "image_units": 240,
                "image_pieces": 5,
                "label_units": 50,
                "label_pieces": 5,
                "joint_units": 240,
                "joint_pieces": 4,
                "dropout": 0.5,  # in both networks
            },
            "generator": {  # of the convolutional networks, as the discriminator
                "dense": (1024,),
                "features": (128, 64),
                "kernel_size": 5,
                "batch_norm": "before_relu",
                "output": "sigmoid",  # or "tanh", "linear": by the range of the data
            },
            "discriminator": {
                "features": (64, 128),
                "dense": (1024,),
                "kernel_size": 5,
                "batch_norm": "before_relu",
                "leak": 0.2,
                "one_batch": False,  # real and fake images are normalised apart
                "noise": 0.0,  # std, on the images and after each layer
            },
            "init": "glorot_uniform",
            "optimizers": {
                "discriminator": rising_sgd(0.1, 0.5, 0.7, 125_000),
                "generator": rising_sgd(0.1, 0.5, 0.7, 125_000),
            },
            "schedule": {
                "name": "exponential",
                "epochs": (),
                "factor": 1 / 1.00004,  # an update
                "lowest": 1e-5,  # 1e-6, of 0.1
                "constant_fraction": 0.5,
            },
        }
    )


class Networks(NamedTuple):
    """Generator (labels and noise to images), discriminator of (images, labels), and the noise's
    distribution."""

    generator: Network
    discriminator: Network
    prior: Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: without labelled batches, for a setting that is none of its choices or cannot
            be, an output of another range than the data's, or convolutions that do not fit the
            images.
    """
    if not spec.labelled:
        raise UserError("the conditional GAN needs data.labelled_batch_size > 0")
    initializer(config.init)
    check_choice("model.networks", config.networks, ("mlp", "convolutional"))
    if config.noise_dim < 1:
        raise UserError(f"model.noise_dim is {config.noise_dim}; it must be at least 1")
    pair = _convolutional if config.networks == "convolutional" else _mlp
    return Networks(*pair(config, spec, axis_name), uniform(config.noise_dim))


def _mlp(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None
) -> tuple[Network, Network]:
    widths = config.mlp
    for name, value in widths.items():
        if name != "dropout" and value < 1:
            raise UserError(f"model.mlp.{name} is {value}; it must be at least 1")
    if not 0.0 <= widths.dropout < 1.0:
        raise UserError(f"model.mlp.dropout is {widths.dropout}; it must be at least 0 and below 1")
    if spec.scaling != "unit":
        raise UserError(
            f"the conditional MLP ends in a sigmoid, and data.scaling is {spec.scaling!r}: set it "
            "to 'unit'"
        )

    shared: dict[str, Any] = {"dropout_rate": widths.dropout, "weight_init": config.init}
    of_generator = ("label_hidden", "noise_hidden", "hidden")
    generator = ConditionalGenerator(
        spec.image_shape, **{name: widths[name] for name in of_generator}, **shared
    )
    of_discriminator = [name for name in widths if name.endswith(("_units", "_pieces"))]
    discriminator = MaxoutDiscriminator(
        **{name: widths[name] for name in of_discriminator}, **shared
    )
    return Network("generator", generator), Network("discriminator", discriminator)


def _convolutional(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None
) -> tuple[Network, Network]:
    check_convolutions(spec, config.generator, config.discriminator)
    shared = {"weight_init": config.init, "axis_name": axis_name}
    trunk = {k: v for k, v in config.discriminator.items() if k != "one_batch"}
    return (
        Network(
            "generator", DcganDecoder(image_shape=spec.image_shape, **config.generator, **shared)
        ),
        Network("discriminator", ImageDiscriminator(ImageTrunk(**trunk, **shared))),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. ``decode`` takes (y [b, num_classes] one-hot,
    z [b, noise_dim]).

    Raises:
        UserError: as ``networks``.
    """
    generator, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    rates = make_optimizers(config, spec, optimizers)
    discrimination = Phase(
        "discriminator", ("discriminator",), rates["discriminator"], commits=("discriminator",)
    )
    generation = Phase("generator", ("generator",), rates["generator"], commits=("generator",))

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images, y = jnp.zeros((1, *spec.image_shape)), jnp.zeros((1, spec.num_classes))
        networks = {
            generator: (y, jnp.zeros((1, prior.dim))),
            discriminator: (images, y),
        }
        return create_state(*init_networks(key, networks), (discrimination, generation))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.labelled_images`` and their labels: discriminator, then generator,
        each on noise of its own, real and generated images under the same labels."""
        keys = step_keys(key, axis_name)
        x, y = batch.labelled_images, jax.nn.one_hot(batch.labels, spec.num_classes)

        def logits(params, stats, phase):
            """The discriminator's, of (x, y) and of (G(z | y), y)."""
            z = prior(keys(f"{phase} prior"), x.shape[0])
            fake, stats = generator(params, stats, y, z, key=keys(f"{phase} generator dropout"))
            return real_and_fake(
                discriminator,
                params,
                stats,
                (x, y),
                (fake, y),
                one_batch=config.discriminator.one_batch,
                key=keys(f"{phase} dropout"),
            )

        def discriminator_objective(params, stats):
            d_real, d_fake, stats = logits(params, stats, "discriminator")
            return discriminator_loss(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            _, d_fake, stats = logits(params, stats, "generator")
            return generator_loss(d_fake).mean(), stats

        return play(
            state,
            (discrimination, discriminator_objective),
            (generation, generator_objective),
            axis_name=axis_name,
        )

    def decode(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        """Labels [b, num_classes] one-hot and noise [b, noise_dim] -> images [b, h, w, c]."""
        return generator.evaluate(state.params, state.batch_stats, y, z)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of labels that are equally probable, and of noise."""
        labels = jax.random.randint(named_key(key, "labels"), (num,), 0, spec.num_classes)
        y = jax.nn.one_hot(labels, spec.num_classes)
        return decode(state, y, prior(named_key(key, "noise"), num))

    def discriminate(state: State, images: jax.Array, y: jax.Array) -> jax.Array:
        """Logits [b] of "is real, and of this label" for images and one-hot labels."""
        return discriminator.evaluate(state.params, state.batch_stats, images, y)

    return Method(init, train_step, decode=decode, sample=sample, discriminate=discriminate)
