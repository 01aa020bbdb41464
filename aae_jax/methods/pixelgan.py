"""The PixelGAN autoencoder (PixelGAN, section 2, figure 1): an encoder z = f(x, n) with noise on
its input, a PixelCNN conditioned on z as the decoder, and an adversary that matches the aggregated
posterior q(z) to a Gaussian or a categorical prior.

Phases on every mini-batch: reconstruction (decoder and encoder, by log-likelihood), adversarial
(discriminator, then its generator, the encoder), and with labels a semi-supervised one (encoder).

The encoder sees the image in all its grey levels, the decoder's likelihood is of the head's: under
a Bernoulli head that of the image binarised at 0.5 (paper silent on both).
"""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax
from flax import linen as nn

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, real_and_fake, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    encoder_gate,
    make_discriminator,
    make_optimizers,
    updates_of,
    with_parts,
)
from aae_jax.networks import Network, corrupt
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.networks.conv import ConvEncoder
from aae_jax.networks.heads import make_head, quantize, to_images
from aae_jax.networks.mlp import Encoder
from aae_jax.networks.pixelcnn import CONDITIONINGS, PixelCNN, num_wide_blocks
from aae_jax.networks.pixelcnn_sampling import inpaint
from aae_jax.networks.pixelcnn_sampling import sample as sample_levels
from aae_jax.objectives import discriminator_loss, generator_loss, log_likelihood
from aae_jax.optimizers import adam, ramp, sgd


def default_config() -> ml_collections.ConfigDict:
    """A categorical prior on binarised MNIST (section 2.2). The paper's appendix, with every
    setting in it, could not be had: all numbers but the decoder's depth are our choice."""
    return ml_collections.ConfigDict(
        {
            "prior": "categorical",  # or "gaussian"
            "num_categories": 0,  # 0: the number of classes
            "code_dim": 2,  # of a Gaussian code
            "prior_std": 1.0,
            "regularized": True,  # False: no adversarial phase (figure 5a)
            "encoder": "conv",  # "mlp" for Gaussian priors (paper silent)
            "encoder_features": (32, 64),
            "encoder_dense": 128,
            "encoder_hidden": (1000, 1000),  # "mlp"
            "encoder_batch_norm": True,
            "head_batch_norm": True,  # keeps all categories in use
            # What the normalised head is multiplied by before the softmax: "learned", from
            # ``start``; or a "ramp" from ``start`` to ``end`` over this fraction of the run.
            "head_scale": {"name": "learned", "start": 3.0, "end": 10.0, "fraction": 0.8},
            # The reconstruction trains the decoder alone over this first fraction of the run, so
            # that labels and prior shape the code before it does (paper silent).
            "decoder_alone": 0.0,
            "init": "he_normal",
            "input_noise": 0.3,  # std of the Gaussian n on the encoder's input (appendix A.1)
            "decoder": {
                "num_blocks": 12,  # 3 is the paper's shallow decoder, 12 its deep one
                "features": 32,
                "receptive_field": 0,  # 0: what the depth gives
                "dilations": (),  # of each block's masked 3x3; (): 1 each (paper silent)
                "conditioning": "location_invariant",  # or "location_dependent", "none"
                "head": "bernoulli",  # or "categorical", "logistic_mixture"
                "num_levels": 0,  # 0: the data's
            },
            "discriminator_hidden": (1000, 1000),
            "optimizers": {
                "reconstruction": adam(0.001),
                # As in the AAE: with Adam the discriminator of the simplex wins at once.
                "discriminator": sgd(0.1, 0.1),
                "generator": sgd(0.1, 0.1),
                # Adam would go on with full steps after the labelled images are fitted.
                "classification": sgd(0.1, 0.9),
            },
            "schedule": {
                "name": "cosine",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,
            },
        }
    )


