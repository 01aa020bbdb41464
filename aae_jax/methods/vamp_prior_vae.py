"""VAE with a VampPrior (Tomczak and Welling 2018, "VAE with a VampPrior", section 2): the prior is
the mixture, in equal parts, of the posteriors of K learned pseudo-inputs u,

    p(z) = 1/K Σ_k q(z | u_k)

whose KL divergence from q(z | x) is estimated by the one draw of z. The autoencoder is that of the
adversarial autoencoder with a learned prior, which Wang et al. 2019 put in the place of its own
(section IV.B)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
from flax import linen as nn

from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method, make_optimizers, with_parts
from aae_jax.networks import Network
from aae_jax.networks.common import init_networks, initializer
from aae_jax.networks.dcgan import check_output
from aae_jax.networks.residual import ResidualDecoder, ResidualEncoder, check_residual
from aae_jax.objectives import gaussian_mixture_log_prob, half_squared_error, kl_monte_carlo
from aae_jax.optimizers import adam


def default_config() -> ml_collections.ConfigDict:
    """Tomczak and Welling's K, pseudo-inputs, warm-up and optimizer, Wang et al.'s autoencoder
    (tables A.1); the likelihood is our choice, for neither has one for images like these."""
    return ml_collections.ConfigDict(
        {
            "num_pseudo_inputs": 500,  # K
            "pseudo_mean": 0.4,  # of their initial pixels, in [0, 1], to which they are clipped
            "pseudo_std": 0.05,
            "warm_up": 100.0,  # epochs over which the KL divergence's weight rises from 0 to 1
            "code_dim": 64,
            "pixel_std": 1.0,  # of the Gaussian likelihood of pixels as networks see them
            "encoder": {"features": (64, 128, 256, 512), "batch_norm": False},
            "decoder": {
                "features": (512, 256, 128, 64),
                "batch_norm": False,
                "output": "tanh",  # or "sigmoid", "linear": by the range of the data
            },
            "init": "he_normal",
            "optimizers": {"elbo": adam(0.0005)},
            "schedule": {
                "name": "constant",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,  # of a "cosine" schedule
            },
        }
    )


class PseudoInputs(nn.Module):
    """K images that are parameters. Call: () -> [K, h, w, c], clipped to ``bounds`` if there are
    any."""

    num: int
    image_shape: Sequence[int]
    mean: float
    std: float
    bounds: tuple[float, float] | None

    @nn.compact
    def __call__(self, *, train: bool) -> jax.Array:
        def drawn(key, shape):
            return self.mean + nn.initializers.normal(self.std)(key, shape)

        images = self.param("images", drawn, (self.num, *self.image_shape))
        return images if self.bounds is None else jnp.clip(images, *self.bounds)


class Networks(NamedTuple):
    """Encoder (images to means and log standard deviations, side by side), decoder, and the
    pseudo-inputs."""

    encoder: Network
    decoder: Network
    pseudo_inputs: Network


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, more pseudo-inputs than training
            images, an output of another range than the data's, or convolutions that do not fit
            the images.
    """
    initializer(config.init)
    check_output("model.decoder.output", config.decoder.output, spec.scaling)
    check_residual(spec.image_shape, config.encoder.features, config.decoder.features)
    if spec.num_images is not None and config.num_pseudo_inputs > spec.num_images:
        raise UserError(
            f"model.num_pseudo_inputs is {config.num_pseudo_inputs}, more than the "
            f"{spec.num_images} training images, whose own posteriors would be as many: lower it"
        )
    shared = {"weight_init": config.init, "axis_name": axis_name}
    width = 2 * config.code_dim
    bounds = {"unit": (0.0, 1.0), "symmetric": (-1.0, 1.0)}.get(spec.scaling)
    low, reach = (-1.0, 2.0) if spec.scaling == "symmetric" else (0.0, 1.0)
    pseudo_inputs = PseudoInputs(
        config.num_pseudo_inputs,
        spec.image_shape,
        low + reach * config.pseudo_mean,
        reach * config.pseudo_std,
        bounds,
    )
    encoder = ResidualEncoder(code_dim=width, hidden=width, **config.encoder, **shared)
    decoder = ResidualDecoder(image_shape=spec.image_shape, **config.decoder, **shared)
    return Networks(
        Network("encoder", encoder),
        Network("decoder", decoder),
        Network("pseudo_inputs", pseudo_inputs),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are (z [b, code_dim],).

    Raises:
        UserError: as ``networks``.
    """
    encoder, decoder, pseudo_inputs = with_parts(networks(config, spec, axis_name), parts)
    trained = ("encoder", "decoder", "pseudo_inputs")
    rates = make_optimizers(config, spec, optimizers)
    phase = Phase("elbo", trained, rates["elbo"], commits=("encoder", "decoder"))

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (jnp.zeros((1, config.code_dim)),),
            pseudo_inputs: (),
        }
        return create_state(*init_networks(key, networks), (phase,))

    def weight(step: jax.Array) -> jax.Array | float:
        """Of the KL divergence; 1 from the start where an epoch's length is not known."""
        updates = config.warm_up * (spec.updates_per_epoch or 0)
        return jnp.minimum(1.0, step / updates) if updates else 1.0

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images``: the negative variational bound, nats, but for the
        likelihood's constant. Images and pseudo-inputs go through the encoder as one batch."""
        keys = step_keys(key, axis_name)
        x = batch.images

        def negative_elbo(params, stats):
            u, stats = pseudo_inputs(params, stats)
            outputs, stats = encoder(params, stats, jnp.concatenate([x, u]))
            mean, log_std = jnp.split(outputs[: len(x)], 2, axis=-1)
            of_prior = jnp.split(outputs[len(x) :], 2, axis=-1)
            z = mean + jnp.exp(log_std) * jax.random.normal(keys("code"), mean.shape)
            reconstructions, stats = decoder(params, stats, z)
            cost = half_squared_error(reconstructions, x).mean() / config.pixel_std**2
            kl = kl_monte_carlo(
                z, mean, log_std, lambda z: gaussian_mixture_log_prob(z, *of_prior)
            ).mean()
            return cost + weight(state.step) * kl, stats, {"reconstruction": cost, "kl": kl}

        return play(state, (phase, negative_elbo), axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(z [b, code_dim],): a draw from q(z | x) with a key, its mean without one."""
        outputs = encoder.evaluate(state.params, state.batch_stats, images)
        mean, log_std = jnp.split(outputs, 2, axis=-1)
        if key is None:
            return (mean,)
        return (mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape),)

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Codes [b, code_dim] -> images [b, h, w, c]."""
        return decoder.evaluate(state.params, state.batch_stats, z)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Squared error of the reconstruction from the code's mean, mean over pixels, [b, 1]."""
        errors = jnp.square(decode(state, *encode(state, images)) - images)
        return errors.reshape(images.shape[0], -1).mean(axis=1, keepdims=True)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] decoded from draws of the prior: of a pseudo-input, all being as
        likely, and from its posterior."""
        keys = step_keys(key)
        u = pseudo_inputs.evaluate(state.params, state.batch_stats)
        outputs = encoder.evaluate(state.params, state.batch_stats, u)
        chosen = outputs[jax.random.randint(keys("component"), (num,), 0, len(outputs))]
        mean, log_std = jnp.split(chosen, 2, axis=-1)
        return decode(state, mean + jnp.exp(log_std) * jax.random.normal(keys("code"), mean.shape))

    return Method(init, train_step, encode=encode, decode=decode, sample=sample, evaluate=evaluate)
