"""What a method is, a handful of pure functions, and what more than one method is made of."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State
from aae_jax.errors import UserError
from aae_jax.networks import Decoder, Discriminator, Encoder, Network
from aae_jax.networks.common import check_choice, initializer
from aae_jax.networks.dcgan import BATCH_NORMS, OUTPUTS, check_image_shape
from aae_jax.networks.text import TEXT_ENCODERS, TextEncoder
from aae_jax.optimizers import optimizer, schedule, sgd
from aae_jax.priors import Prior


class DataSpec(NamedTuple):
    """What a method has to know of the data and the length of the run.

    Attributes:
        image_shape: (h, w, c).
        num_classes: number of label classes; 0 where there are none.
        updates_per_epoch: updates in one pass over the unlabelled set. ``None``: not known, and
            schedules that count epochs stay constant.
        epochs: length of the run, for schedules that span it. ``None``: not known, and those stay
            constant too.
        labelled: whether batches carry labelled images. ``None``: if the method is made for them
            ("semi_supervised_aae" is, "clustering_aae" is not).
        num_levels: grey levels of a pixel.
        scaling: how pixels were scaled: "unit" ([0, 1]), "symmetric" ([-1, 1]) or
            "standardised" (per pixel).
        second_shape: (h, w, c) of a second domain's images; ``None`` where there is none.
        caption_length: words of the longest sentence; 0 where images have no captions.
        vocabulary_size: words that there are, the 0 that fills sentences up among them.
        num_images: training images. ``None``: not known.
    """

    image_shape: tuple[int, ...]
    num_classes: int = 0
    updates_per_epoch: int | None = None
    epochs: int | None = None
    labelled: bool | None = None
    num_levels: int = 256
    scaling: str = "unit"
    second_shape: tuple[int, ...] | None = None
    caption_length: int = 0
    vocabulary_size: int = 0
    num_images: int | None = None


class Method(NamedTuple):
    """A system as pure functions; what it does not have is ``None``.

    Attributes:
        init: key -> State.
        train_step: (State, Batch, key) -> (State, metrics): one update, all its phases.
        classify: (State, images [b, h, w, c]) -> class or cluster probabilities [b, k].
        encode: (State, images, key=None) -> the codes, a tuple of [b, d]: draws from a
            probabilistic posterior where a key is given, its mean otherwise.
        decode: ``(State, *codes)`` -> images [b, h, w, c]; where the decoder is a distribution, a
            draw from it, and a key follows the codes.
        sample: (State, key, num) -> images [num, h, w, c] from the prior.
        evaluate: (State, images) -> [b, m], what is followed during training where there are no
            classes: the cost of reconstruction, for instance.
        embed: ``(State, *codes)`` -> the representation [b, n] that the codes make up.
        log_prob: ``(State, images, *codes)`` -> log p(x | z), nats [b].
        discriminate: ``(State, *codes)`` -> the adversary's logits [b] of "from the prior", a tuple
            of them where each code has an adversary of its own; for a GAN (State, images) -> those
            of "is real". ``None`` where there is no trained adversary.
        complete: (State, images, given_rows, codes, key) -> images whose first rows are given.
        axis_name: the data axis of ``pmap`` or ``shard_map`` that the train step averages over.
        check: Batch -> None; raises a UserError that says what is wrong with a batch. The train
            step asks it too, where under ``jit`` it sees shapes and types but no values.
        own: names of the parts and optimizers of one's own that it was built with.
        features: (State, images) -> a hidden layer of the discriminator, or of a classifier, flat,
            [b, n].
        encode_text: (State, captions int [b, t]) -> embeddings [b, d] of sentences.
    """

    init: Callable[[jax.Array], State]
    train_step: Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
    classify: Callable[[State, jax.Array], jax.Array] | None = None
    encode: Callable[..., tuple[jax.Array, ...]] | None = None
    decode: Callable[..., jax.Array] | None = None
    sample: Callable[[State, jax.Array, int], jax.Array] | None = None
    evaluate: Callable[[State, jax.Array], jax.Array] | None = None
    embed: Callable[..., jax.Array] | None = None
    log_prob: Callable[..., jax.Array] | None = None
    discriminate: Callable[..., Any] | None = None
    complete: Callable[..., jax.Array] | None = None
    axis_name: str | None = None
    check: Callable[[Batch], None] | None = None
    own: tuple[str, ...] = ()
    features: Callable[[State, jax.Array], jax.Array] | None = None
    encode_text: Callable[[State, jax.Array], jax.Array] | None = None

    def pmapped(self) -> Callable[..., tuple[State, Metrics]]:
        """The train step under ``jax.pmap``: (states [devices, ...], batches [devices, b, ...], one
        key for all) -> the same, the states staying copies of one another.

        Raises:
            UserError: the method was built without ``axis_name``; every device would train a
                model of its own.
        """
        if self.axis_name is None:
            raise UserError(
                "this method was built without axis_name, so its copies would drift apart: write "
                'methods.build(..., axis_name="data")'
            )
        return jax.pmap(self.train_step, axis_name=self.axis_name, in_axes=(0, 0, None))


def check_batch(batch: Batch, spec: DataSpec) -> None:
    """Refuse a batch that the train step would turn into an obscure error or into NaN.

    Values are looked at only where there are any, which is not so under ``jit``.

    Raises:
        UserError: images that are no floats, out of the range that ``spec.scaling`` names, or of
            another shape; labels missing, of another number, no integers or out of range; no
            images of the second domain where there is one; captions that do not fit likewise.
    """
    pairs = [("images", batch.images, spec.image_shape)]
    if spec.labelled:
        if batch.labelled_images is None or batch.labels is None:
            raise UserError(
                "this method was built for labelled batches and got none: give "
                "Batch(images, labelled_images, labels), or build with DataSpec(labelled=False)"
            )
        pairs.append(("labelled_images", batch.labelled_images, spec.image_shape))
    if spec.second_shape is not None:
        if batch.second_images is None:
            raise UserError(
                "this method was built for two domains and got images of one: give "
                "Batch(images, second_images=...)"
            )
        pairs.append(("second_images", batch.second_images, spec.second_shape))
    for name, images, shape in pairs:
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise UserError(
                f"Batch.{name} are {images.dtype}: scale them to floats in [0, 1] (divide uint8 "
                "by 255)"
            )
        if tuple(images.shape[1:]) != tuple(shape):
            raise UserError(
                f"Batch.{name} have shape {tuple(images.shape)}: the method was built for "
                f"[b, {', '.join(map(str, shape))}]"
            )
        lowest = {"unit": 0.0, "symmetric": -1.0}.get(spec.scaling)
        if lowest is not None and not isinstance(images, jax.core.Tracer) and images.size:
            low, high = np.asarray(images).min(), np.asarray(images).max()
            if low < lowest - 1e-4 or high > 1.0 + 1e-4:
                raise UserError(
                    f"Batch.{name} lie in [{low:.4g}, {high:.4g}]: scale them to "
                    f"[{lowest:.0f}, 1], or build with DataSpec(scaling=...)"
                )
    if spec.caption_length:
        _check_captions(batch, spec)
    if not spec.labelled:
        return
    labels = batch.labels
    num = batch.labelled_images.shape[0]
    if labels.shape != (num,) or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise UserError(
            f"Batch.labels have shape {tuple(labels.shape)} and type {labels.dtype}: give {num} "
            "integers, one for each labelled image"
        )
    if not isinstance(labels, jax.core.Tracer) and labels.size:
        low, high = np.asarray(labels).min(), np.asarray(labels).max()
        if low < 0 or high >= spec.num_classes:
            raise UserError(
                f"Batch.labels lie in {low}..{high}: classes are 0..{spec.num_classes - 1}"
            )


def _check_captions(batch: Batch, spec: DataSpec) -> None:
    num = batch.images.shape[0]
    for name, words, shape in (
        ("captions", batch.captions, (num, spec.caption_length)),
        ("caption_classes", batch.caption_classes, (num,)),
    ):
        if words is None:
            raise UserError(
                f"this method was built for captions and got no Batch.{name}: give them, or build "
                "with DataSpec(caption_length=0)"
            )
        if tuple(words.shape) != shape or not jnp.issubdtype(words.dtype, jnp.integer):
            raise UserError(
                f"Batch.{name} have shape {tuple(words.shape)} and type {words.dtype}: give "
                f"integers of shape {shape}"
            )
    captions = batch.captions
    if not isinstance(captions, jax.core.Tracer) and captions.size:
        low, high = np.asarray(captions).min(), np.asarray(captions).max()
        if low < 0 or high >= spec.vocabulary_size:
            raise UserError(
                f"Batch.captions lie in {low}..{high}: words are 0..{spec.vocabulary_size - 1}"
            )


N = TypeVar("N", bound=tuple)


def with_parts(networks: N, parts: Mapping[str, Any] | None) -> N:
    """``networks`` with parts of one's own: a linen module in the place of a network's, or a
    ``Prior``, by the names of the tuple's fields.

    Raises:
        UserError: a name that the method has not, or not with these settings, or a prior of
            another dimension.
    """
    fields: dict[str, Any] = networks._asdict()  # type: ignore[attr-defined]
    for name, part in (parts or {}).items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(fields)}"
            raise UserError(f"the method has no part {name!r}: {hint}")
        own = fields[name]
        if isinstance(own, Network):
            fields[name] = Network(name, part)
        elif own is None:
            raise UserError(f"with these settings the method has no part {name!r} to replace")
        elif isinstance(own, Prior) and getattr(part, "dim", None) != own.dim:
            raise UserError(
                f"part {name!r} must be a Prior of the code's {own.dim} dimensions (the config "
                f"says how many), and has {getattr(part, 'dim', 'none')}"
            )
        else:
            fields[name] = part
    return type(networks)(**fields)


def updates_of(fraction: float, spec: DataSpec, what: str) -> int:
    """The updates in this fraction of the run.

    Raises:
        UserError: if the run's length, which ``what`` needs, is not known.
    """
    if spec.updates_per_epoch is None or spec.epochs is None:
        raise UserError(
            f"{what} needs the length of the run: give DataSpec updates_per_epoch and epochs"
        )
    return int(fraction * spec.updates_per_epoch * spec.epochs)


def noise_rise(fractions: Sequence[float], spec: DataSpec, name: str) -> optax.Schedule:
    """The standard deviation of a noise vector, as a share of its own, by the update: it rises from
    0 to 1 between two fractions of the run; (0, 0): it is 1 from the start.

    Args:
        fractions: the setting's value.
        spec: of the run.
        name: of the setting, for messages.

    Raises:
        UserError: other than two fractions in their order, or a run of unknown length.
    """
    if len(fractions) != 2 or fractions[0] > fractions[1]:
        raise UserError(
            f"model.{name} is {tuple(fractions)}: give the two fractions of the run between which "
            "the noise rises, the lower first"
        )
    start, end = fractions
    if not end:
        return optax.constant_schedule(1.0)
    what = f"a noise that rises (model.{name})"
    length = max(1, updates_of(end - start, spec, what))
    return optax.linear_schedule(0.0, 1.0, length, updates_of(start, spec, what))


def encoder_gate(
    config: ml_collections.ConfigDict, spec: DataSpec
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """What codes [b, d] go through on their way to the decoder, at a step: over the first
    ``config.decoder_alone`` of the run they pass no gradient to the encoder.

    Raises:
        UserError: if there is such a fraction and the run's length is not known.
    """
    if not config.decoder_alone:
        return lambda z, step: z
    alone = updates_of(config.decoder_alone, spec, "model.decoder_alone")
    return lambda z, step: jnp.where(step < alone, jax.lax.stop_gradient(z), z)


def make_optimizers(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    own: Mapping[str, optax.GradientTransformation] | None = None,
) -> dict[str, optax.GradientTransformation]:
    """Every phase's optimizer by name: one's own, or that of ``config.optimizers``, its rate
    following ``config.schedule``.

    Raises:
        UserError: for a setting that cannot be, or one's own for a phase that there is not.
    """
    factor = schedule(config.schedule, spec.updates_per_epoch, spec.epochs)
    made = {name: optimizer(settings, factor) for name, settings in config.optimizers.items()}
    for name, chain in (own or {}).items():
        if name not in made:
            raise UserError(f"no phase {name!r} to give an optimizer: there are {', '.join(made)}")
        made[name] = chain
    return made


def make_encoder(config: Any, heads: tuple[int, ...], axis_name: str | None) -> Network:
    """The fully connected encoder of a config's ``hidden``, ``init``, ``encoder_batch_norm`` and,
    if it has it, ``hidden_noise``.

    Raises:
        UserError: for a setting that is none of its choices.
    """
    initializer(config.init)
    check_choice("model.encoder_batch_norm", config.encoder_batch_norm, ("", "hidden", "all"))
    module = Encoder(
        hidden=config.hidden,
        heads=heads,
        batch_norm=config.encoder_batch_norm,
        hidden_noise=config.get("hidden_noise", 0.0),
        weight_init=config.init,
        axis_name=axis_name,
    )
    return Network("encoder", module)


def make_decoder(
    config: Any, spec: DataSpec, axis_name: str | None, *, output: str = "", name: str = "decoder"
) -> Network:
    """The fully connected decoder of a config's ``hidden``, ``init``, ``decoder_batch_norm`` and
    ``output`` (unless one is given).

    Raises:
        UserError: for a setting that is none of its choices.
    """
    initializer(config.init)
    check_choice("model.output", config.output, ("sigmoid", "linear"))
    module = Decoder(
        hidden=config.hidden,
        image_shape=spec.image_shape,
        output=output or config.output,
        batch_norm=config.decoder_batch_norm,
        weight_init=config.init,
        axis_name=axis_name,
    )
    return Network(name, module)


def check_convolutions(spec: DataSpec, generator: Any, discriminator: Any) -> None:
    """Refuse a generator (``DcganDecoder``) and a discriminator (``ImageTrunk``) that do not fit
    the images.

    Args:
        spec: of the data.
        generator: the settings of ``model.generator``, with ``features``, ``batch_norm`` and
            ``output``.
        discriminator: of ``model.discriminator``, with ``features``, ``dense``,
            ``batch_norm``, ``leak`` and ``one_batch``.

    Raises:
        UserError: for an output of another range than the data's, convolutions that do not fit,
            a discriminator without layers or that cannot learn, or a setting that is none of its
            choices.
    """
    for name, settings in (("generator", generator), ("discriminator", discriminator)):
        check_choice(f"model.{name}.batch_norm", settings.batch_norm, BATCH_NORMS)
        check_image_shape(spec.image_shape, settings.features, f"model.{name}.features")
    check_choice("model.generator.output", generator.output, tuple(OUTPUTS))
    fitting = {"unit": "sigmoid", "symmetric": "tanh"}.get(spec.scaling, "linear")
    if generator.output not in (fitting, "linear"):
        raise UserError(
            f"model.generator.output is {generator.output!r}, which does not end where the data "
            f"lie under data.scaling {spec.scaling!r}: set it to {fitting!r}"
        )
    if not discriminator.features and not discriminator.dense:
        raise UserError("model.discriminator has no layers: give it features or dense")
    if not 0.0 <= discriminator.leak < 1.0:
        raise UserError(
            f"model.discriminator.leak is {discriminator.leak}; it must be at least 0 and below 1"
        )
    if discriminator.batch_norm == "after_relu" and not discriminator.one_batch:
        raise UserError(
            "batch norm directly before the discriminator's last layer gives real and fake images "
            "one mean logit where they are normalised apart: set model.discriminator.one_batch to "
            "true, or its batch_norm to 'before_relu'"
        )


def check_critic_steps(steps: int) -> None:
    """Refuse a number of the discriminator's steps that cannot be.

    Raises:
        UserError: fewer than one.
    """
    if steps < 1:
        raise UserError(
            f"model.critic_steps is {steps}; the discriminator takes at least 1 step an update"
        )


def cut(images: jax.Array, parts: int) -> list[jax.Array]:
    """An update's images as equal minibatches, one for each step of the discriminator.

    Raises:
        UserError: they do not divide.
    """
    if images.shape[0] % parts:
        raise UserError(
            f"a batch of {images.shape[0]} images does not divide into the {parts} minibatches of "
            "model.critic_steps: change data.batch_size"
        )
    return jnp.split(images, parts) if parts > 1 else [images]


def make_discriminator(config: Any, name: str = "discriminator") -> Network:
    """The fully connected discriminator of a config's ``discriminator_hidden`` and ``init``."""
    return Network(name, Discriminator(config.discriminator_hidden, config.init))


