"""Adversarial autoencoder with a learned prior (Wang, Peng and Ko 2019, "Learning priors for
adversarial autoencoders", figures 2 to 5, algorithm 1): a code generator CG makes of simple noise
the prior that the encoder's codes are held to.

An update is two phases. In the AAE phase a code discriminator D_C tells codes CG(z) from codes
enc(x) (equations 5 and 8), and encoder and decoder minimise the error of reconstructions in the
last convolution of an image discriminator D_I (equation 6), the encoder the adversary's loss too.
In the prior improvement phase D_I tells images from dec(CG(z)) (equation 4), and code generator and
decoder minimise its loss. Within a phase all losses are computed before its updates, as algorithm 1
has it, or (``together`` false) each network is updated before the next one's loss is computed.

What table 3 takes away are three switches: without ``learned_prior`` (A) z is itself the code, a
plain adversarial autoencoder; without ``perceptual`` (B) the error is that of pixels; without
``decoder_in_both`` (C) the prior improvement phase leaves the decoder alone.

A prior may be conditioned on s (``condition``): on the labels of the images (figure 4, where D_C is
given them too), on categories that nobody is told of (figure 5), or on the embeddings of sentences
(section V, where D_I is given them too). A recognition network Q, a last layer of its own above
D_I's others, then finds s again in dec(CG(z, s)), and its cost (equation 7) is the code generator's
and the decoder's too.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import (
    Batch,
    Loss,
    Metrics,
    Phase,
    State,
    create_state,
    named_key,
    play,
    play_together,
    real_and_fake,
    step_keys,
)
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    make_optimizers,
    make_text_encoder,
    with_parts,
)
from aae_jax.networks import Encoder, Network
from aae_jax.networks.common import check_choice, init_networks, initializer, zeros_of
from aae_jax.networks.dcgan import BATCH_NORMS, ImageDiscriminator, ImageTrunk, check_output
from aae_jax.networks.residual import (
    CodeGenerator,
    PerceptualDiscriminator,
    ResidualDecoder,
    ResidualEncoder,
    check_residual,
)
from aae_jax.objectives import game
from aae_jax.optimizers import adam

CONDITIONS = ("", "labels", "categories", "sentences")
# The phases of an update, those of the AAE phase first, in algorithm 1's order.
AAE_PHASE = ("code_discriminator", "encoder", "decoder")
PRIOR_PHASE = ("image_discriminator", "decoder_game", "code_generator", "recognition")


def default_config() -> ml_collections.ConfigDict:
    """The paper's for CIFAR-10: networks of tables A.1 to A.3, codes of 64. It gives neither λ nor
    optimizers, rates, the noise's size or the initial weights."""
    return ml_collections.ConfigDict(
        {
            "learned_prior": True,  # A
            "perceptual": True,  # B
            # What D_I's batch norm goes by where its features are compared: the moments of images
            # and reconstructions as one "batch", or the "running" ones, and then without D_I's
            # noise. Of the first, once D_I tells both apart, the squared difference saturates, and
            # no slope is left.
            "perceptual_moments": "batch",
            "decoder_in_both": True,  # C
            "together": True,  # algorithm 1; False: each loss at what the update before left
            "condition": "",  # or "labels", "categories", "sentences"
            "num_categories": 0,  # of "categories"; 0: the number of classes
            "code_dim": 64,
            "noise_dim": 64,  # paper silent, but for conditional priors: 54, 90 and 100
            "posterior": "deterministic",  # or "gaussian": re-parameterised (figure 9)
            "weight": 1.0,  # λ, of the decoder's reconstruction; paper silent
            "encoder_weight": 1.0,  # of the encoder's reconstruction
            "information_weight": 1.0,  # of Q's cost; the paper has none
            # Of Q's cost on the images themselves, where there are labels; the paper has none, so
            # that nothing but D_C keeps the labels from changing places among themselves.
            "classification_weight": 0.0,
            # The error's squares, summed over pixels or features (equation 6) or their mean
            # (section IV.C).
            "error": "sum",
            "game": "non_saturating",  # or "minimax", as the equations are written
            "encoder": {"features": (64, 128, 256, 512), "batch_norm": False},
            "decoder": {
                "features": (512, 256, 128, 64),
                "batch_norm": False,
                "output": "tanh",  # or "sigmoid", "linear": by the range of the data
            },
            "image_discriminator": {
                "features": (64, 128, 256),
                "dense": (1000,),
                "kernel_size": 4,
                "batch_norm": "before_relu",  # of all layers but the first
                "leak": 0.2,
                "noise": 0.0,  # std, on the images and after each layer; the paper has none
            },
            "code_discriminator_hidden": (1000, 500, 200),
            "text": {"kind": "recurrent", "width": 512, "dim": 200},
            "init": "he_normal",
            "optimizers": {name: adam(0.0002, 0.5) for name in (*AAE_PHASE, *PRIOR_PHASE)},
            "schedule": {
                "name": "constant",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,  # of a "cosine" schedule
            },
        }
    )


