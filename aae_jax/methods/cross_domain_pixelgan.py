"""Cross-domain relations (PixelGAN, section 4): a mapping y = F(x) of images to a second domain,
labels or images, without pairs or with a few.

An adversary matches the distribution of F(x) to that of the second domain, from which samples y
come that have nothing to do with x (output distribution matching, equation 4). By itself F can
ignore a part of its input, so beside it x is reconstructed from F(x): by a PixelCNN, which adds
what F leaves out (the PixelGAN autoencoder), or by a deterministic decoder, to which F must hand
over everything (the adversarial autoencoder). Without a decoder it is output distribution matching
alone.

Phases on every mini-batch: reconstruction (F and decoder), adversarial (discriminator, then its
generator, F), and with paired examples, labels, a supervised one (F). Onto labels, and with a
PixelCNN, this is the semi-supervised PixelGAN autoencoder (section 2.2).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, real_and_fake, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    make_discriminator,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Decoder, Network, PixelCNN, corrupt
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.networks.conv import ConvEncoder
from aae_jax.networks.heads import make_head, quantize, to_images
from aae_jax.networks.pixelcnn import SPATIAL
from aae_jax.networks.pixelcnn_sampling import sample as sample_levels
from aae_jax.networks.resnet import LOGITS, ImageDiscriminator, ResnetGenerator, check_generator
from aae_jax.objectives import (
    discriminator_loss,
    generator_loss,
    half_squared_error,
    log_likelihood,
)
from aae_jax.optimizers import adam

SECOND_DOMAINS = ("images", "labels")
DECODERS = ("pixelcnn", "deterministic", "none")


def default_config() -> ml_collections.ConfigDict:
    """A mapping between images. The paper has no experiment of it: every number is ours."""
    return ml_collections.ConfigDict(
        {
            "second_domain": "images",  # or "labels"
            "decoder": {
                "name": "pixelcnn",  # or "deterministic", "none"
                "num_blocks": 12,  # of a PixelCNN, as are the next three
                "features": 32,
                "head": "categorical",  # or "bernoulli", "logistic_mixture"
                "num_levels": 0,  # 0: the data's
                "hidden": (1000, 1000),  # of a deterministic decoder of labels
            },
            # F to images, and the deterministic decoder of images: CycleGAN's generator.
            "generator": {"features": 64, "num_blocks": 6, "halvings": 1},
            "image_discriminator": {
                "features": (64, 128, 256),
                "logits": "patches",  # or "image"
                "batch_norm": True,
                "noise": 0.0,  # std, on the images and between the layers
            },
            # F to labels: PixelGAN's convolutional encoder.
            "encoder_features": (32, 64),
            "encoder_dense": 128,
            "head_scale": 3.0,  # at the start
            "discriminator_hidden": (1000, 1000),  # of labels
            "input_noise": 0.0,  # std of the Gaussian noise on F's input
            "init": "he_normal",
            "optimizers": {
                "reconstruction": adam(0.001),
                "discriminator": adam(0.0002, 0.5),
                "generator": adam(0.0002, 0.5),
                "classification": adam(0.0002, 0.5),
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
    """The mapping F (images to images, or to a tuple of the logits of labels), the decoder, if
    there is one, of a PixelCNN or of images at once, the discriminator of the second domain, and
    the distribution of labels, if that is the second domain."""

    encoder: Network
    decoder: Network | None
    discriminator: Network
    prior: priors.Prior | None


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a second domain that the data do not have or of images of another shape,
            images that are not in [0, 1] or that the networks cannot be made for, paired examples
            that are no labels, or a setting that is none of its choices.
    """
    initializer(config.init)
    check_choice("model.second_domain", config.second_domain, SECOND_DOMAINS)
    check_choice("model.decoder.name", config.decoder.name, DECODERS)
    if spec.scaling != "unit":
        raise UserError(
            f"data.scaling is {spec.scaling!r}; the mapping and its decoders end in [0, 1]: leave "
            "it at 'unit'"
        )
    labels = config.second_domain == "labels"
    (_check_labels if labels else _check_images)(config, spec)
    shared = {"weight_init": config.init, "axis_name": axis_name}

    def generator(name: str) -> Network:
        return Network(name, ResnetGenerator(**config.generator, output="sigmoid", **shared))

    if not labels:
        discriminator = ImageDiscriminator(**config.image_discriminator, **shared)
        return Networks(
            generator("encoder"),
            _decoder(config, spec, SPATIAL, generator("decoder")),
            Network("discriminator", discriminator),
            None,
        )
    encoder = ConvEncoder(
        config.encoder_features,
        config.encoder_dense,
        (spec.num_classes,),
        batch_norm=True,
        head_batch_norm=True,  # keeps all labels in use
        head_scale=config.head_scale,
        **shared,
    )
    deterministic = Decoder(config.decoder.hidden, spec.image_shape, **shared)
    return Networks(
        Network("encoder", encoder),
        _decoder(config, spec, "location_invariant", Network("decoder", deterministic)),
        make_discriminator(config),
        priors.categorical(spec.num_classes),
    )


