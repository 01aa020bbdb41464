"""What a method is, a handful of pure functions, and what more than one method is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_collections

from aae_jax.core import Batch, Metrics, Phase, State
from aae_jax.errors import UserError
from aae_jax.networks import Decoder, Encoder, Network
from aae_jax.networks.common import check_choice, initializer
from aae_jax.optimizers import optimizer, schedule, sgd


class DataSpec(NamedTuple):
    """What a method has to know of the data and the length of the run.

    Attributes:
        image_shape: (h, w, c).
        num_classes: number of label classes.
        updates_per_epoch: updates in one pass over the unlabelled set.
        epochs: length of the run, for schedules that depend on it.
        labelled: whether batches carry labelled images.
        num_levels: grey levels of a pixel.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    updates_per_epoch: int = 600
    epochs: int = 1
    labelled: bool = True
    num_levels: int = 256


class Method(NamedTuple):
    """A system as pure functions; what it does not have is ``None``.

    Attributes:
        init: key -> State.
        train_step: (State, Batch, key) -> (State, metrics): one update, all its phases.
        classify: (State, images [b, h, w, c]) -> class or cluster probabilities [b, k].
        encode: (State, images, key=None) -> the codes, a tuple of [b, d]: draws from a
            probabilistic posterior where a key is given, its mean otherwise.
        decode: (State, *codes) -> images [b, h, w, c]; where the decoder is a distribution, a
            draw from it, and a key follows the codes.
        sample: (State, key, num) -> images [num, h, w, c] from the prior.
        evaluate: (State, images) -> [b, m], what is followed during training where there are no
            classes: the cost of reconstruction, for instance.
        embed: (State, *codes) -> the representation [b, n] that the codes make up.
        log_prob: (State, images, *codes) -> log p(x | z), nats [b].
        discriminate: (State, codes [b, d]) -> the adversary's logits [b] of "from the prior";
            ``None`` where there is no trained adversary.
        complete: (State, images, given_rows, codes, key) -> images whose first rows are given.
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
    discriminate: Callable[[State, jax.Array], jax.Array] | None = None
    complete: Callable[..., jax.Array] | None = None


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


def autoencoder_phases(config: Any, spec: DataSpec) -> tuple[Phase, Phase, Phase]:
    """The phases of an autoencoder with one adversary on its code (AAE, section 2): reconstruction,
    which commits batch-norm statistics, then discriminator and generator."""
    factor = schedule(config.schedule, spec.updates_per_epoch, spec.epochs)
    rates = config.optimizers
    return (
        Phase(
            "reconstruction",
            ("encoder", "decoder"),
            optimizer(rates.reconstruction, factor),
            commits_batch_stats=True,
        ),
        Phase("discriminator", ("discriminator",), optimizer(rates.discriminator, factor)),
        Phase("generator", ("encoder",), optimizer(rates.generator, factor)),
    )


def phase_key(key: jax.Array, axis_name: str | None) -> jax.Array:
    """The key of a train step; under ``pmap`` every device draws its own noise."""
    return key if axis_name is None else jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def merge(*metrics: dict[str, Any]) -> dict[str, Any]:
    """One dict of the metrics of all phases."""
    return {name: value for part in metrics for name, value in part.items()}


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
