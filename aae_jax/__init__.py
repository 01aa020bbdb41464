"""The adversarial-autoencoder family in JAX/Flax: pure functions, one ``train_step`` per paper.

The submodules load on first use, so ``import aae_jax`` stays cheap and pulls in neither
TensorFlow, tfds, matplotlib nor orbax::

    from aae_jax import methods
    method = methods.build("semi_supervised_aae", spec=methods.DataSpec((28, 28, 1), 10))
    method, state = aae_jax.load("label_informed_aae/mixture")  # or a run's directory
"""

import importlib

from aae_jax.core import Batch, Phase, State, play, play_together
from aae_jax.errors import UserError
from aae_jax.version import __version__

__all__ = ["Batch", "Phase", "State", "UserError", "__version__", "load", "play", "play_together"]

_SUBMODULES = (
    "core",
    "data",
    "errors",
    "evaluators",
    "methods",
    "metrics",
    "networks",
    "objectives",
    "optimizers",
    "plots",
    "priors",
    "program",
    "published",
    "training",
    "zoo",
)


def __getattr__(name: str):
    if name == "load":
        return importlib.import_module("aae_jax.zoo").load
    if name in _SUBMODULES:
        return importlib.import_module(f"aae_jax.{name}")
    raise AttributeError(f"module 'aae_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])
