"""The PixelGAN autoencoder (PixelGAN, section 2, figure 1): an encoder z = f(x, n) with noise on
its input, a PixelCNN conditioned on z as the decoder, and an adversary that matches the aggregated
posterior q(z) to a Gaussian or a categorical prior.

Phases on every mini-batch: reconstruction (decoder and encoder, by log-likelihood), adversarial
(discriminator, then its generator, the encoder), and with labels a semi-supervised one (encoder).

The encoder sees the image in all its grey levels, the decoder's likelihood is of the head's: under
a Bernoulli head that of the image binarised at 0.5 (paper silent on both).
"""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, update
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method, merge, phase_key
from aae_jax.networks import Discriminator, Network, corrupt
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.networks.conv import ConvEncoder
from aae_jax.networks.heads import make_head, quantize, to_images
from aae_jax.networks.mlp import Encoder
from aae_jax.networks.pixelcnn import CONDITIONINGS, PixelCNN, num_wide_blocks
from aae_jax.networks.pixelcnn_sampling import inpaint
from aae_jax.networks.pixelcnn_sampling import sample as sample_levels
from aae_jax.objectives import discriminator_loss, generator_loss, log_likelihood
from aae_jax.optimizers import adam, optimizer, schedule, sgd


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
            "init": "he_normal",
            "input_noise": 0.3,  # std of the Gaussian n on the encoder's input (appendix A.1)
            "decoder": {
                "num_blocks": 12,  # 3 is the paper's shallow decoder, 12 its deep one
                "features": 32,
                "receptive_field": 0,  # 0: what the depth gives
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


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions. Codes are (z [b, d],): for a categorical prior the softmax
    probabilities, which ``classify`` gives too.

    ``decode`` takes a key besides the code, for the decoder is a distribution; ``log_prob`` is
    log p(x | z), nats an image; ``discriminate`` the adversary's logits of codes.

    Raises:
        UserError: for a setting that is none of its choices, a head that does not fit the data, a
            receptive field that the depth cannot give, or labelled batches with another number of
            categories than classes.
    """
    initializer(config.init)
    check_choice("model.prior", config.prior, ("categorical", "gaussian"))
    check_choice("model.encoder", config.encoder, ("conv", "mlp"))
    decoder_config = config.decoder
    check_choice("model.decoder.conditioning", decoder_config.conditioning, CONDITIONINGS)
    categorical = config.prior == "categorical"
    num_categories = config.num_categories or spec.num_classes
    if spec.labelled and not (categorical and num_categories == spec.num_classes):
        raise UserError(
            f"the semi-supervised phase needs a categorical prior with one category for each of "
            f"the {spec.num_classes} classes, not {config.prior} with {num_categories}: set "
            "model.num_categories to 0 or data.labelled_batch_size to 0"
        )
    if categorical and decoder_config.conditioning == "location_dependent":
        warnings.warn(
            "a location-dependent bias with a categorical prior: the paper uses the "
            "location-invariant one there (section 2.2)",
            stacklevel=2,
        )
    height, width, channels = spec.image_shape
    head = make_head(
        decoder_config.head, channels, spec.num_levels, num_levels=decoder_config.num_levels
    )
    receptive_field = decoder_config.receptive_field or None
    num_wide_blocks(decoder_config.num_blocks, receptive_field)
    code_size = num_categories if categorical else config.code_dim
    if code_size < 1:
        name = "num_categories" if categorical else "code_dim"
        raise UserError(f"model.{name} is {code_size}; it must be at least 1")
    if config.prior_std <= 0:
        raise UserError(f"model.prior_std is {config.prior_std}; it must be positive")
    prior = (
        priors.categorical(num_categories)
        if categorical
        else priors.gaussian(code_size, config.prior_std)
    )

    encoder_module: Any
    if config.encoder == "conv":
        encoder_module = ConvEncoder(
            config.encoder_features,
            config.encoder_dense,
            (code_size,),
            config.encoder_batch_norm,
            config.head_batch_norm,
            config.init,
            axis_name,
        )
    else:
        batch_norm = "all" if config.head_batch_norm else "hidden"
        encoder_module = Encoder(
            config.encoder_hidden,
            (code_size,),
            batch_norm=batch_norm if config.encoder_batch_norm else "",
            weight_init=config.init,
            axis_name=axis_name,
        )
    encoder = Network("encoder", encoder_module)
    pixelcnn = PixelCNN(
        head,
        decoder_config.num_blocks,
        decoder_config.features,
        receptive_field,
        decoder_config.conditioning,
    )
    decoder = Network("decoder", pixelcnn)
    discriminator = Network(
        "discriminator", Discriminator(config.discriminator_hidden, config.init)
    )
    conditional = decoder_config.conditioning != "none"

    factor = schedule(config.schedule, spec.updates_per_epoch, spec.epochs)
    reconstruction = Phase(
        "reconstruction",
        ("encoder", "decoder") if conditional else ("decoder",),
        optimizer(config.optimizers.reconstruction, factor),
        commits_batch_stats=True,
    )
    discrimination = Phase(
        "discriminator", ("discriminator",), optimizer(config.optimizers.discriminator, factor)
    )
    generation = Phase("generator", ("encoder",), optimizer(config.optimizers.generator, factor))
    classification = Phase(
        "classification", ("encoder",), optimizer(config.optimizers.classification, factor)
    )
    regularized = config.regularized and conditional
    phases = (
        reconstruction,
        *((discrimination, generation) if regularized else ()),
        *((classification,) if spec.labelled else ()),
    )

    def code_of(outputs):
        return jax.nn.softmax(outputs) if categorical else outputs

    def decoder_log_prob(apply, images, z):
        """log p(x | z) in nats [b], and whatever else ``apply`` returns."""
        levels = quantize(images, head.num_levels)
        outputs, rest = apply(to_images(levels, head.num_levels), *((z,) if conditional else ()))
        return log_likelihood(head, outputs, levels), rest

    def init(key: jax.Array) -> State:
        images, z = jnp.zeros((1, *spec.image_shape)), jnp.zeros((1, code_size))
        networks = {
            encoder: (images,),
            decoder: (images, z) if conditional else (images,),
            discriminator: (z,),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        noise_key, prior_key, label_key = jax.random.split(phase_key(key, axis_name), 3)
        num = batch.images.shape[0]
        noisy = corrupt(noise_key, batch.images, config.input_noise)

        def reconstruction_loss(params, stats):
            (outputs,), stats = encoder(params, stats, noisy)

            def apply(images, *codes):
                return decoder(params, stats, images, *codes)

            log_prob, stats = decoder_log_prob(apply, batch.images, code_of(outputs))
            return -log_prob.mean(), stats

        def discriminator_objective(params, stats):
            (outputs,), _ = encoder(params, stats, noisy)
            codes = jnp.concatenate([prior(prior_key, num), code_of(outputs)])
            logits, _ = discriminator(params, stats, codes)
            return discriminator_loss(*jnp.split(logits, 2)).mean(), stats

        def generator_objective(params, stats):
            (outputs,), _ = encoder(params, stats, noisy)
            logits, _ = discriminator(params, stats, code_of(outputs))
            return generator_loss(logits).mean(), stats

        def classification_loss(params, stats):
            labelled = corrupt(label_key, batch.labelled_images, config.input_noise)
            (logits,), stats = encoder(params, stats, labelled)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            return losses.mean(), stats

        state, metrics = update(state, reconstruction, reconstruction_loss, axis_name)
        if regularized:
            state, first = update(state, discrimination, discriminator_objective, axis_name)
            state, second = update(state, generation, generator_objective, axis_name)
            metrics = merge(metrics, first, second)
        if spec.labelled:
            state, third = update(state, classification, classification_loss, axis_name)
            metrics = merge(metrics, third)
        return state._replace(step=state.step + 1), metrics

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """With a key a draw from the implicit posterior: the noise n; without one n is zero."""
        if key is not None:
            images = corrupt(key, images, config.input_noise)
        (outputs,) = encoder.evaluate(state.params, state.batch_stats, images)
        return (code_of(outputs),)

    def classify(state: State, images: jax.Array) -> jax.Array:
        return encode(state, images)[0]

    def log_prob(state: State, images: jax.Array, z: jax.Array) -> jax.Array:
        def apply(images, *codes):
            return decoder.evaluate(state.params, state.batch_stats, images, *codes), None

        return decoder_log_prob(apply, images, z)[0]

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        return -log_prob(state, images, *encode(state, images))[:, None]

    def decode(state: State, z: jax.Array, key: jax.Array) -> jax.Array:
        shape = (z.shape[0], height, width, channels)
        codes = (z,) if conditional else ()
        levels = sample_levels(pixelcnn, state.params["decoder"], key, shape, *codes)
        return to_images(levels, head.num_levels)

    def complete(
        state: State, images: jax.Array, given_rows: int, z: jax.Array, key: jax.Array
    ) -> jax.Array:
        levels = quantize(images, head.num_levels)
        codes = (z,) if conditional else ()
        levels = inpaint(pixelcnn, state.params["decoder"], key, levels, given_rows, *codes)
        return to_images(levels, head.num_levels)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        prior_key, pixel_key = jax.random.split(key)
        return decode(state, prior(prior_key, num), pixel_key)

    def discriminate(state: State, z: jax.Array) -> jax.Array:
        return discriminator.evaluate(state.params, state.batch_stats, z)

    return Method(
        init,
        train_step,
        classify if categorical else None,
        encode,
        decode,
        sample,
        evaluate,
        log_prob=log_prob,
        discriminate=discriminate if regularized else None,
        complete=complete,
    )
