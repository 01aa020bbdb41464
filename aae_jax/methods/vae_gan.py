"""VAE/GAN (survey's slides, equations 16 to 20; Larsen et al. 2016, "Autoencoding beyond pixels
using a learned similarity metric"): a variational autoencoder whose reconstructions are compared in
a hidden layer of a GAN's discriminator, and whose decoder is that GAN's generator.

All gradients are taken at one state, each network minimising a sum of its own:

    encoder        L_prior + L_like
    decoder        γ L_like + (1 - γ) (the generator's side of L_GAN)
    discriminator  its own side of L_GAN, on data, reconstructions and samples of the prior

so that neither the encoder ever sees the GAN's gradient nor the discriminator that of the
likelihood. With fewer of these losses the same networks are a VAE (``system`` "vae": encoder and
decoder on pixels, equations 16 and 17) and a GAN ("gan": decoder and discriminator).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
from flax import linen as nn

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, play_together, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method, make_optimizers, with_parts
from aae_jax.networks import Network
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.networks.dcgan import (
    BATCH_NORMS,
    OUTPUTS,
    DcganDecoder,
    DcganEncoder,
    check_image_shape,
)
from aae_jax.networks.features import FeatureDiscriminator
from aae_jax.networks.residual import ResidualDecoder, ResidualEncoder, check_residual
from aae_jax.objectives import game, half_squared_error, kl_to_gaussian
from aae_jax.optimizers import rmsprop

SYSTEMS = {
    "vae": ("encoder", "decoder"),
    "gan": ("decoder", "discriminator"),
    "vae_gan": ("encoder", "decoder", "discriminator"),
}


def default_config() -> ml_collections.ConfigDict:
    """Larsen et al.'s optimizer, and networks like theirs for small images: the slides are silent.
    How the decoder's two gradients are weighed is as in the authors' code, γ that for CelebA."""
    return ml_collections.ConfigDict(
        {
            "system": "vae_gan",  # or "vae", "gan": the same networks under fewer losses
            "code_dim": 128,
            # Of encoder and decoder: "strided" convolutions and dense layers, or the "residual"
            # ones of networks/residual.py, of which ``features`` and ``batch_norm`` are settings.
            "networks": "strided",
            "gamma": 1e-6,  # γ: of the likelihood's gradient in the decoder's
            "game": "minimax",  # of the decoder; or "non_saturating"
            # The discriminator rests while either of its costs, on data or on the fakes, is below
            # this many nats (the authors' code, to keep the game level); 0: never.
            "rest_below": 0.0,
            "encoder": {
                "features": (64, 128),
                "dense": (1024,),
                "kernel_size": 5,
                "batch_norm": "before_relu",
            },
            "decoder": {
                "dense": (),
                "features": (128, 64),
                "kernel_size": 5,
                "batch_norm": "before_relu",
                "output": "sigmoid",  # or "tanh", "linear": by the range of the data
            },
            "discriminator": {
                "features": (64, 128),
                "dense": (512,),
                "layer": 1,  # Dis_l: from 0 over convolutions, then dense layers
                "batch_norm": True,
                "slope": 0.0,
                "kernel_size": 5,
            },
            "init": "he_normal",
            "optimizers": {
                "encoder": rmsprop(0.0003),
                "decoder": rmsprop(0.0003),
                "discriminator": rmsprop(0.0003),
            },
            "schedule": {
                "name": "constant",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,  # of a "cosine" schedule
            },
        }
    )


class Networks(NamedTuple):
    """Encoder (images to means and log standard deviations, side by side), decoder, discriminator
    of images (logits, Dis_l), and the prior."""

    encoder: Network
    decoder: Network
    discriminator: Network
    prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, a γ outside [0, 1], a code without
            dimensions, an output of another range than the data's, a hidden layer that there is
            not, or convolutions that do not fit the images.
    """
    initializer(config.init)
    check_choice("model.system", config.system, tuple(SYSTEMS))
    check_choice("model.game", config.game, ("minimax", "non_saturating"))
    check_choice("model.decoder.output", config.decoder.output, tuple(OUTPUTS))
    fitting = {"unit": "sigmoid", "symmetric": "tanh"}.get(spec.scaling, "linear")
    if config.decoder.output not in (fitting, "linear"):
        raise UserError(
            f"model.decoder.output is {config.decoder.output!r}, which does not end where the data "
            f"lie under data.scaling {spec.scaling!r}: set it to {fitting!r}"
        )
    for name in ("encoder", "decoder"):
        check_choice(f"model.{name}.batch_norm", config[name].batch_norm, BATCH_NORMS)
    check_choice("model.networks", config.networks, ("strided", "residual"))
    residual = config.networks == "residual"
    if residual:
        check_residual(spec.image_shape, config.encoder.features, config.decoder.features)
    for name in ("discriminator",) if residual else ("encoder", "decoder", "discriminator"):
        check_image_shape(spec.image_shape, config[name].features, f"model.{name}.features")
    if not 0.0 <= config.gamma <= 1.0:
        raise UserError(f"model.gamma is {config.gamma}; it must lie in [0, 1]")
    if config.code_dim < 1:
        raise UserError(f"model.code_dim is {config.code_dim}; it must be at least 1")
    hidden = len(config.discriminator.features) + len(config.discriminator.dense)
    if not 0 <= config.discriminator.layer < hidden:
        raise UserError(
            f"model.discriminator.layer is {config.discriminator.layer}, and its hidden layers are "
            f"0 to {hidden - 1}"
        )
    shared = {"weight_init": config.init, "axis_name": axis_name}
    encoder: nn.Module
    decoder: nn.Module
    if residual:
        encoder, decoder = _residual(config, spec, shared)
    else:
        encoder = DcganEncoder(
            code_dim=2 * config.code_dim, head_batch_norm="", **config.encoder, **shared
        )
        decoder = DcganDecoder(image_shape=spec.image_shape, **config.decoder, **shared)
    return Networks(
        Network("encoder", encoder),
        Network("decoder", decoder),
        Network("discriminator", FeatureDiscriminator(**config.discriminator, **shared)),
        priors.gaussian(config.code_dim),
    )


