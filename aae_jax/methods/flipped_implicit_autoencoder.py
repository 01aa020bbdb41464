"""The flipped implicit autoencoder (Implicit Autoencoders, section 4, figure 10): a generator
x = g(z, n) of codes from the prior, a recognition network ẑ = f(x, ε) of what it generates, both
implicit distributions, and two GANs that minimise KL(p(x, z) || q(x, z)) (equation 13).

Phases on every mini-batch: adversarial regularization (a discriminator of images against x, then
the generator), and adversarial reconstruction (a discriminator of (x, z) against (x, ẑ), then
generator and recognition network). In the place of the second, ``reconstruction`` "likelihood" has
the InfoGAN that the paper compares with: -log q(z | x) of an explicit posterior (equation 11).
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
    gaussian_noise,
    make_optimizers,
    noise_rise,
    with_parts,
)
from aae_jax.networks import Discriminator, Network, corrupt
from aae_jax.networks.common import check_choice, init_networks, initializer, zeros_of
from aae_jax.networks.dcgan import (
    BATCH_NORMS,
    CONDITIONINGS,
    HEAD_BATCH_NORMS,
    DcganDecoder,
    DcganEncoder,
    ImageTrunk,
    PairDiscriminator,
    check_discriminator,
    check_image_shape,
    check_output,
)
from aae_jax.objectives import discriminator_loss, generator_loss
from aae_jax.optimizers import adam, scale_network

# Of an explicit posterior: where it is without a bound, one code far off is an infinite loss.
LEAST_STD = 0.01


def default_config() -> ml_collections.ConfigDict:
    """A categorical code on MNIST (section 4.1) with table 1's networks. Which networks the paper
    has here, optimizers, rates and noise: paper silent."""
    return ml_collections.ConfigDict(
        {
            "prior": "categorical",  # or "gaussian"
            "num_categories": 0,  # of a categorical code; 0: the number of classes
            "code_dim": 15,  # of a Gaussian code
            "prior_std": 1.0,
            "generator_noise_dim": 10,  # of n ~ N(0, I); 0: deterministic
            "recognition_noise_dim": 20,  # of ε ~ N(0, I); 0: deterministic
            # Between these fractions of the run the std of ε rises from 0 to 1; (0, 0): it is 1
            # from the start, with which f can draw codes from ε alone, and g forget z.
            "recognition_noise_rise": (0.0, 0.0),
            "generator_noise_rise": (0.0, 0.0),  # the same of n, which z must do without at first
            "input_noise": 0.0,  # std, on what the recognition network sees while training
            "reconstruction": "adversarial",  # or "likelihood", the InfoGAN's
            # Which pairs the reconstruction GAN back-propagates through: "negative" or "both". With
            # n beside z, the generator's cost of "negative" does not contain z.
            "backpropagate": "negative",
            "generator_rate": 1.0,  # of the generator's steps in the reconstruction phase, times
            "generator": {
                "dense": (1024,),
                "features": (128, 64),
                "kernel_size": 4,
                "batch_norm": "after_relu",
                "output": "sigmoid",  # or "tanh", "linear": by the range of the data
            },
            "recognition": {
                "features": (64, 128),
                "dense": (1024,),
                "kernel_size": 4,
                "batch_norm": "after_relu",
                "head_batch_norm": "",
                # True: it stands on what lies beneath the image discriminator's logit, as InfoGAN's
                # Q, and trains it too; "features" must then be (), and that discriminator is an
                # InfoGAN's: leaky ReLUs, no batch norm in the first layer.
                "shares_trunk": False,
            },
            "discriminator": {  # of images
                "features": (64, 128),
                "dense": (1024,),
                "kernel_size": 4,
                "batch_norm": "after_relu",
                "one_batch": True,
                "noise": 0.0,  # std, on the images and between the layers; the paper has none
            },
            "reconstruction_discriminator": {  # of pairs
                "features": (64, 128),
                "dense": (1024,),
                "kernel_size": 4,
                "batch_norm": "after_relu",
                "one_batch": True,
                "conditioning": "location_invariant",  # or "location_dependent", "dense"
                "noise": 0.0,
                # std, on the codes: without it one-hot codes of the prior are told from a
                # softmax's by their hardness alone, whatever the image.
                "code_noise": 0.0,
            },
            "init": "he_normal",
            "optimizers": {
                "regularization_discriminator": adam(0.0002, 0.5),
                "regularization": adam(0.0002, 0.5),
                "reconstruction_discriminator": adam(0.0002, 0.5),
                "reconstruction": adam(0.0002, 0.5),
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
    """Generator (code, n), recognition network (images, ε), the discriminators of images and of
    pairs, the codes' prior, and the trunk (images to features) that takes the place of images for
    recognition network and discriminator of images, where they share one."""

    generator: Network
    recognition: Network
    discriminator: Network
    reconstruction_discriminator: Network
    prior: priors.Prior
    trunk: Network | None


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, a code or noise of a size that it
            cannot have, a noise that rises over a run of unknown length, an output of another
            range than the data's, convolutions that do not fit the images, a conditioning without
            the layers that it is of, batch norm under which a discriminator cannot learn,
            convolutions of a recognition network that shares a trunk, or labelled batches.
    """
    if spec.labelled:
        raise UserError(
            "the flipped implicit autoencoder has no use for labels: set data.labelled_batch_size "
            "to 0"
        )
    initializer(config.init)
    check_choice("model.prior", config.prior, ("gaussian", "categorical"))
    check_choice("model.reconstruction", config.reconstruction, ("adversarial", "likelihood"))
    check_choice("model.backpropagate", config.backpropagate, ("negative", "both"))
    check_choice(
        "model.recognition.head_batch_norm", config.recognition.head_batch_norm, HEAD_BATCH_NORMS
    )
    check_choice(
        "model.reconstruction_discriminator.conditioning",
        config.reconstruction_discriminator.conditioning,
        CONDITIONINGS,
    )
    check_output("model.generator.output", config.generator.output, spec.scaling)
    for name in ("generator", "recognition", "discriminator", "reconstruction_discriminator"):
        settings = config[name]
        check_choice(f"model.{name}.batch_norm", settings.batch_norm, BATCH_NORMS)
        check_image_shape(spec.image_shape, settings.features, f"model.{name}.features")
    check_discriminator("model.discriminator", config.discriminator)
    check_discriminator("model.reconstruction_discriminator", config.reconstruction_discriminator)
    shares = config.recognition.shares_trunk
    if shares and config.recognition.features:
        raise UserError(
            "a recognition network that shares a trunk has no convolutions of its own: set "
            "model.recognition.features to () where model.recognition.shares_trunk is True"
        )
    for name in ("generator_noise_dim", "recognition_noise_dim"):
        if config[name] < 0:
            raise UserError(
                f"model.{name} is {config[name]}; it must be at least 0, and 0 is deterministic"
            )
    _check_noise(config, spec)
    prior = code_prior(config, spec)
    shared = {"weight_init": config.init, "axis_name": axis_name}
    # An explicit posterior of a Gaussian code has means and log standard deviations.
    explicit = config.reconstruction == "likelihood" and config.prior == "gaussian"
    outputs = 2 * prior.dim if explicit else prior.dim

    def own(settings, *others):
        return {k: v for k, v in settings.items() if k not in others} | shared

    def discriminator(settings):
        return PairDiscriminator(**own(settings, "one_batch"))

    return Networks(
        Network(
            "generator",
            DcganDecoder(image_shape=spec.image_shape, **config.generator, **shared),
        ),
        Network(
            "recognition", DcganEncoder(code_dim=outputs, **own(config.recognition, "shares_trunk"))
        ),
        Network(
            "discriminator",
            Discriminator((), config.init) if shares else discriminator(config.discriminator),
        ),
        Network("reconstruction_discriminator", discriminator(config.reconstruction_discriminator)),
        prior,
        Network("trunk", ImageTrunk(**own(config.discriminator, "one_batch"))) if shares else None,
    )


