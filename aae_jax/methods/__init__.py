"""One file per system of the papers; each builds a Method from a config."""

import difflib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax import domains
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.methods import (
    aae,
    began,
    common,
    conditional_gan,
    cross_domain_pixelgan,
    cycle_implicit_autoencoder,
    dcgan,
    dimension_reduction_aae,
    flipped_implicit_autoencoder,
    gan,
    implicit_autoencoder,
    infogan,
    joint_embedding,
    label_informed_aae,
    learned_prior_aae,
    lsgan,
    pixelgan,
    semi_supervised_aae,
    supervised_aae,
    supervised_mlp,
    text_gan,
    vae,
    vae_gan,
    vamp_prior_vae,
    wgan_gp,
)
from aae_jax.methods.common import DataSpec, Method
from aae_jax.optimizers import adam, rising_sgd, rmsprop


class Entry(NamedTuple):
    """A system: its default settings, how to build it, and whether it is made for labels."""

    default_config: Callable[[], ml_collections.ConfigDict]
    build: Callable[..., Method]
    labelled: bool = False


METHODS = {
    "aae": Entry(common.aae_config, aae.build),
    "label_informed_aae": Entry(
        label_informed_aae.default_config, label_informed_aae.build, labelled=True
    ),
    "supervised_aae": Entry(supervised_aae.default_config, supervised_aae.build, labelled=True),
    "semi_supervised_aae": Entry(
        common.semi_supervised_config, semi_supervised_aae.build, labelled=True
    ),
    "clustering_aae": Entry(semi_supervised_aae.clustering_config, semi_supervised_aae.build),
    "dimension_reduction_aae": Entry(
        dimension_reduction_aae.default_config, dimension_reduction_aae.build, labelled=True
    ),
    "pixelgan": Entry(pixelgan.default_config, pixelgan.build),
    "cross_domain_pixelgan": Entry(
        cross_domain_pixelgan.default_config, cross_domain_pixelgan.build
    ),
    "implicit_autoencoder": Entry(implicit_autoencoder.default_config, implicit_autoencoder.build),
    "flipped_implicit_autoencoder": Entry(
        flipped_implicit_autoencoder.default_config, flipped_implicit_autoencoder.build
    ),
    "cycle_implicit_autoencoder": Entry(
        cycle_implicit_autoencoder.default_config, cycle_implicit_autoencoder.build
    ),
    "vae": Entry(vae.default_config, vae.build),
    "gan": Entry(gan.default_config, gan.build),
    "dcgan": Entry(dcgan.default_config, dcgan.build),
    "conditional_gan": Entry(conditional_gan.default_config, conditional_gan.build, labelled=True),
    "infogan": Entry(infogan.default_config, infogan.build),
    "supervised_mlp": Entry(supervised_mlp.default_config, supervised_mlp.build, labelled=True),
    "vae_gan": Entry(vae_gan.default_config, vae_gan.build),
    "joint_embedding": Entry(joint_embedding.default_config, joint_embedding.build),
    "text_gan": Entry(text_gan.default_config, text_gan.build),
    "began": Entry(began.default_config, began.build),
    "lsgan": Entry(lsgan.default_config, lsgan.build),
    "wgan_gp": Entry(wgan_gp.default_config, wgan_gp.build),
    "vamp_prior_vae": Entry(vamp_prior_vae.default_config, vamp_prior_vae.build),
    "learned_prior_aae": Entry(learned_prior_aae.default_config, learned_prior_aae.build),
}

__all__ = ["METHODS", "DataSpec", "Method", "build", "default_config"]


def _entry(name: str) -> Entry:
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(METHODS)}"
        raise UserError(f"unknown method {name!r}: {hint}")
    return METHODS[name]


def default_config(name: str) -> ml_collections.ConfigDict:
    """The settings of a method: the paper's where it gives them, ours where it is silent (for
    PixelGAN and the plain GAN nearly all). Locked: setting a field that there is not is an error.

    Raises:
        UserError: for an unknown method.
    """
    return _entry(name).default_config().lock()