class Networks(NamedTuple):
    """Encoder (images to a tuple of one head), decoder (a PixelCNN), discriminator of codes, and
    the codes' prior."""

    encoder: Network
    decoder: Network
    discriminator: Network
    prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, a head that does not fit the data,
            images that are not in [0, 1], a receptive field that the depth cannot give, or
            labelled batches with another number of categories than classes.
    """
    initializer(config.init)
    check_choice("model.prior", config.prior, ("categorical", "gaussian"))
    check_choice("model.encoder", config.encoder, ("conv", "mlp"))
    check_choice("model.decoder.conditioning", config.decoder.conditioning, CONDITIONINGS)
    if spec.scaling != "unit":
        raise UserError(
            f"data.scaling is {spec.scaling!r}; a PixelCNN needs pixels in [0, 1]: leave it at "
            "'unit'"
        )
    categorical = config.prior == "categorical"
    code_size = _code_size(config, spec)
    if categorical and config.decoder.conditioning == "location_dependent":
        warnings.warn(
            "a location-dependent bias with a categorical prior: the paper uses the "
            "location-invariant one there (section 2.2)",
            stacklevel=3,
        )
    _check_head_scale(config, spec)
    if config.prior_std <= 0:
        raise UserError(f"model.prior_std is {config.prior_std}; it must be positive")
    prior = (
        priors.categorical(code_size)
        if categorical
        else priors.gaussian(code_size, config.prior_std)
    )
    return Networks(
        Network("encoder", _encoder(config, code_size, axis_name)),
        Network("decoder", _decoder(config.decoder, spec)),
        make_discriminator(config),
        prior,
    )


def _check_head_scale(config: ml_collections.ConfigDict, spec: DataSpec) -> None:
    scale = config.head_scale
    check_choice("model.head_scale.name", scale.name, ("learned", "ramp"))
    if scale.name == "learned":
        return
    if config.encoder != "conv" or not config.head_batch_norm:
        raise UserError(
            "a ramp of model.head_scale needs the normalised head of the convolutional encoder: "
            "set model.encoder to 'conv' and model.head_batch_norm to true"
        )
    if min(scale.start, scale.end) <= 0 or not 0 < scale.fraction <= 1:
        raise UserError(
            f"model.head_scale goes from {scale.start} to {scale.end} over {scale.fraction} of the "
            "run: both must be positive, and the fraction above 0 and at most 1"
        )
    _hardening(config, spec)


def _hardening(config: ml_collections.ConfigDict, spec: DataSpec) -> optax.Schedule:
    """The head's scale by the update, where it is not learned."""
    scale = config.head_scale
    updates = updates_of(scale.fraction, spec, "a ramp of model.head_scale")
    return ramp(scale.start, scale.end, updates)


def _code_size(config: ml_collections.ConfigDict, spec: DataSpec) -> int:
    categorical = config.prior == "categorical"
    num_categories = config.num_categories or spec.num_classes
    if spec.labelled and not (categorical and num_categories == spec.num_classes):
        raise UserError(
            f"the semi-supervised phase needs a categorical prior with one category for each of "
            f"the {spec.num_classes} classes, not {config.prior} with {num_categories}: set "
            "model.num_categories to 0 or data.labelled_batch_size to 0"
        )
    size = num_categories if categorical else config.code_dim
    if size < 1:
        name = "num_categories" if categorical else "code_dim"
        raise UserError(f"model.{name} is {size}; it must be at least 1")
    return size


def _encoder(config: ml_collections.ConfigDict, code_size: int, axis_name: str | None) -> nn.Module:
    if config.encoder == "conv":
        return ConvEncoder(
            config.encoder_features,
            config.encoder_dense,
            (code_size,),
            config.encoder_batch_norm,
            config.head_batch_norm,
            config.init,
            axis_name,
            head_scale=config.head_scale.start if config.head_scale.name == "learned" else None,
        )
    batch_norm = "all" if config.head_batch_norm else "hidden"
    return Encoder(
        config.encoder_hidden,
        (code_size,),
        batch_norm=batch_norm if config.encoder_batch_norm else "",
        weight_init=config.init,
        axis_name=axis_name,
    )