def _check_noise(config: ml_collections.ConfigDict, spec: DataSpec) -> None:
    for name in ("generator_noise_rise", "recognition_noise_rise"):
        noise_rise(config[name], spec, name)
    if config.reconstruction == "likelihood" and config.recognition_noise_dim:
        raise UserError(
            "an explicit posterior has no noise vector: set model.recognition_noise_dim to 0 where "
            "model.reconstruction is 'likelihood'"
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
    generator, recognition, discriminator, reconstruction_discriminator, prior, trunk = with_parts(
        networks(config, spec, axis_name), parts
    )
    of_trunk = ("trunk",) if trunk else ()
    categorical, adversarial = config.prior == "categorical", config.reconstruction == "adversarial"

    rates = make_optimizers(config, spec, optimizers)
    regularization_game = Phase(
        "regularization_discriminator",
        ("discriminator", *of_trunk),
        rates["regularization_discriminator"],
        commits=("discriminator", *of_trunk),
    )
    regularization = Phase(
        "regularization", ("generator",), rates["regularization"], commits=("generator",)
    )
    reconstruction_game = Phase(
        "reconstruction_discriminator",
        ("reconstruction_discriminator",),
        rates["reconstruction_discriminator"],
        commits=("reconstruction_discriminator",),
    )
    reconstruction = Phase(
        "reconstruction",
        ("generator", "recognition", *of_trunk),
        optax.chain(rates["reconstruction"], scale_network("generator", config.generator_rate)),
        commits=("recognition",),
    )
    phases = (
        regularization_game,
        regularization,
        *((reconstruction_game,) if adversarial else ()),
        reconstruction,
    )

    std_of_n = noise_rise(config.generator_noise_rise, spec, "generator_noise_rise")
    std_of_epsilon = noise_rise(config.recognition_noise_rise, spec, "recognition_noise_rise")

    def posterior(outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and standard deviation [b, d] of an explicit Gaussian."""
        mean, log_std = jnp.split(outputs, 2, axis=-1)
        return mean, jnp.exp(log_std) + LEAST_STD

    def code_of(outputs: jax.Array) -> jax.Array:
        if categorical:
            return jax.nn.softmax(outputs)
        return outputs if adversarial else posterior(outputs)[0]

    def log_posterior(outputs: jax.Array, z: jax.Array) -> jax.Array:
        """log q(z | x) [b] of the explicit posterior, in nats: of a category, or of a factorised
        Gaussian."""
        if categorical:
            return (z * jax.nn.log_softmax(outputs)).sum(axis=-1)
        return jax.scipy.stats.norm.logpdf(z, *posterior(outputs)).sum(axis=-1)

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images, z = jnp.zeros((1, *spec.image_shape)), jnp.zeros((1, prior.dim))
        seen = images
        networks: dict[Network, tuple[Any, ...]] = {}
        if trunk:
            networks[trunk] = (images,)
            seen = zeros_of(trunk, key, images)
        networks |= {
            generator: (z, *gaussian_noise(None, 1, config.generator_noise_dim)),
            recognition: (seen, *gaussian_noise(None, 1, config.recognition_noise_dim)),
            discriminator: (seen,),
            **({reconstruction_discriminator: (images, z)} if adversarial else {}),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images``: the regularization GAN, then reconstruction of codes from
        the prior, each game its discriminator first. Losses in nats."""
        keys = step_keys(key, axis_name)
        num = batch.images.shape[0]
        z = prior(keys("prior"), num)

        def noise(name, dim, std):
            draws = gaussian_noise(keys(name), num, dim)
            return tuple(std(state.step) * draw for draw in draws)

        n = noise("generator noise", config.generator_noise_dim, std_of_n)
        epsilon = noise("recognition noise", config.recognition_noise_dim, std_of_epsilon)

        def both(network, params, stats, real, fake, phase):
            """What a network makes of real and of generated images."""
            return real_and_fake(
                network,
                params,
                stats,
                (real,),
                (fake,),
                one_batch=config.discriminator.one_batch,
                key=keys(f"{phase}discriminator noise"),
            )

        def discriminate(params, stats, phase):
            """Its logits of real and of generated images."""
            x, stats = generator(params, stats, z, *n)
            real, fake = batch.images, x
            if trunk:
                real, fake, stats = both(trunk, params, stats, real, fake, phase)
            return both(discriminator, params, stats, real, fake, phase)

        def regularization_discriminator_loss(params, stats):
            d_real, d_fake, stats = discriminate(params, stats, "")
            return discriminator_loss(d_real, d_fake).mean(), stats

        def regularization_loss(params, stats):
            _, d_fake, stats = discriminate(params, stats, "regularization ")
            return generator_loss(d_fake).mean(), stats

        def recognise(params, stats, phase):
            """x = g(z, n), and what the recognition network says of it."""
            x, stats = generator(params, stats, z, *n)
            seen = corrupt(keys("input noise"), x, config.input_noise)
            if trunk:
                _, seen, stats = both(trunk, params, stats, batch.images, seen, f"{phase} image ")
            outputs, stats = recognition(params, stats, seen, *epsilon)
            return x, outputs, stats

        def discriminate_pairs(params, stats, phase):
            """The logits of (x, z) and of (x, ẑ)."""
            x, outputs, stats = recognise(params, stats, phase)
            # As in the implicit autoencoder (appendix B.1): the positive pair is a constant.
            negative_alone = config.backpropagate == "negative"
            target = jax.lax.stop_gradient(x) if negative_alone else x
            return real_and_fake(
                reconstruction_discriminator,
                params,
                stats,
                (target, z),
                (x, code_of(outputs)),
                one_batch=config.reconstruction_discriminator.one_batch,
                key=keys(f"{phase} pair discriminator noise"),
            )

        def reconstruction_discriminator_loss(params, stats):
            d_real, d_fake, stats = discriminate_pairs(params, stats, "its own")
            return discriminator_loss(d_real, d_fake).mean(), stats

        def adversarial_loss(params, stats):
            d_real, d_fake, stats = discriminate_pairs(params, stats, "reconstruction")
            loss = generator_loss(d_fake)
            if config.backpropagate == "both":
                loss += generator_loss(-d_real)  # that the positive pair be taken for negative
            return loss.mean(), stats

        def likelihood_loss(params, stats):
            _, outputs, stats = recognise(params, stats, "reconstruction")
            return -log_posterior(outputs, z).mean(), stats

        moves = [
            (regularization_game, regularization_discriminator_loss),
            (regularization, regularization_loss),
        ]
        if adversarial:
            moves += [
                (reconstruction_game, reconstruction_discriminator_loss),
                (reconstruction, adversarial_loss),
            ]
        else:
            moves.append((reconstruction, likelihood_loss))
        return play(state, *moves, axis_name=axis_name)

    def seen(state: State, images: jax.Array) -> jax.Array:
        """What recognition network and discriminator see: the images, or the trunk's features."""
        return trunk.evaluate(state.params, state.batch_stats, images) if trunk else images

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(z [b, d],): with a key a draw from q(z | x), by ε or from the explicit Gaussian; without
        one ε is zero and the Gaussian's mean is taken."""
        num, dim = images.shape[0], config.recognition_noise_dim
        epsilon = gaussian_noise(key, num, dim)
        outputs = recognition.evaluate(
            state.params, state.batch_stats, seen(state, images), *epsilon
        )
        if key is not None and not categorical and not adversarial:
            mean, std = posterior(outputs)
            return (mean + std * jax.random.normal(key, mean.shape),)
        return (code_of(outputs),)

    def classify(state: State, images: jax.Array) -> jax.Array:
        """The softmax code [b, k] of real images, ε zero: probabilities of clusters."""
        return encode(state, images)[0]

    def decode(state: State, z: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Codes [b, d] -> images [b, h, w, c]: with a key a draw from p(x | z) by n, the same n
        under the same key; without one n is zero."""
        num, dim = z.shape[0], config.generator_noise_dim
        n = gaussian_noise(key, num, dim)
        return generator.evaluate(state.params, state.batch_stats, z, *n)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Squared error of g(f(x, 0), 0), mean over pixels, [b, 1]."""
        errors = jnp.square(decode(state, *encode(state, images)) - images)
        return errors.reshape(images.shape[0], -1).mean(axis=1, keepdims=True)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of codes from the prior."""
        prior_key, noise_key = jax.random.split(key)
        return decode(state, prior(prior_key, num), noise_key)

    def discriminate(state: State, images: jax.Array) -> jax.Array:
        """Logits [b] of "is real"."""
        return discriminator.evaluate(state.params, state.batch_stats, seen(state, images))

    return Method(
        init,
        train_step,
        classify=classify if categorical else None,
        encode=encode,
        decode=decode,
        sample=sample,
        evaluate=evaluate,
        discriminate=discriminate,
    )
