"""InfoGAN (Chen et al. 2016; the survey's equations 7 to 15): a GAN whose noise has a part c, the
code, which a recognition network Q finds again in the generated image.

Phases on every mini-batch: the discriminator with Q, then the generator; -λ L_I, Q's cost of the
code, is part of both, so that it trains Q, the trunk that Q shares with the discriminator, and the
generator. With ``informed`` false it trains Q alone: a regular GAN (the slide's panel b), of which
the bound L_I is measured without being raised.
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
    noise_rise,
    with_parts,
)
from aae_jax.networks import Discriminator, Network
from aae_jax.networks.common import init_networks, initializer, zeros_of
from aae_jax.networks.dcgan import DcganDecoder, ImageTrunk, Recognition
from aae_jax.objectives import (
    categorical_information,
    discriminator_loss,
    generator_loss,
    uniform_information,
)
from aae_jax.optimizers import adam
from aae_jax.priors import categorical, uniform


def default_config() -> ml_collections.ConfigDict:
    """The settings for MNIST: a digit's Cat(10), two uniform codes, 62 dimensions of noise."""
    return ml_collections.ConfigDict(
        {
            "num_categories": 10,  # of the categorical code; 0: none
            "num_continuous": 2,  # codes uniform in (-1, 1); 0: none
            "noise_dim": 62,  # uniform in (-1, 1)
            # Between these fractions of the run the noise rises from 0 to its range; (0, 0): it has
            # it from the start, and the codes may be spent on what is easy to read.
            "noise_rise": (0.0, 0.0),
            "informed": True,  # False: Q's cost trains Q alone
            "weight": 1.0,  # λ of the categorical code
            "continuous_weight": 1.0,  # λ of the continuous ones
            "continuous_std": 1.0,  # of Q's Gaussian, fixed
            "generator": {
                "dense": (1024,),
                "features": (128, 64),
                "kernel_size": 4,
                "batch_norm": "before_relu",
                "output": "sigmoid",  # or "tanh", "linear": by the range of the data
            },
            "discriminator": {  # Q shares all of it but the logit
                "features": (64, 128),
                "dense": (1024,),
                "kernel_size": 4,
                "batch_norm": "before_relu",
                "leak": 0.1,
                # Real and fake images as one batch or as two; paper silent. As one the generator
                # makes few digits and many ones (docs/notes/gans.md).
                "one_batch": False,
                "noise": 0.0,  # std, on the images and after each layer; the paper has none
            },
            "recognition_hidden": 128,
            "init": "normal_0.02",  # paper silent
            "optimizers": {
                "discriminator": adam(0.0002, 0.5),
                "generator": adam(0.001, 0.5),
            },
            "schedule": {
                "name": "constant",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,
            },
        }
    )


