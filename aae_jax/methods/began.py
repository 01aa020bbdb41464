"""BEGAN (Berthelot et al. 2017, "BEGAN: boundary equilibrium generative adversarial networks",
section 3.4): the discriminator is an autoencoder with a low error L on images and a high one on
samples, the generator makes samples of a low one, and k holds the two errors at a ratio γ:

    discriminator  L(x) - k L(G(z_D))
    generator      L(G(z_G))
    k              k + λ_k (γ L(x) - L(G(z_G))), held within [0, 1]
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, step_keys
from aae_jax.methods.common import DataSpec, Method, make_optimizers, with_parts
from aae_jax.networks import Network
from aae_jax.networks.began import BeganAutoencoder, BeganDecoder, check_halvings
from aae_jax.networks.common import init_networks, initializer
from aae_jax.optimizers import adam
from aae_jax.priors import Prior, uniform

BALANCE = "balance"  # among the batch statistics: k, which follows the errors as those do batches


def default_config() -> ml_collections.ConfigDict:
    """The paper's γ and λ_k, its code for 32x32 and the networks of its figure 1; the rate is the
    public code's, within the range that the paper names."""
    return ml_collections.ConfigDict(
        {
            "code_dim": 64,  # h, of the autoencoder
            "noise_dim": 64,  # uniform in (-1, 1)
            "features": 128,  # n
            "halvings": 2,  # from the image to 8x8
            "gamma": 0.5,  # γ, the "diversity ratio"; the paper's from 0.3 to 0.7
            "k_rate": 0.001,  # λ_k
            "init": "glorot_uniform",  # paper silent
            "optimizers": {
                "discriminator": adam(0.00008),
                "generator": adam(0.00008),
            },
            "schedule": {
                # The paper's halves whenever the measure of convergence stalls.
                "name": "constant",
                "epochs": (),
                "factor": 0.5,
                "constant_fraction": 0.0,
            },
        }
    )


class Networks(NamedTuple):
    """Generator (noise to images), autoencoder of images, and the noise's distribution."""

    generator: Network
    discriminator: Network
    prior: Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, or images that cannot be halved so
            often.
    """
    initializer(config.init)
    check_halvings(spec.image_shape, config.halvings)
    shape = config.features, config.halvings, spec.image_shape, config.init
    return Networks(
        Network("generator", BeganDecoder(*shape)),
        Network("discriminator", BeganAutoencoder(config.code_dim, *shape)),
        uniform(config.noise_dim),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. ``decode`` takes noise [b, noise_dim].

    Raises:
        UserError: as ``networks``.
    """
    generator, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    rates = make_optimizers(config, spec, optimizers)
    discrimination = Phase(
        "discriminator", ("discriminator",), rates["discriminator"], commits=("discriminator",)
    )
    generation = Phase("generator", ("generator",), rates["generator"], commits=("generator",))

    def error(reconstructions: jax.Array, images: jax.Array) -> jax.Array:
        """L: the absolute error (η = 1), mean over pixels (paper silent), [b]."""
        return jnp.abs(reconstructions - images).reshape(images.shape[0], -1).mean(axis=1)

    def init(key: jax.Array) -> State:
        """A state at step 0, k = 0; a function of the key."""
        networks = {
            generator: (jnp.zeros((1, prior.dim)),),
            discriminator: (jnp.zeros((1, *spec.image_shape)),),
        }
        state = create_state(*init_networks(key, networks), (discrimination, generation))
        return _balanced(state, jnp.zeros(()))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images``: discriminator, generator, k. ``convergence`` is the
        paper's global measure, L(x) + |γ L(x) - L(G(z_G))|, at what each phase saw."""
        keys = step_keys(key, axis_name)
        x, k = batch.images, state.batch_stats[BALANCE]["k"]

        def of_samples(params, stats, z):
            fake, stats = generator(params, stats, z)
            reconstructions, stats = discriminator(params, stats, fake)
            return error(reconstructions, fake).mean(), stats

        def discriminator_objective(params, stats):
            reconstructions, stats = discriminator(params, stats, x)
            of_real = error(reconstructions, x).mean()
            of_fake, stats = of_samples(params, stats, prior(keys("discriminator prior"), len(x)))
            return of_real - k * of_fake, stats, {"real": of_real, "fake": of_fake}

        def generator_objective(params, stats):
            return of_samples(params, stats, prior(keys("generator prior"), len(x)))

        state, metrics = play(
            state,
            (discrimination, discriminator_objective),
            (generation, generator_objective),
            axis_name=axis_name,
        )
        of_real = metrics["discriminator/real"]
        lead = config.gamma * of_real - metrics["generator/loss"]
        k = jnp.clip(k + config.k_rate * lead, 0.0, 1.0)
        return _balanced(state, k), metrics | {"k": k, "convergence": of_real + jnp.abs(lead)}

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Noise [b, noise_dim] -> images [b, h, w, c]."""
        return generator.evaluate(state.params, state.batch_stats, z)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """L(x), the discriminator's absolute error per pixel, [b, 1]."""
        reconstructions = discriminator.evaluate(state.params, state.batch_stats, images)
        return error(reconstructions, images)[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of noise from its distribution."""
        return decode(state, prior(key, num))

    return Method(init, train_step, decode=decode, evaluate=evaluate, sample=sample)


def _balanced(state: State, k: jax.Array) -> State:
    return state._replace(batch_stats={**state.batch_stats, BALANCE: {"k": k}})