def make_text_encoder(config: Any, spec: DataSpec, standardised: bool = False) -> Network:
    """The encoder of sentences of a config's ``text``, its embeddings standardised or as a joint
    embedding trains them.

    Raises:
        UserError: for a setting that it cannot have, or data without captions.
    """
    if not spec.caption_length:
        raise UserError(
            "this method needs images with captions: choose captioned_digits, flowers or birds, or "
            "build with DataSpec(caption_length=..., vocabulary_size=...)"
        )
    check_choice("model.text.kind", config.text.kind, TEXT_ENCODERS)
    for name in ("width", "dim"):
        if config.text[name] < 1:
            raise UserError(f"model.text.{name} is {config.text[name]}; it must be at least 1")
    encoder = TextEncoder(spec.vocabulary_size, **config.text, standardised=standardised)
    return Network("text_encoder", encoder)


def with_text_encoder(method: Method, params: Mapping[str, Any]) -> Method:
    """The method, starting from a trained text encoder.

    Args:
        method: of captions, built with a text encoder of its own.
        params: ``state.params["text_encoder"]`` of a joint embedding on the same captions.

    Raises:
        UserError: the text encoder is of another form.
    """
    own = jax.eval_shape(method.init, jax.random.key(0)).params["text_encoder"]
    shapes = [
        [(jax.tree_util.keystr(path), np.shape(leaf)) for path, leaf in leaves]
        for leaves in map(jax.tree_util.tree_leaves_with_path, (own, dict(params)))
    ]
    if shapes[0] != shapes[1]:
        raise UserError(
            "the trained text encoder is of another form than model.text and the vocabulary ask "
            "for: train one on these captions with the same model.text"
        )

    def init(key: jax.Array) -> State:
        """A state at step 0, its text encoder trained; otherwise a function of the key."""
        state = method.init(key)
        trained = jax.tree.map(jnp.asarray, dict(params))
        return state._replace(params={**state.params, "text_encoder": trained})

    return method._replace(init=init)