def build(
    name: str,
    config: ml_collections.ConfigDict | None = None,
    *,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """Build a method by name.

    Args:
        name: a key of ``METHODS``.
        config: its settings; ``default_config(name)`` where left out, and for a field that it does
            not have.
        spec: what the method has to know of the data and the length of the run.
        axis_name: the data axis of an enclosing ``pmap`` or ``shard_map``. Without it copies under
            ``pmap`` train on nothing but their own batch and drift apart, and no error tells:
            ``method.pmapped()`` refuses that.
        parts: parts of one's own by name: a linen module, called as ``module(*inputs,
            train=...)``, in the place of a network ("encoder", "decoder", "discriminator"; the
            ``Networks`` of the method's file name them all), or a ``Prior``.
        optimizers: optax transformations of one's own, by the name of the phase.

    Raises:
        UserError: for an unknown method, field or part, a setting that it cannot have, or parts
            that do not fit together.
    """
    entry = _entry(name)
    spec = spec._replace(labelled=entry.labelled if spec.labelled is None else spec.labelled)
    config = _complete(name, config, entry.default_config())
    domains.check(config, "model.")
    built = entry.build(config, spec, axis_name, parts, optimizers)
    check = functools.partial(common.check_batch, spec=spec)

    @functools.wraps(built.train_step)
    def train_step(state, batch, key):
        check(batch)
        return built.train_step(state, batch, key)

    own = (*(parts or ()), *(optimizers or ()))
    method = built._replace(train_step=train_step, axis_name=axis_name, check=check, own=own)
    if parts or optimizers:
        _try(method, spec)
    return method


def _complete(
    name: str, config: ml_collections.ConfigDict | None, default: ml_collections.ConfigDict
) -> ml_collections.ConfigDict:
    """``config``, its missing fields filled in from ``default``.

    Raises:
        UserError: it has a field that ``default`` has not.
    """
    if config is None:
        return default
    known = dict(_fields(default))
    for phase in default.optimizers:  # which may have any optimizer's settings
        of_any = (*adam(0.0, second_momentum=0.0), *rising_sgd(0.0, 0.0, 0.0, 1), *rmsprop(0.0))
        known |= {f"optimizers.{phase}.{field}": None for field in of_any}
    for field, _ in _fields(config):
        if field not in known:
            near = difflib.get_close_matches(field, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise UserError(f"{name} has no setting {field!r}: {hint}")
    filled = ml_collections.ConfigDict(default)
    with filled.unlocked(), filled.ignore_type():  # an int does where the default is a float
        filled.update(config)
    return filled


def _fields(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            yield from _fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _try(method: Method, spec: DataSpec) -> None:
    """Trace an update without running it.

    Raises:
        UserError: with the first line of what the tracing raised.
    """
    images = jax.ShapeDtypeStruct((4, *spec.image_shape), jnp.float32)
    labels = jax.ShapeDtypeStruct((4,), jnp.int32)
    batch = Batch(images, images, labels) if spec.labelled else Batch(images)
    if spec.second_shape is not None:
        second = jax.ShapeDtypeStruct((4, *spec.second_shape), jnp.float32)
        batch = batch._replace(second_images=second)
    if spec.caption_length:
        words = jax.ShapeDtypeStruct((4, spec.caption_length), jnp.int32)
        batch = batch._replace(captions=words, caption_classes=labels)
    key = jax.random.key(0)
    if method.axis_name is not None:  # an axis that only the enclosing transformation has
        return
    try:
        jax.eval_shape(method.train_step, jax.eval_shape(method.init, key), batch, key)
    except UserError:
        raise
    except Exception as error:  # whatever a part of one's own raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"with these parts no update can be traced: {type(error).__name__}: {reason}"
        ) from error
