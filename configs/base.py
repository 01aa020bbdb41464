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
    check_row(experiment, row, rows)
    if profile not in PROFILES:
        raise UserError(f"no profile {profile!r}: the profiles are {', '.join(PROFILES)}")
    return row, profile


def check_row(experiment: str, row: str, rows: Iterable[str]) -> None:
    """Refuse a row that an experiment has not.

    Raises:
        UserError: the message lists those that it has.
    """
    rows = tuple(rows)
    if row not in rows:
        near = difflib.get_close_matches(row, rows, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"{experiment} has no row {row!r}{hint}: its rows are {', '.join(rows)}")


def base(experiment: str, row: str, profile: str, method: str) -> ml_collections.ConfigDict:
    """Names, the paper's settings of ``method`` under ``model``, and the shared sections."""
    config = ml_collections.ConfigDict(
        {"experiment": experiment, "row": row, "profile": profile, "method": method}
    )
    config.model = methods.default_config(method)
    config.update(training.default_config())
    return config