def gaussian_noise(key: jax.Array | None, num: int, dim: int) -> tuple[jax.Array, ...]:
    """The noise vector of an implicit distribution, as a network's further inputs: (N(0, I)
    [num, dim],), zero without a key, and () where it has no dimensions."""
    if not dim:
        return ()
    return (jnp.zeros((num, dim)) if key is None else jax.random.normal(key, (num, dim)),)


def code_prior(config: ml_collections.ConfigDict, spec: DataSpec) -> Prior:
    """The prior of a config's ``prior``, "gaussian" of ``code_dim`` and ``prior_std`` or
    "categorical" of ``num_categories`` (0: the number of classes).

    Raises:
        UserError: for another name, a size or deviation that is not positive, or labelled batches
            with another number of categories than classes.
    """
    check_choice("model.prior", config.prior, ("gaussian", "categorical"))
    categorical = config.prior == "categorical"
    name = "num_categories" if categorical else "code_dim"
    size = (config[name] or spec.num_classes) if categorical else config[name]
    if spec.labelled and not (categorical and size == spec.num_classes):
        raise UserError(
            f"labels need a categorical code with one category for each of the {spec.num_classes} "
            f"classes, not a {config.prior} one of {size}: set model.num_categories to 0 or "
            "data.labelled_batch_size to 0"
        )
    if size < 1:
        raise UserError(f"model.{name} is {size}; it must be at least 1")
    if config.prior_std <= 0:
        raise UserError(f"model.prior_std is {config.prior_std}; it must be positive")
    return priors.categorical(size) if categorical else priors.gaussian(size, config.prior_std)


