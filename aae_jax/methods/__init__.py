"""One file per system of the papers; each builds a Method from a config."""

import difflib

import ml_collections

from aae_jax.errors import UserError
from aae_jax.methods import (
    aae,
    common,
    dimension_reduction_aae,
    gan,
    label_informed_aae,
    pixelgan,
    semi_supervised_aae,
    supervised_aae,
    supervised_mlp,
    vae,
)
from aae_jax.methods.common import DataSpec, Method

METHODS = {
    "aae": (common.aae_config, aae.build),
    "label_informed_aae": (label_informed_aae.default_config, label_informed_aae.build),
    "supervised_aae": (supervised_aae.default_config, supervised_aae.build),
    "semi_supervised_aae": (common.semi_supervised_config, semi_supervised_aae.build),
    "clustering_aae": (semi_supervised_aae.clustering_config, semi_supervised_aae.build),
    "dimension_reduction_aae": (
        dimension_reduction_aae.default_config,
        dimension_reduction_aae.build,
    ),
    "pixelgan": (pixelgan.default_config, pixelgan.build),
    "vae": (vae.default_config, vae.build),
    "gan": (gan.default_config, gan.build),
    "supervised_mlp": (supervised_mlp.default_config, supervised_mlp.build),
}

__all__ = ["METHODS", "DataSpec", "Method", "build", "default_config"]


def _entry(name: str):
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(METHODS)}"
        raise UserError(f"unknown method {name!r}: {hint}")
    return METHODS[name]


def default_config(name: str) -> ml_collections.ConfigDict:
    """The settings of a method: the paper's where it gives them, ours where it is silent (for
    PixelGAN and the plain GAN nearly all).

    Raises:
        UserError: for an unknown method.
    """
    return _entry(name)[0]()


def build(
    name: str,
    config: ml_collections.ConfigDict | None = None,
    *,
    spec: DataSpec,
    axis_name: str | None = None,
) -> Method:
    """Build a method by name.

    Args:
        name: a key of ``METHODS``.
        config: its settings; ``default_config(name)`` where left out.
        spec: what the method has to know of the data and the length of the run.
        axis_name: the data axis of an enclosing ``pmap`` or ``shard_map``.

    Raises:
        UserError: for an unknown method or a setting that it cannot have.
    """
    default, builder = _entry(name)
    return builder(config or default(), spec, axis_name)