def _residual(
    config: ml_collections.ConfigDict, spec: DataSpec, shared: Mapping[str, Any]
) -> tuple[ResidualEncoder, ResidualDecoder]:
    """The autoencoder of the adversarial autoencoder with a learned prior, for codes with means
    and deviations."""
    encoder = ResidualEncoder(
        config.encoder.features,
        code_dim=2 * config.code_dim,
        hidden=2 * config.code_dim,
        batch_norm=bool(config.encoder.batch_norm),
        **shared,
    )
    decoder = ResidualDecoder(
        config.decoder.features,
        spec.image_shape,
        output=config.decoder.output,
        batch_norm=bool(config.decoder.batch_norm),
        **shared,
    )
    return encoder, decoder


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
    encoder, decoder, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    rates = make_optimizers(config, spec, optimizers)
    trained = SYSTEMS[config.system]
    autoencodes, plays = "encoder" in trained, "discriminator" in trained
    likelihood = "feature" if plays else "pixel"
    weights = {
        "encoder": {"prior": 1.0, likelihood: 1.0},
        "decoder": {
            "vae": {"pixel": 1.0},
            "gan": {"generator": 1.0},
            "vae_gan": {"feature": config.gamma, "generator": 1.0 - config.gamma},
        }[config.system],
        "discriminator": {"discriminator": 1.0},
    }
    phases = [Phase(name, (name,), rates[name], commits=(name,)) for name in trained]
    moves = [(phase, weights[phase.name]) for phase in phases]

    def posterior(outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log standard deviation of q(z | x)."""
        mean, log_std = jnp.split(outputs, 2, axis=-1)
        return mean, log_std

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images = jnp.zeros((1, *spec.image_shape))
        inputs = {
            encoder: (images,),
            decoder: (jnp.zeros((1, prior.dim)),),
            discriminator: (images,),
        }
        of_system = {network: given for network, given in inputs.items() if network.name in trained}
        return create_state(*init_networks(key, of_system), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update of all networks on ``batch.images``. Losses in nats."""
        keys = step_keys(key, axis_name)
        x = batch.images

        def losses(params, stats):
            values, fakes = {}, []
            if autoencodes:
                outputs, stats = encoder(params, stats, x)
                mean, log_std = posterior(outputs)
                z = mean + jnp.exp(log_std) * jax.random.normal(keys("code"), mean.shape)
                reconstructions, stats = decoder(params, stats, z)
                fakes.append(reconstructions)
                values["prior"] = kl_to_gaussian(mean, log_std).mean()
                values["pixel"] = half_squared_error(reconstructions, x).mean()
            if not plays:
                return values, stats

            samples, stats = decoder(params, stats, prior(keys("prior"), len(x)))
            fakes.append(samples)
            (logits, hidden), stats = discriminator(params, stats, jnp.concatenate([x, *fakes]))
            d_real, *d_fakes = jnp.split(logits, 1 + len(fakes))
            if autoencodes:
                of_x, of_reconstructions, _ = jnp.split(hidden, 3)
                values["feature"] = half_squared_error(of_reconstructions, of_x).mean()
            # -log D(x), and -log(1 - D) of each kind of fakes.
            costs = [jax.nn.softplus(-d_real).mean()]
            costs += [jax.nn.softplus(d_fake).mean() for d_fake in d_fakes]
            awake = jnp.min(jnp.stack(costs)) >= config.rest_below
            values["discriminator"] = jnp.where(awake, jnp.stack(costs).sum(), 0.0)
            of_decoder = [game(config.game).generator(d_fake).mean() for d_fake in d_fakes]
            values["generator"] = jnp.stack(of_decoder).sum()
            return values, stats

        return play_together(state, losses, *moves, axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(z [b, code_dim],): a draw from q(z | x) with a key, its mean without one."""
        mean, log_std = posterior(encoder.evaluate(state.params, state.batch_stats, images))
        if key is None:
            return (mean,)
        return (mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape),)

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Codes [b, code_dim] -> images [b, h, w, c]."""
        return decoder.evaluate(state.params, state.batch_stats, z)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] decoded from draws of the prior."""
        return decode(state, prior(key, num))

    def discriminate(state: State, images: jax.Array) -> jax.Array:
        """Logits [b] of "is real"."""
        return discriminator.evaluate(state.params, state.batch_stats, images)[0]

    def features(state: State, images: jax.Array) -> jax.Array:
        """Dis_l(x), flat, [b, n]."""
        hidden = discriminator.evaluate(state.params, state.batch_stats, images)[1]
        return hidden.reshape(images.shape[0], -1)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Squared error of the reconstruction from the code's mean, mean over pixels, [b, 1]; of
        a GAN -log D(x), nats."""
        if not autoencodes:
            return jax.nn.softplus(-discriminate(state, images))[:, None]
        errors = jnp.square(decode(state, *encode(state, images)) - images)
        return errors.reshape(images.shape[0], -1).mean(axis=1, keepdims=True)

    return Method(
        init,
        train_step,
        encode=encode if autoencodes else None,
        decode=decode,
        sample=sample,
        evaluate=evaluate,
        discriminate=discriminate if plays else None,
        features=features if plays else None,
    )