def autoencoder_phases(
    optimizers: Mapping[str, optax.GradientTransformation],
) -> tuple[Phase, Phase, Phase]:
    """The phases of an autoencoder with one adversary on its code (AAE, section 2): reconstruction,
    which commits batch-norm statistics, then discriminator and generator."""
    autoencoder = ("encoder", "decoder")
    return (
        Phase("reconstruction", autoencoder, optimizers["reconstruction"], commits=autoencoder),
        Phase("discriminator", ("discriminator",), optimizers["discriminator"]),
        Phase("generator", ("encoder",), optimizers["generator"]),
    )


def aae_config() -> ml_collections.ConfigDict:
    """The paper's settings for the likelihood of MNIST (A.1), which leave out optimizer and rates:
    those here are A.2.1's."""
    return ml_collections.ConfigDict(
        {
            "hidden": (1000, 1000),  # encoder and decoder
            "discriminator_hidden": (1000, 1000),
            "code_dim": 8,
            "prior": {"name": "gaussian", "std": 5.0},  # or "mixture", "swiss_roll"
            "posterior": "deterministic",  # or "gaussian", "universal"
            "noise_dim": 100,  # of the universal approximator's input noise (paper silent)
            "output": "sigmoid",  # "linear" for standardised data
            "init": "normal_0.01",
            "encoder_batch_norm": "",
            "decoder_batch_norm": False,
            "input_noise": 0.0,
            "input_dropout": 0.0,
            "optimizers": {
                "reconstruction": sgd(0.01, 0.9),
                "discriminator": sgd(0.1, 0.1),
                "generator": sgd(0.1, 0.1),
            },
            "schedule": {
                "name": "steps",
                "epochs": (50, 1000),
                "factor": 0.1,
                "constant_fraction": 0.0,
            },
        }
    )