class Networks(NamedTuple):
    """Encoder (images to codes, or to means and log standard deviations, side by side), decoder,
    code generator (noise, s), discriminators of codes (with s where it is a label) and of images
    (with s where it is a sentence; logits, last convolution, last hidden layer), Q (the latter to
    s), sentences to embeddings, and the noise's distribution. A system has those that it trains."""

    encoder: Network
    decoder: Network
    code_generator: Network
    code_discriminator: Network
    image_discriminator: Network
    recognition: Network
    text_encoder: Network | None
    prior: priors.Prior


def condition_dim(config: ml_collections.ConfigDict, spec: DataSpec) -> int:
    """Entries of s; 0 where there is none."""
    return {
        "": 0,
        "labels": spec.num_classes,
        "categories": config.num_categories or spec.num_classes,
        "sentences": config.text.dim,
    }[config.condition]


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, a condition that the data do not
            have, noise that without a code generator is no code, a perceptual loss without a
            convolution to take features of, an output of another range than the data's, or
            convolutions that do not fit the images.
    """
    initializer(config.init)
    check_choice("model.condition", config.condition, CONDITIONS)
    check_choice("model.posterior", config.posterior, ("deterministic", "gaussian"))
    check_choice("model.error", config.error, ("sum", "mean"))
    check_choice("model.perceptual_moments", config.perceptual_moments, ("batch", "running"))
    check_choice("model.game", config.game, ("non_saturating", "minimax"))
    check_choice(
        "model.image_discriminator.batch_norm", config.image_discriminator.batch_norm, BATCH_NORMS
    )
    check_output("model.decoder.output", config.decoder.output, spec.scaling)
    check_residual(spec.image_shape, config.encoder.features, config.decoder.features)
    labels = config.condition == "labels"
    if labels != bool(spec.labelled):
        raise UserError(
            "a prior conditioned on labels needs labelled batches, and no other has a use for "
            f"them: model.condition is {config.condition!r}, set data.labelled_batch_size to "
            f"{'the size of a batch' if labels else 0}"
        )
    size = condition_dim(config, spec)
    if config.condition in ("labels", "categories") and size < 2:
        raise UserError(f"s has {size} values, which says nothing: give two classes or more")
    for name in ("code_dim", "noise_dim"):
        if config[name] < 1:
            raise UserError(f"model.{name} is {config[name]}; it must be at least 1")
    if not config.learned_prior and size + config.noise_dim != config.code_dim:
        what = f"the {size} entries of s and the noise are" if size else "the noise is"
        raise UserError(
            f"without a code generator {what} itself the code, and model.code_dim is "
            f"{config.code_dim}: set model.noise_dim to {config.code_dim - size}"
        )
    if plays(config) and not config.image_discriminator.features:
        raise UserError(
            "the features of the perceptual loss are those of the image discriminator's last "
            "convolution, and it has none: give model.image_discriminator.features, or set "
            "model.perceptual to False"
            if config.perceptual
            else "model.image_discriminator has no convolutions: give it features"
        )
    shared = {"weight_init": config.init, "axis_name": axis_name}
    outputs = (2 if config.posterior == "gaussian" else 1) * config.code_dim
    encoder = ResidualEncoder(
        code_dim=outputs, hidden=2 * config.code_dim, **config.encoder, **shared
    )
    of_codes = ImageTrunk((), config.code_discriminator_hidden, batch_norm="", **shared)
    of_images = ImageTrunk(**config.image_discriminator, **shared)
    return Networks(
        Network("encoder", encoder),
        Network(
            "decoder", ResidualDecoder(image_shape=spec.image_shape, **config.decoder, **shared)
        ),
        Network("code_generator", CodeGenerator(config.code_dim, **shared)),
        Network("code_discriminator", ImageDiscriminator(of_codes)),
        Network("image_discriminator", PerceptualDiscriminator(of_images)),
        Network("recognition", Encoder((), (size,), weight_init=config.init)),
        make_text_encoder(config, spec, standardised=True)
        if config.condition == "sentences"
        else None,
        priors.gaussian(config.noise_dim),
    )


def plays(config: ml_collections.ConfigDict) -> bool:
    """Whether there is a prior improvement phase at all, and so an image discriminator."""
    switches = (config.learned_prior, config.perceptual, config.decoder_in_both)
    return any(switches) or config.condition != ""


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are (z_c [b, code_dim],); ``embed`` makes them of noise
    z [b, noise_dim] and, where the prior has a condition, s: one-hot labels or categories [b, k],
    sentences int [b, t] or their embeddings [b, d].

    Raises:
        UserError: as ``networks``, or for a code generator of one's own whose output is not the
            code's size.
    """
    made = with_parts(networks(config, spec, axis_name), parts)
    encoder, decoder, code_generator = made.encoder, made.decoder, made.code_generator
    code_discriminator, image_discriminator = made.code_discriminator, made.image_discriminator
    recognition, text_encoder, prior = made.recognition, made.text_encoder, made.prior
    rates = make_optimizers(config, spec, optimizers)
    size, labels = condition_dim(config, spec), config.condition == "labels"
    sentences, categories = config.condition == "sentences", config.condition == "categories"
    k = size if labels or categories else 0
    if "code_generator" in (parts or {}):
        _check_code(code_generator, config, prior.dim, size)

    def phase(name: str, *networks: str) -> Phase:
        # Running statistics: the encoder's and the decoder's of the images that they learn from,
        # and of generated codes too where the decoder learns from these.
        return Phase(name, networks, rates[name], commits=networks)

    of_error = "feature" if config.perceptual else "pixel"
    aae_moves = [
        (phase("code_discriminator", "code_discriminator"), {"code_discriminator": 1.0}),
        (phase("encoder", "encoder"), {"encoder_game": 1.0, of_error: config.encoder_weight}),
        (phase("decoder", "decoder"), {of_error: config.weight}),
    ]
    information = {"information": config.information_weight} if config.condition else {}
    game_and_information = {"image_game": 1.0, **information}
    # Q is a layer above those that it shares with D_I: its cost is D_I's too, as θ_Q has them.
    of_q = information | ({"classification": config.classification_weight} if labels else {})
    of_discriminator = {"image_discriminator": 1.0, **of_q}
    prior_moves = [(phase("image_discriminator", "image_discriminator"), of_discriminator)]
    if config.decoder_in_both:
        prior_moves.append((phase("decoder_game", "decoder"), game_and_information))
    if config.learned_prior:
        prior_moves.append((phase("code_generator", "code_generator"), game_and_information))
    if config.condition:
        prior_moves.append((phase("recognition", "recognition"), of_q))
    if not plays(config):
        prior_moves = []

    def errors(found: jax.Array, wanted: jax.Array) -> jax.Array:
        """Equation 6, [b]."""
        squares = jnp.square(found - wanted).reshape(len(found), -1)
        return squares.sum(axis=1) if config.error == "sum" else squares.mean(axis=1)

    def posterior(outputs: jax.Array, key: jax.Array | None) -> jax.Array:
        """enc(x), or a draw from N(mean, std²), its mean without a key."""
        if config.posterior == "deterministic":
            return outputs
        mean, log_std = jnp.split(outputs, 2, axis=-1)
        if key is None:
            return mean
        return mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)

    def conditions(state: State, s: jax.Array) -> jax.Array:
        """s as networks see it: sentences embedded, everything else as it is."""
        if sentences and jnp.issubdtype(s.dtype, jnp.integer):
            assert text_encoder is not None
            return text_encoder.evaluate(state.params, state.batch_stats, s)
        return s

    def drawn_categories(key: jax.Array, num: int) -> tuple[jax.Array, ...]:
        """s as far as it is drawn and not given."""
        return (priors.categorical(k)(key, num),) if categories else ()

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key. Its text encoder is untrained."""
        images, z_c = jnp.zeros((1, *spec.image_shape)), jnp.zeros((1, config.code_dim))
        s = (jnp.zeros((1, size)),) if size else ()
        inputs: dict[Network, tuple[Any, ...]] = {
            encoder: (images,),
            decoder: (z_c,),
            code_discriminator: (jnp.concatenate([z_c, *(s if labels else ())], axis=-1),),
        }
        if config.learned_prior:
            inputs[code_generator] = (jnp.zeros((1, prior.dim)), *s)
        if prior_moves:
            seen = (images, *(s if sentences else ()))
            inputs[image_discriminator] = seen
        if config.condition:
            inputs[recognition] = (zeros_of(image_discriminator, key, *seen)[2],)
        if text_encoder is not None:
            inputs[text_encoder] = (jnp.zeros((1, spec.caption_length), jnp.int32),)
        phases = [phase for phase, _ in (*aae_moves, *prior_moves)]
        return create_state(*init_networks(key, inputs), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update, both phases, on ``batch.images``, or on ``batch.labelled_images`` where the
        prior is conditioned on labels. Losses in nats; errors are squared, ``information`` is
        -log Q(s | dec(CG(z, s))), of embeddings up to a constant, and ``classification`` -log
        Q(s | x)."""
        keys = step_keys(key, axis_name)
        x = batch.labelled_images if labels else batch.images
        given: tuple[jax.Array, ...] = ()
        if labels:
            given = (jax.nn.one_hot(batch.labels, size),)
        if sentences:
            given = (conditions(state, batch.captions),)

        def generated(params, stats, phase):
            """s and z_c, the code that CG makes of noise and s; without CG these themselves."""
            z = prior(keys(f"{phase} noise"), len(x))
            s = given or drawn_categories(keys(f"{phase} categories"), len(x))
            if not config.learned_prior:
                return s, jnp.concatenate([*s, z], axis=-1), stats
            z_c, stats = code_generator(params, stats, z, *s)
            return s, z_c, stats

        def both(fake):
            """What D_I sees of x and of other images, as one batch."""
            told = [jnp.concatenate([s, s]) for s in given if sentences]
            return jnp.concatenate([x, fake]), *told

        def seen(params, stats, fake, phase):
            """What D_I makes of them: pairs of logits, of the last convolution's activations and of
            the last hidden layer's."""
            outputs, stats = image_discriminator(
                params, stats, *both(fake), key=keys(f"{phase} discriminator noise")
            )
            return [jnp.split(output, 2) for output in outputs], stats

        def compared(params, stats, reconstructions):
            """The activations of D_I's last convolution, of x and of its reconstructions."""
            if config.perceptual_moments == "batch":
                (_, features, _), stats = seen(params, stats, reconstructions, "AAE")
                return features, stats
            _, features, _ = image_discriminator.evaluate(params, stats, *both(reconstructions))
            return jnp.split(features, 2), stats

        def aae_losses(params, stats):
            s, z_c, stats = generated(params, stats, "AAE")
            outputs, stats = encoder(params, stats, x)
            z = posterior(outputs, keys("code"))
            told = s if labels else ()
            d_real, d_fake, stats = real_and_fake(
                code_discriminator,
                params,
                stats,
                (jnp.concatenate([z_c, *told], axis=-1),),
                (jnp.concatenate([z, *told], axis=-1),),
                one_batch=True,
            )
            reconstructions, stats = decoder(params, stats, z)
            values = {
                "code_discriminator": game(config.game).discriminator(d_real, d_fake).mean(),
                "encoder_game": game(config.game).generator(d_fake).mean(),
                "pixel": errors(reconstructions, x).mean(),
            }
            if config.perceptual:
                (of_x, of_reconstructions), stats = compared(params, stats, reconstructions)
                values["feature"] = errors(of_reconstructions, of_x).mean()
            return values, stats

        def prior_losses(params, stats):
            s, z_c, stats = generated(params, stats, "prior")
            fake, stats = decoder(params, stats, z_c)
            ((d_real, d_fake), _, (of_x, of_fake)), stats = seen(params, stats, fake, "prior")
            values = {
                "image_discriminator": game(config.game).discriminator(d_real, d_fake).mean(),
                "image_game": game(config.game).generator(d_fake).mean(),
            }
            if config.condition:
                (found,), stats = recognition(params, stats, of_fake)
                if sentences:  # Q(s | x) = N(found, I)
                    costs = 0.5 * jnp.square(found - s[0]).sum(axis=-1)
                else:
                    costs = optax.softmax_cross_entropy(found, s[0])
                values["information"] = costs.mean()
            if labels:
                (found,), stats = recognition(params, stats, of_x)
                values["classification"] = optax.softmax_cross_entropy(found, s[0]).mean()
            return values, stats

        after, metrics = _play_phase(state, aae_losses, aae_moves, config.together, axis_name)
        if prior_moves:
            # One update, whatever its phases: rates of both follow the same step.
            after, of_prior = _play_phase(
                after._replace(step=state.step),
                prior_losses,
                prior_moves,
                config.together,
                axis_name,
            )
            metrics |= of_prior
        return after, metrics

    def embed(state: State, z: jax.Array, *s: jax.Array) -> jax.Array:
        """Noise [b, noise_dim], and s where the prior has a condition -> codes [b, code_dim] from
        the prior: CG(z, s), or without a code generator (s, z)."""
        s = tuple(conditions(state, part) for part in s)
        if not config.learned_prior:
            return jnp.concatenate([*s, z], axis=-1)
        return code_generator.evaluate(state.params, state.batch_stats, z, *s)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(enc(x) [b, code_dim],); re-parameterised, a draw with a key and the mean without."""
        outputs = encoder.evaluate(state.params, state.batch_stats, images)
        return (posterior(outputs, key),)

    def encode_text(state: State, captions: jax.Array) -> jax.Array:
        """The embeddings [b, d] of sentences int [b, t]."""
        return conditions(state, captions)

    def decode(state: State, z_c: jax.Array) -> jax.Array:
        """Codes [b, code_dim] -> images [b, h, w, c]."""
        return decoder.evaluate(state.params, state.batch_stats, z_c)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] decoded from the prior, every label or category equally
        probable."""
        s: tuple[jax.Array, ...] = ()
        if labels or categories:
            s = (priors.categorical(k)(named_key(key, "categories"), num),)
        return decode(state, embed(state, prior(named_key(key, "noise"), num), *s))

    def classify(state: State, images: jax.Array) -> jax.Array:
        """Q's probabilities of the labels or categories [b, k]."""
        top = image_discriminator.evaluate(state.params, state.batch_stats, images)[2]
        (found,) = recognition.evaluate(state.params, state.batch_stats, top)
        return jax.nn.softmax(found)

    def discriminate(state: State, z_c: jax.Array, *s: jax.Array) -> jax.Array:
        """Logits [b] of "from the prior" for codes, and their labels [b, k] where D_C is told."""
        codes = jnp.concatenate([z_c, *s], axis=-1)
        return code_discriminator.evaluate(state.params, state.batch_stats, codes)

    def features(state: State, images: jax.Array) -> jax.Array:
        """The activations of D_I's last convolution, flat, [b, n]."""
        outputs = image_discriminator.evaluate(state.params, state.batch_stats, images)
        return outputs[1].reshape(images.shape[0], -1)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Squared error of the reconstruction from the code (its mean), mean over pixels,
        [b, 1]."""
        squares = jnp.square(decode(state, *encode(state, images)) - images)
        return squares.reshape(images.shape[0], -1).mean(axis=1, keepdims=True)

    return Method(
        init,
        train_step,
        classify=classify if k else None,
        encode=encode,
        decode=decode,
        sample=None if sentences else sample,
        evaluate=evaluate,
        embed=embed,
        discriminate=discriminate,
        features=features if prior_moves and not sentences else None,
        encode_text=encode_text if sentences else None,
    )


def _check_code(
    code_generator: Network, config: ml_collections.ConfigDict, noise_dim: int, size: int
) -> None:
    """Refuse a code generator of one's own that does not make codes.

    Raises:
        UserError: its output is not [b, code_dim].
    """
    inputs = [jnp.zeros((2, dim)) for dim in (noise_dim, size) if dim]
    made = jax.eval_shape(
        lambda: code_generator.module.init_with_output(
            {"params": jax.random.key(0)}, *inputs, train=False
        )[0]
    )
    if getattr(made, "shape", None) != (2, config.code_dim):
        raise UserError(
            f"the code generator makes {getattr(made, 'shape', 'no array')} of two noise vectors, "
            f"and codes are (2, {config.code_dim}): give it model.code_dim outputs"
        )


def _play_phase(
    state: State,
    losses: Loss,
    moves: list[tuple[Phase, dict[str, float]]],
    together: bool,
    axis_name: str | None,
) -> tuple[State, Metrics]:
    """One of the two phases: all losses before all updates, or in turn."""
    if together:
        return play_together(state, losses, *moves, axis_name=axis_name)

    def weighted(weights):
        def loss(params, stats):
            values, stats = losses(params, stats)
            return sum(weight * values[name] for name, weight in weights.items()), stats, values

        return loss

    in_turn = [(phase, weighted(weights)) for phase, weights in moves]
    return play(state, *in_turn, axis_name=axis_name)
