"""The implicit autoencoder (Implicit Autoencoders, section 2, figure 1): an encoder ẑ = f(x, ε) and
a decoder x̂ = g(ẑ, n), both implicit distributions, and two GANs in the place of the two costs of a
variational bound.

Phases on every mini-batch: adversarial reconstruction (a discriminator of (x, ẑ) against (x̂, ẑ),
then encoder and decoder), adversarial regularization (a discriminator of z ~ p(z) against ẑ, then
the encoder), and with labels classification (the encoder).

The four cases of section 2: a deterministic decoder has ``decoder_noise_dim`` 0, and without
regularization cost ``regularized`` is false.
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
    code_prior,
    encoder_gate,
    gaussian_noise,
    make_discriminator,
    make_optimizers,
    noise_rise,
    with_parts,
)
from aae_jax.networks import Network, corrupt
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.networks.dcgan import (
    BATCH_NORMS,
    CONDITIONINGS,
    HEAD_BATCH_NORMS,
    DcganDecoder,
    DcganEncoder,
    PairDiscriminator,
    check_discriminator,
    check_image_shape,
    check_output,
)
from aae_jax.objectives import discriminator_loss, generator_loss
from aae_jax.optimizers import adam, scale_network, sgd


def default_config() -> ml_collections.ConfigDict:
    """Table 1, with the code and the noise of figure 2c (MNIST). Optimizers, rates, noise and the
    code's distribution in numbers: paper silent."""
    return ml_collections.ConfigDict(
        {
            "prior": "gaussian",  # or "categorical", relaxed to a softmax (section 2.1.2)
            "code_dim": 10,  # of a Gaussian code
            "prior_std": 1.0,  # paper silent
            "num_categories": 0,  # of a categorical code; 0: the number of classes
            "regularized": True,  # False: no regularization cost (cases 1 and 3)
            "decoder_noise_dim": 100,  # of n ~ N(0, I); 0: deterministic (cases 1 and 2)
            # Between these fractions of the run the std of n rises from 0 to 1; (0, 0): it is 1
            # from the start, and the decoder can draw any partition of the images.
            "decoder_noise_rise": (0.0, 0.0),
            "encoder_noise_dim": 0,  # of ε ~ N(0, I); 0: deterministic
            "input_noise": 0.0,  # std, on the encoder's images while training; the paper has none
            # Which pairs the reconstruction GAN back-propagates through: "negative", or "both"
            # (appendix B.1: less stable).
            "backpropagate": "negative",
            # The reconstruction GAN trains the decoder alone over this first fraction of the run.
            "decoder_alone": 0.0,
            "encoder_rate": 1.0,  # of the encoder's steps in adversarial reconstruction, times
            "encoder": {
                "features": (),
                "dense": (2000, 2000),
                "kernel_size": 4,
                "batch_norm": "",
                "head_batch_norm": "free",
                "head_scale": 3.0,  # of a "shared" or "fixed" one
            },
            "decoder": {
                "dense": (1024,),
                "features": (128, 64),
                "kernel_size": 4,
                "batch_norm": "after_relu",
                "output": "sigmoid",  # or "tanh", "linear": by the range of the data
            },
            "reconstruction_discriminator": {
                "features": (64, 128),
                "dense": (1024,),
                "kernel_size": 4,
                "batch_norm": "after_relu",
                # Real and fake pairs as one batch or as two; paper silent, but with its batch
                # norm before the last layer two could never learn.
                "one_batch": True,
                "conditioning": "location_dependent",  # or "location_invariant", "dense"
                "noise": 0.0,  # std, on the images and between the layers; the paper has none
            },
            "discriminator_hidden": (2000, 2000),  # of the regularization GAN
            "init": "he_normal",  # paper silent
            "optimizers": {
                "reconstruction_discriminator": adam(0.0002, 0.5),
                "reconstruction": adam(0.0002, 0.5),
                "regularization_discriminator": adam(0.0002, 0.5),
                "regularization": adam(0.0002, 0.5),
                "classification": sgd(0.1, 0.9),
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
    """Encoder (images, ε), decoder (code, n), the discriminators of pairs and of codes, and the
    codes' prior."""

    encoder: Network
    decoder: Network
    reconstruction_discriminator: Network
    regularization_discriminator: Network
    prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, a code or noise of a size that it
            cannot have, an output of another range than the data's, convolutions that do not fit
            the images, a conditioning without the layers that it is of, batch norm under which the
            discriminator cannot learn, or labelled batches with another number of categories than
            classes.
    """
    encoder, decoder = config.encoder, config.decoder
    pairs = config.reconstruction_discriminator
    initializer(config.init)
    check_choice("model.backpropagate", config.backpropagate, ("negative", "both"))
    check_output("model.decoder.output", decoder.output, spec.scaling)
    check_choice("model.encoder.head_batch_norm", encoder.head_batch_norm, HEAD_BATCH_NORMS)
    check_choice(
        "model.reconstruction_discriminator.conditioning", pairs.conditioning, CONDITIONINGS
    )
    for name, settings in (
        ("encoder", encoder),
        ("decoder", decoder),
        ("reconstruction_discriminator", pairs),
    ):
        check_choice(f"model.{name}.batch_norm", settings.batch_norm, BATCH_NORMS)
        check_image_shape(spec.image_shape, settings.features, f"model.{name}.features")
    for name in ("decoder_noise_dim", "encoder_noise_dim"):
        if config[name] < 0:
            raise UserError(
                f"model.{name} is {config[name]}; it must be at least 0, and 0 is deterministic"
            )
    check_discriminator("model.reconstruction_discriminator", pairs)
    prior = code_prior(config, spec)
    shared = {"weight_init": config.init, "axis_name": axis_name}
    return Networks(
        Network("encoder", DcganEncoder(code_dim=prior.dim, **encoder, **shared)),
        Network("decoder", DcganDecoder(image_shape=spec.image_shape, **decoder, **shared)),
        Network(
            "reconstruction_discriminator",
            PairDiscriminator(**{k: v for k, v in pairs.items() if k != "one_batch"}, **shared),
        ),
        make_discriminator(config, "regularization_discriminator"),
        prior,
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are (z [b, d],): for a categorical prior the softmax
    probabilities, which ``classify`` gives too.

    Raises:
        UserError: as ``networks``.
    """
    encoder, decoder, reconstruction_discriminator, regularization_discriminator, prior = (
        with_parts(networks(config, spec, axis_name), parts)
    )
    categorical = config.prior == "categorical"

    rates = make_optimizers(config, spec, optimizers)
    autoencoder = ("encoder", "decoder")
    reconstruction_game = Phase(
        "reconstruction_discriminator",
        ("reconstruction_discriminator",),
        rates["reconstruction_discriminator"],
        commits=("reconstruction_discriminator",),
    )
    reconstruction = Phase(
        "reconstruction",
        autoencoder,
        optax.chain(rates["reconstruction"], scale_network("encoder", config.encoder_rate)),
        commits=autoencoder,
    )
    regularization_game = Phase(
        "regularization_discriminator",
        ("regularization_discriminator",),
        rates["regularization_discriminator"],
    )
    regularization = Phase("regularization", ("encoder",), rates["regularization"])
    classification = Phase("classification", ("encoder",), rates["classification"])
    phases = (
        reconstruction_game,
        reconstruction,
        *((regularization_game, regularization) if config.regularized else ()),
        *((classification,) if spec.labelled else ()),
    )

    held = encoder_gate(config, spec)
    std_of_n = noise_rise(config.decoder_noise_rise, spec, "decoder_noise_rise")

    def code_of(outputs: jax.Array) -> jax.Array:
        return jax.nn.softmax(outputs) if categorical else outputs

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images, z = jnp.zeros((1, *spec.image_shape)), jnp.zeros((1, prior.dim))
        networks = {
            encoder: (images, *gaussian_noise(None, 1, config.encoder_noise_dim)),
            decoder: (z, *gaussian_noise(None, 1, config.decoder_noise_dim)),
            reconstruction_discriminator: (images, z),
            regularization_discriminator: (z,),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update: the reconstruction GAN and the regularization GAN on ``batch.images``, each
        its discriminator first, and, if there are labels, classification on
        ``batch.labelled_images``. Losses in nats."""
        keys = step_keys(key, axis_name)
        x, num = batch.images, batch.images.shape[0]
        noisy = corrupt(keys("input noise"), x, config.input_noise)
        epsilon = gaussian_noise(keys("encoder noise"), num, config.encoder_noise_dim)
        draws = gaussian_noise(keys("decoder noise"), num, config.decoder_noise_dim)
        n = tuple(std_of_n(state.step) * draw for draw in draws)
        z = prior(keys("prior"), num)

        def posterior(params, stats):
            """ẑ = f(x, ε)."""
            outputs, stats = encoder(params, stats, noisy, *epsilon)
            return code_of(outputs), stats

        # Encoder, decoder and their noise do not change between the two phases of a game, so the
        # compiler runs their forward pass once for both.
        def discriminate_pairs(params, stats, phase):
            """The logits of (x, ẑ) and of (x̂, ẑ), x̂ = g(ẑ, n)."""
            z_hat, stats = posterior(params, stats)
            z_hat = held(z_hat, state.step)
            x_hat, stats = decoder(params, stats, z_hat, *n)
            # The positive pair's code is a constant: "a more stable target" (appendix B.1).
            negative_alone = config.backpropagate == "negative"
            target = jax.lax.stop_gradient(z_hat) if negative_alone else z_hat
            return real_and_fake(
                reconstruction_discriminator,
                params,
                stats,
                (x, target),
                (x_hat, z_hat),
                one_batch=config.reconstruction_discriminator.one_batch,
                key=keys(f"{phase} discriminator noise"),
            )

        def reconstruction_discriminator_loss(params, stats):
            d_real, d_fake, stats = discriminate_pairs(params, stats, "its own")
            return discriminator_loss(d_real, d_fake).mean(), stats

        def reconstruction_loss(params, stats):
            d_real, d_fake, stats = discriminate_pairs(params, stats, "reconstruction")
            loss = generator_loss(d_fake)
            if config.backpropagate == "both":
                loss += generator_loss(-d_real)  # that the positive pair be taken for negative
            return loss.mean(), stats

        def regularization_discriminator_loss(params, stats):
            z_hat, stats = posterior(params, stats)
            d_real, d_fake, stats = real_and_fake(
                regularization_discriminator, params, stats, (z,), (z_hat,), one_batch=True
            )
            return discriminator_loss(d_real, d_fake).mean(), stats

        def regularization_loss(params, stats):
            z_hat, stats = posterior(params, stats)
            d_fake, stats = regularization_discriminator(params, stats, z_hat)
            return generator_loss(d_fake).mean(), stats

        def classification_loss(params, stats):
            labelled = corrupt(
                keys("labelled input noise"), batch.labelled_images, config.input_noise
            )
            epsilon = gaussian_noise(
                keys("labelled encoder noise"), len(labelled), config.encoder_noise_dim
            )
            logits, stats = encoder(params, stats, labelled, *epsilon)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            return losses.mean(), stats

        moves = [
            (reconstruction_game, reconstruction_discriminator_loss),
            (reconstruction, reconstruction_loss),
        ]
        if config.regularized:
            moves += [
                (regularization_game, regularization_discriminator_loss),
                (regularization, regularization_loss),
            ]
        if spec.labelled:
            moves.append((classification, classification_loss))
        return play(state, *moves, axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(z [b, d],): with a key a draw from q(z | x) by ε; without one ε is zero."""
        num, dim = images.shape[0], config.encoder_noise_dim
        epsilon = gaussian_noise(key, num, dim)
        outputs = encoder.evaluate(state.params, state.batch_stats, images, *epsilon)
        return (code_of(outputs),)

    def classify(state: State, images: jax.Array) -> jax.Array:
        """The softmax code [b, k]: probabilities of classes, or of clusters."""
        return encode(state, images)[0]

    def decode(state: State, z: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Codes [b, d] -> images [b, h, w, c]: with a key a draw from p(x | z) by n, the same n
        under the same key; without one n is zero."""
        num, dim = z.shape[0], config.decoder_noise_dim
        n = gaussian_noise(key, num, dim)
        return decoder.evaluate(state.params, state.batch_stats, z, *n)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Squared error of the reconstruction with ε and n zero, mean over pixels, [b, 1]."""
        errors = jnp.square(decode(state, *encode(state, images)) - images)
        return errors.reshape(images.shape[0], -1).mean(axis=1, keepdims=True)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of codes from the prior."""
        prior_key, noise_key = jax.random.split(key)
        return decode(state, prior(prior_key, num), noise_key)

    def discriminate(state: State, z: jax.Array) -> jax.Array:
        """Logits [b] of "drawn from the prior" for codes [b, d]."""
        return regularization_discriminator.evaluate(state.params, state.batch_stats, z)

    return Method(
        init,
        train_step,
        classify=classify if categorical else None,
        encode=encode,
        decode=decode,
        # Without regularization codes follow no distribution that one could draw from (case 3).
        sample=sample if config.regularized else None,
        evaluate=evaluate,
        discriminate=discriminate if config.regularized else None,
    )
