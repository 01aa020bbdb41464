"""The common base of all experiment configs; each config states only its differences."""

import difflib
from collections.abc import Iterable

import ml_collections

from aae_jax import methods, training
from aae_jax.errors import UserError

PROFILES = ("paper", "fast", "smoke")


def parse_argument(experiment: str, argument: str, rows: Iterable[str]) -> tuple[str, str]:
    """("mnist_100", "fast") from "mnist_100,fast".

    Raises:
        UserError: for an unknown row or profile; the message lists the known ones.
    """
    row, _, profile = argument.partition(",")
    rows = tuple(rows)
    if row not in rows:
        near = difflib.get_close_matches(row, rows, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"{experiment} has no row {row!r}{hint}: its rows are {', '.join(rows)}")
    if profile not in PROFILES:
        raise UserError(f"no profile {profile!r}: the profiles are {', '.join(PROFILES)}")
    return row, profile


def base(experiment: str, row: str, profile: str, method: str) -> ml_collections.ConfigDict:
    """Names, the paper's settings of ``method`` under ``model``, and the shared sections."""
    config = ml_collections.ConfigDict(
        {"experiment": experiment, "row": row, "profile": profile, "method": method}
    )
    config.model = methods.default_config(method)
    config.update(training.default_config())
    return config


def on_digits(config: ml_collections.ConfigDict) -> None:
    """Shrink an AAE or its baseline to scikit-learn's 8x8 digits: seconds instead of hours."""
    config.data.name = "digits"
    config.data.batch_size = 50
    config.model.hidden = (200, 200)
    config.model.init = "lecun_normal"
    if "discriminator_hidden" in config.model:
        config.model.discriminator_hidden = (100, 100)
    if "style_dim" in config.model:
        config.model.style_dim = 4  # with more, the style says everything about an 8x8 image
    if "encoder_batch_norm" in config.model:
        config.model.encoder_batch_norm = "all"
    if config.model.optimizers.get("reconstruction", {}).get("name") == "sgd":
        config.model.optimizers.reconstruction.learning_rate = 0.05
    config.model.schedule.name = "constant"
    config.train.log_every = 24
    config.train.evaluate_every = 5