def semi_supervised_config() -> ml_collections.ConfigDict:
    """The paper's settings for MNIST (A.2.1)."""
    return ml_collections.ConfigDict(
        {
            "hidden": (1000, 1000),  # encoder and decoder
            "discriminator_hidden": (1000, 1000),
            "style_dim": 10,
            "num_categories": 0,  # 0: the number of classes
            "style_std": 1.0,
            "output": "sigmoid",  # "linear or sigmoid"
            "init": "normal_0.01",  # paper silent in A.2; A.1's. Others diverge at these rates
            "encoder_batch_norm": "",  # "": none, "hidden": hidden layers, "all": the heads too
            "decoder_batch_norm": False,  # all layers, the output too
            "input_noise": 0.3,  # std, training time only, like the next two
            "input_dropout": 0.0,
            "hidden_noise": 0.0,  # std, on the encoder's hidden layers; the paper has none
            "optimizers": {
                "reconstruction": sgd(0.01, 0.9),
                "discriminator": sgd(0.1, 0.1),
                "generator": sgd(0.1, 0.1),
                "classification": sgd(0.1, 0.9),
            },
            "schedule": {
                "name": "steps",
                "epochs": (50, 1000),
                "factor": 0.1,
                "constant_fraction": 0.0,  # of a "cosine" schedule
            },
        }
    )


def check_codes(config: ml_collections.ConfigDict, spec: DataSpec) -> int:
    """The number of categories of a config.

    Raises:
        UserError: categories that labels or a distribution cannot have, or a style without
            dimensions or spread.
    """
    num_categories = config.num_categories or spec.num_classes
    least = spec.num_classes if spec.labelled else 1
    if num_categories < least:
        raise UserError(
            f"model.num_categories is {config.num_categories}; it must be at least {least}, or 0 "
            "for the number of classes"
        )
    if config.style_dim < 1 or config.style_std <= 0:
        raise UserError(
            f"model.style_dim ({config.style_dim}) must be at least 1 and model.style_std "
            f"({config.style_std}) positive"
        )
    return num_categories