def _decoder(decoder: ml_collections.ConfigDict, spec: DataSpec) -> PixelCNN:
    receptive_field = decoder.receptive_field or None
    num_wide_blocks(decoder.num_blocks, receptive_field, decoder.dilations)
    head = make_head(
        decoder.head, spec.image_shape[-1], spec.num_levels, num_levels=decoder.num_levels
    )
    return PixelCNN(
        head,
        decoder.num_blocks,
        decoder.features,
        receptive_field,
        decoder.conditioning,
        dilations=decoder.dilations,
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are (z [b, d],): for a categorical prior the softmax
    probabilities, which ``classify`` gives too. A decoder of one's own is a ``PixelCNN``.

    Raises:
        UserError: as ``networks``.
    """
    encoder, decoder, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    pixelcnn: Any = decoder.module
    if not isinstance(pixelcnn, PixelCNN):
        raise UserError("part 'decoder' of a PixelGAN autoencoder must be a PixelCNN")
    head = pixelcnn.head
    categorical = config.prior == "categorical"
    conditional = pixelcnn.conditioning != "none"
    regularized = config.regularized and conditional

    rates = make_optimizers(config, spec, optimizers)
    autoencoder = ("encoder", "decoder") if conditional else ("decoder",)
    reconstruction = Phase(
        "reconstruction", autoencoder, rates["reconstruction"], commits=autoencoder
    )
    discrimination = Phase("discriminator", ("discriminator",), rates["discriminator"])
    generation = Phase("generator", ("encoder",), rates["generator"])
    classification = Phase("classification", ("encoder",), rates["classification"])
    phases = (
        reconstruction,
        *((discrimination, generation) if regularized else ()),
        *((classification,) if spec.labelled else ()),
    )

    held = encoder_gate(config, spec)

    def logits_at(step, outputs):
        """The head's outputs, times its scale where that is not learned."""
        if config.head_scale.name == "learned":
            return outputs
        return _hardening(config, spec)(step) * outputs

    def code_of(step, outputs):
        outputs = logits_at(step, outputs)
        return jax.nn.softmax(outputs) if categorical else outputs

    def condition(z):
        """What the decoder is told of the code: a plain PixelCNN is told nothing."""
        return (z,) if conditional else ()

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images, z = jnp.zeros((1, *spec.image_shape)), jnp.zeros((1, prior.dim))
        networks = {
            encoder: (images,),
            decoder: (images, *condition(z)),
            discriminator: (z,),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update: reconstruction, discriminator and generator on ``batch.images``, and, if
        there are labels, classification on ``batch.labelled_images``. Losses in nats."""
        keys = step_keys(key, axis_name)
        noisy = corrupt(keys("input noise"), batch.images, config.input_noise)
        levels = quantize(batch.images, head.num_levels)
        real = prior(keys("prior"), batch.images.shape[0])

        def posterior(params, stats):
            (outputs,), stats = encoder(params, stats, noisy)
            return code_of(state.step, outputs), stats

        def reconstruction_loss(params, stats):
            z, stats = posterior(params, stats)
            z = held(z, state.step)
            given = to_images(levels, head.num_levels)
            outputs, stats = decoder(params, stats, given, *condition(z))
            return -log_likelihood(head, outputs, levels).mean(), stats

        def discriminator_objective(params, stats):
            z, stats = posterior(params, stats)
            d_real, d_fake, stats = real_and_fake(
                discriminator, params, stats, (real,), (z,), one_batch=True
            )
            return discriminator_loss(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            z, stats = posterior(params, stats)
            d_fake, stats = discriminator(params, stats, z)
            return generator_loss(d_fake).mean(), stats

        def classification_loss(params, stats):
            labelled = corrupt(
                keys("labelled input noise"), batch.labelled_images, config.input_noise
            )
            (outputs,), stats = encoder(params, stats, labelled)
            logits = logits_at(state.step, outputs)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            return losses.mean(), stats

        moves = [(reconstruction, reconstruction_loss)]
        if regularized:
            moves += [(discrimination, discriminator_objective), (generation, generator_objective)]
        if spec.labelled:
            moves.append((classification, classification_loss))
        return play(state, *moves, axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(z [b, d],): with a key a draw from the implicit posterior, by the noise n; without one
        n is zero."""
        if key is not None:
            images = corrupt(key, images, config.input_noise)
        (outputs,) = encoder.evaluate(state.params, state.batch_stats, images)
        return (code_of(state.step, outputs),)

    def classify(state: State, images: jax.Array) -> jax.Array:
        """The softmax code [b, k]: probabilities of classes, or of clusters."""
        return encode(state, images)[0]

    def log_prob(state: State, images: jax.Array, z: jax.Array) -> jax.Array:
        """log p(x | z) in nats [b], of the images quantised to the head's levels."""
        levels = quantize(images, head.num_levels)
        given = to_images(levels, head.num_levels)
        outputs = decoder.evaluate(state.params, state.batch_stats, given, *condition(z))
        return log_likelihood(head, outputs, levels)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """-log p(x | z) under the image's own code, nats [b, 1]."""
        return -log_prob(state, images, *encode(state, images))[:, None]

    def decode(state: State, z: jax.Array, key: jax.Array) -> jax.Array:
        """Codes [b, d] -> images [b, h, w, c], a draw from p(x | z)."""
        shape = (z.shape[0], *spec.image_shape)
        levels = sample_levels(pixelcnn, state.params["decoder"], key, shape, *condition(z))
        return to_images(levels, head.num_levels)

    def complete(
        state: State, images: jax.Array, given_rows: int, z: jax.Array, key: jax.Array
    ) -> jax.Array:
        """Images [b, h, w, c] whose first ``given_rows`` rows are those of ``images``, the others
        a draw from p(x | z, those rows)."""
        levels = quantize(images, head.num_levels)
        params = state.params["decoder"]
        levels = inpaint(pixelcnn, params, key, levels, given_rows, *condition(z))
        return to_images(levels, head.num_levels)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of codes from the prior."""
        prior_key, pixel_key = jax.random.split(key)
        return decode(state, prior(prior_key, num), pixel_key)

    def discriminate(state: State, z: jax.Array) -> jax.Array:
        """Logits [b] of "drawn from the prior" for codes [b, d]."""
        return discriminator.evaluate(state.params, state.batch_stats, z)

    return Method(
        init,
        train_step,
        classify=classify if categorical else None,
        encode=encode,
        decode=decode,
        sample=sample,
        evaluate=evaluate,
        log_prob=log_prob,
        discriminate=discriminate if regularized else None,
        complete=complete,
    )