def _decoder(
    config: ml_collections.ConfigDict, spec: DataSpec, conditioning: str, deterministic: Network
) -> Network | None:
    decoder = config.decoder
    if decoder.name != "pixelcnn":
        return deterministic if decoder.name == "deterministic" else None
    head = make_head(
        decoder.head, spec.image_shape[-1], spec.num_levels, num_levels=decoder.num_levels
    )
    pixelcnn = PixelCNN(head, decoder.num_blocks, decoder.features, conditioning=conditioning)
    return Network("decoder", pixelcnn)


def _check_labels(config: ml_collections.ConfigDict, spec: DataSpec) -> None:
    if spec.second_shape is not None:
        raise UserError(
            "the data have images as their second domain, and model.second_domain is 'labels': "
            "leave data.domains empty, or set it to 'images'"
        )
    if spec.num_classes < 2:
        raise UserError(
            f"a mapping to labels needs at least 2 classes, and the data have {spec.num_classes}"
        )
    if config.head_scale <= 0:
        raise UserError(f"model.head_scale is {config.head_scale}; it must be positive")


def _check_images(config: ml_collections.ConfigDict, spec: DataSpec) -> None:
    if spec.second_shape is None:
        raise UserError(
            "a mapping to images needs a second domain of images: set data.domains, or give "
            "DataSpec(second_shape=...)"
        )
    if tuple(spec.second_shape) != tuple(spec.image_shape):
        first, second = (" x ".join(map(str, s)) for s in (spec.image_shape, spec.second_shape))
        raise UserError(
            f"the images of the two domains are {first} and {second}: give them one shape"
        )
    if spec.labelled:
        raise UserError(
            "labels are no pairs of images: set data.labelled_batch_size to 0, or "
            "model.second_domain to 'labels'"
        )
    check_generator(spec.image_shape, **config.generator)
    check_choice("model.image_discriminator.logits", config.image_discriminator.logits, LOGITS)
    if not config.image_discriminator.features:
        raise UserError(
            "model.image_discriminator.features is empty: give it at least one convolution"
        )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are (y [b, k],), probabilities of labels, which
    ``classify`` gives too, or (y [b, h, w, c],), images of the second domain.

    Raises:
        UserError: as ``networks``.
    """
    own = with_parts(networks(config, spec, axis_name), parts)
    encoder, discriminator, prior = own.encoder, own.discriminator, own.prior
    decoder: Any = own.decoder
    autoregressive = config.decoder.name == "pixelcnn"
    pixelcnn: Any = decoder.module if autoregressive else None
    if autoregressive and not isinstance(pixelcnn, PixelCNN):
        raise UserError("part 'decoder' must be a PixelCNN where model.decoder.name is 'pixelcnn'")

    rates = make_optimizers(config, spec, optimizers)
    autoencoder = ("encoder", "decoder")
    reconstruction = Phase(
        "reconstruction", autoencoder, rates["reconstruction"], commits=autoencoder
    )
    discrimination = Phase(
        "discriminator", ("discriminator",), rates["discriminator"], commits=("discriminator",)
    )
    generation = Phase(
        "generator", ("encoder",), rates["generator"], commits=() if decoder else ("encoder",)
    )
    classification = Phase("classification", ("encoder",), rates["classification"])
    phases = (
        *((reconstruction,) if decoder else ()),
        discrimination,
        generation,
        *((classification,) if spec.labelled else ()),
    )

    def second_domain(outputs):
        """What the encoder puts out as an element of the second domain."""
        return outputs if prior is None else jax.nn.softmax(outputs[0])

    def given(images):
        """What of the image the decoder sees beside F(x): of a PixelCNN its levels, else nothing,
        and the levels."""
        if not autoregressive:
            return (), None
        levels = quantize(images, pixelcnn.head.num_levels)
        return (to_images(levels, pixelcnn.head.num_levels),), levels

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images = jnp.zeros((1, *spec.image_shape))
        y = images if prior is None else jnp.zeros((1, prior.dim))
        networks = {encoder: (images,), discriminator: (y,)}
        if decoder:
            networks[decoder] = (*given(images)[0], y)
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images`` and, unless the second domain is labels,
        ``batch.second_images``, which are no pairs, and with paired examples on
        ``batch.labelled_images``. Losses in nats, but for half the squared error of a deterministic
        decoder."""
        keys = step_keys(key, axis_name)
        x, num = batch.images, batch.images.shape[0]
        y = batch.second_images if prior is None else prior(keys("prior"), num)
        noisy = corrupt(keys("input noise"), x, config.input_noise)
        pixels, levels = given(x)

        def mapped(params, stats):
            """ŷ = F(x)."""
            outputs, stats = encoder(params, stats, noisy)
            return second_domain(outputs), stats

        def reconstruction_loss(params, stats):
            y_hat, stats = mapped(params, stats)
            outputs, stats = decoder(params, stats, *pixels, y_hat)
            if autoregressive:
                return -log_likelihood(pixelcnn.head, outputs, levels).mean(), stats
            return half_squared_error(outputs, x).mean(), stats

        def told_apart(params, stats, phase):
            """The logits of y and of ŷ."""
            y_hat, stats = mapped(params, stats)
            noise = keys(f"{phase} discriminator noise")
            return real_and_fake(
                discriminator, params, stats, (y,), (y_hat,), one_batch=True, key=noise
            )

        def discriminator_objective(params, stats):
            d_real, d_fake, stats = told_apart(params, stats, "its own")
            return discriminator_loss(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            _, d_fake, stats = told_apart(params, stats, "generator")
            return generator_loss(d_fake).mean(), stats

        def classification_loss(params, stats):
            """F(x) = y on the paired examples."""
            labelled = corrupt(
                keys("labelled input noise"), batch.labelled_images, config.input_noise
            )
            (logits,), stats = encoder(params, stats, labelled)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            return losses.mean(), stats

        moves = [(discrimination, discriminator_objective), (generation, generator_objective)]
        if decoder:
            moves.insert(0, (reconstruction, reconstruction_loss))
        if spec.labelled:
            moves.append((classification, classification_loss))
        return play(state, *moves, axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(F(x),): with a key under the noise on F's input, without one that is zero."""
        if key is not None:
            images = corrupt(key, images, config.input_noise)
        return (second_domain(encoder.evaluate(state.params, state.batch_stats, images)),)

    def classify(state: State, images: jax.Array) -> jax.Array:
        """The probabilities of labels [b, k]."""
        return encode(state, images)[0]

    def log_prob(state: State, images: jax.Array, y: jax.Array) -> jax.Array:
        """log p(x | y) in nats [b], of the images quantised to the head's levels."""
        pixels, levels = given(images)
        outputs = decoder.evaluate(state.params, state.batch_stats, *pixels, y)
        return log_likelihood(pixelcnn.head, outputs, levels)

    def draw(state: State, y: jax.Array, key: jax.Array) -> jax.Array:
        """Elements of the second domain -> images [b, h, w, c], a draw from p(x | y)."""
        shape = (y.shape[0], *spec.image_shape)
        levels = sample_levels(pixelcnn, state.params["decoder"], key, shape, y)
        return to_images(levels, pixelcnn.head.num_levels)

    def reconstruct(state: State, y: jax.Array) -> jax.Array:
        """Elements of the second domain -> images [b, h, w, c]."""
        return decoder.evaluate(state.params, state.batch_stats, y)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """The cost of the image's reconstruction [b, 1]: -log p(x | F(x)) in nats, or half the
        squared error, summed over pixels."""
        (y,) = encode(state, images)
        if autoregressive:
            return -log_prob(state, images, y)[:, None]
        return half_squared_error(reconstruct(state, y), images)[:, None]

    def discriminate(state: State, y: jax.Array) -> jax.Array:
        """Logits [b] of "is of the second domain", of images the mean over patches."""
        logits = discriminator.evaluate(state.params, state.batch_stats, y)
        return logits.reshape(y.shape[0], -1).mean(axis=1)

    return Method(
        init,
        train_step,
        classify=None if prior is None else classify,
        encode=encode,
        decode=draw if autoregressive else reconstruct if decoder else None,
        evaluate=evaluate if decoder else None,
        log_prob=log_prob if autoregressive else None,
        discriminate=discriminate,
    )