class Networks(NamedTuple):
    """Generator (codes and noise to images), trunk (images to features), discriminator (features
    to a logit) and recognition network Q (features to what it thinks of the codes)."""

    generator: Network
    trunk: Network
    discriminator: Network
    recognition: Network


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, no codes at all, sizes, weights or a
            standard deviation that cannot be, an output of another range than the data's, or
            convolutions that do not fit the images.
    """
    initializer(config.init)
    check_convolutions(spec, config.generator, config.discriminator)
    for name in ("num_categories", "num_continuous", "noise_dim"):
        if config[name] < 0:
            raise UserError(f"model.{name} is {config[name]}; it must be at least 0, 0 is none")
    if config.num_categories == 1 or not (config.num_categories or config.num_continuous):
        raise UserError(
            f"model.num_categories is {config.num_categories} and model.num_continuous "
            f"{config.num_continuous}, which leaves nothing to recognise: give two or more "
            "categories, or a continuous code"
        )
    if min(config.weight, config.continuous_weight) < 0 or config.continuous_std <= 0:
        raise UserError(
            f"model.weight ({config.weight}) and model.continuous_weight "
            f"({config.continuous_weight}) must not be negative, and model.continuous_std "
            f"({config.continuous_std}) must be positive"
        )
    shared = {"weight_init": config.init, "axis_name": axis_name}
    trunk = {k: v for k, v in config.discriminator.items() if k != "one_batch"}
    recognition = Recognition(
        config.recognition_hidden,
        tuple(size for size in (config.num_categories, config.num_continuous) if size),
        batch_norm=config.discriminator.batch_norm,
        leak=config.discriminator.leak,
        **shared,
    )
    return Networks(
        Network(
            "generator", DcganDecoder(image_shape=spec.image_shape, **config.generator, **shared)
        ),
        Network("trunk", ImageTrunk(**trunk, **shared)),
        Network("discriminator", Discriminator((), config.init)),
        Network("recognition", recognition),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are (categories [b, k] one-hot or probabilities,
    continuous codes [b, d]), as far as there are any; ``decode`` takes the noise [b, n] after them.

    Raises:
        UserError: as ``networks``.
    """
    generator, trunk, discriminator, recognition = with_parts(
        networks(config, spec, axis_name), parts
    )
    rates = make_optimizers(config, spec, optimizers)
    range_of_noise = noise_rise(config.noise_rise, spec, "noise_rise")
    of_images = ("trunk", "discriminator", "recognition")
    discrimination = Phase(
        "discriminator", of_images, rates["discriminator"], commits=("trunk", "recognition")
    )
    generation = Phase("generator", ("generator",), rates["generator"], commits=("generator",))

    def draw(key: jax.Array, num: int, noise_range: Any = 1.0) -> tuple[jax.Array, ...]:
        """The codes that there are, and the noise, between minus ``noise_range`` and it."""
        factors = (
            ("category", config.num_categories and categorical(config.num_categories)),
            ("continuous codes", config.num_continuous and uniform(config.num_continuous)),
        )
        codes = tuple(prior(named_key(key, name), num) for name, prior in factors if prior)
        if not config.noise_dim:
            return codes
        return *codes, noise_range * uniform(config.noise_dim)(named_key(key, "noise"), num)

    def information(found: tuple[jax.Array, ...], drawn: tuple[jax.Array, ...]) -> Metrics:
        """The parts of the bound L_I (equation 11), nats, of Q's findings and the codes drawn."""
        heads, codes = list(found), list(drawn)
        parts = {}
        if config.num_categories:
            parts["categorical_information"] = categorical_information(
                heads.pop(0), codes.pop(0)
            ).mean()
        if config.num_continuous:
            parts["continuous_information"] = uniform_information(
                heads.pop(0), codes.pop(0), config.continuous_std
            ).mean()
        return parts

    def weighted(parts: Metrics) -> jax.Array:
        """λ L_I."""
        weights = {
            "categorical_information": config.weight,
            "continuous_information": config.continuous_weight,
        }
        return jnp.asarray(sum(weights[name] * value for name, value in parts.items()))

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images = jnp.zeros((1, *spec.image_shape))
        features = zeros_of(trunk, key, images)
        networks = {
            generator: tuple(map(jnp.zeros_like, draw(key, 1))),
            trunk: (images,),
            discriminator: (features,),
            recognition: (features,),
        }
        return create_state(*init_networks(key, networks), (discrimination, generation))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images``: discriminator and recognition network, then generator,
        on the same codes and noise. Beside the losses, the discriminator's part of its own and
        the parts of L_I, nats."""
        keys = step_keys(key, axis_name)
        x = batch.images
        drawn = draw(keys("codes"), x.shape[0], range_of_noise(state.step))

        # The generator does not change between the two phases, so the compiler runs its forward
        # pass once for both.
        def features(params, stats, phase):
            """What the trunk makes of real and of generated images."""
            fake, stats = generator(params, stats, *drawn)
            return real_and_fake(
                trunk,
                params,
                stats,
                (x,),
                (fake,),
                one_batch=config.discriminator.one_batch,
                key=keys(f"{phase} noise"),
            )

        def discriminator_objective(params, stats):
            real_features, fake_features, stats = features(params, stats, "discriminator")
            d_real, stats = discriminator(params, stats, real_features)
            d_fake, stats = discriminator(params, stats, fake_features)
            if not config.informed:
                fake_features = jax.lax.stop_gradient(fake_features)
            found, stats = recognition(params, stats, fake_features)
            game, parts = discriminator_loss(d_real, d_fake).mean(), information(found, drawn)
            return game - weighted(parts), stats, {"game": game, **parts}

        def generator_objective(params, stats):
            _, fake_features, stats = features(params, stats, "generator")
            d_fake, stats = discriminator(params, stats, fake_features)
            loss = generator_loss(d_fake).mean()
            if config.informed:
                found, stats = recognition(params, stats, fake_features)
                loss -= weighted(information(found, drawn))
            return loss, stats

        return play(
            state,
            (discrimination, discriminator_objective),
            (generation, generator_objective),
            axis_name=axis_name,
        )

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """Q(c | x): (probabilities of the categories [b, k], means of the continuous codes
        [b, d]), as far as there are any; a key changes nothing."""
        features = trunk.evaluate(state.params, state.batch_stats, images)
        found = recognition.evaluate(state.params, state.batch_stats, features)
        if config.num_categories:
            return (jax.nn.softmax(found[0]), *found[1:])
        return found

    def classify(state: State, images: jax.Array) -> jax.Array:
        """Q's probabilities of the categories [b, k]."""
        return encode(state, images)[0]

    def decode(state: State, *codes: jax.Array) -> jax.Array:
        """(categories [b, k], continuous codes [b, d], noise [b, n]), as far as there are any ->
        images [b, h, w, c]."""
        return generator.evaluate(state.params, state.batch_stats, *codes)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of codes and noise from their distributions."""
        return decode(state, *draw(key, num))

    def discriminate(state: State, images: jax.Array) -> jax.Array:
        """Logits [b] of "is real"."""
        features = trunk.evaluate(state.params, state.batch_stats, images)
        return discriminator.evaluate(state.params, state.batch_stats, features)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """-log D(x) in nats [b, 1]: log 2 where the discriminator cannot tell."""
        return jax.nn.softplus(-discriminate(state, images))[:, None]

    return Method(
        init,
        train_step,
        classify=classify if config.num_categories else None,
        encode=encode,
        decode=decode,
        sample=sample,
        evaluate=evaluate,
        discriminate=discriminate,
    )
