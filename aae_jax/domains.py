"""What the numbers of a config can be: one table, looked at before anything is built or written.

A field's domain is found by the longest end of its dotted name that ``DOMAINS`` has:
``model.schedule.epochs`` by "schedule.epochs", the ``hidden`` of every method by "hidden". Each
item of a tuple is in it. A number without a domain fails the tests.
"""

import math
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

import jax

from aae_jax.errors import UserError

MOST = 2**31 - 1  # what an int32 of the compiled programs holds
LONGEST = 100  # items of a tuple


class Domain(NamedTuple):
    """Numbers between two ends, which belong to it unless they are open."""

    low: float
    high: float
    whole: bool = False
    open_low: bool = False
    open_high: bool = False

    def fault(self, value: Any) -> str:
        """What a value must be, as part of a sentence, if it is not in the domain; else ""."""
        is_number = isinstance(value, Integral if self.whole else Real)
        if not is_number or isinstance(value, bool) or not math.isfinite(value):
            return "a whole number" if self.whole else "a finite number"
        if value < self.low or (self.open_low and value == self.low):
            positive = self.open_low and self.low == 0
            return "positive" if positive else f"at least {self.low:.10g}"
        if value > self.high or (self.open_high and value == self.high):
            return f"{'below' if self.open_high else 'at most'} {self.high:.10g}"
        return ""


def whole(low: int, high: int = MOST) -> Domain:
    """Integers from ``low`` to ``high``, both among them."""
    return Domain(low, high, whole=True)


def real(low: float, high: float) -> Domain:
    """Numbers from ``low`` to ``high``, both among them."""
    return Domain(low, high)


SIZE = whole(1, 2**24)  # of a layer, a code, a noise vector; what memory allows is checked later
SIZE_OR_NONE = whole(0, 2**24)
DEPTH = whole(0, 200)
POSITIVE = Domain(0, 1e6, open_low=True)
NOT_NEGATIVE = real(0, 1e6)
FRACTION = real(0, 1)
BELOW_ONE = Domain(0, 1, open_high=True)

DOMAINS = {
    # What every run has (training.default_config).
    "data.unlabelled": whole(0),
    "data.classes": whole(0),
    "data.num_labels": whole(0),
    "data.batch_size": whole(1),
    "data.labelled_batch_size": whole(0),
    "train.epochs": whole(1),
    "train.seeds": whole(1, 10_000),
    "train.first_seed": whole(0, MOST - 10_000),
    "train.evaluate_every": whole(1),
    "train.checkpoint_every": whole(1),
    "train.log_every": whole(1),
    "train.resident_share": FRACTION,
    "train.evaluation_batch_size": whole(1),
    "train.seeds_at_once": whole(0),
    "train.seed_shards": whole(0),
    "train.data_shards": whole(0),
    # Optimizers and schedules.
    "learning_rate": real(0, 1e9),
    "momentum": BELOW_ONE,
    "epsilon": Domain(0, 1, open_low=True),
    "schedule.epochs": NOT_NEGATIVE,
    "schedule.factor": FRACTION,
    "schedule.constant_fraction": BELOW_ONE,
    "schedule.lowest": FRACTION,
    "final_momentum": BELOW_ONE,
    "second_momentum": BELOW_ONE,  # β2 of Adam
    "momentum_updates": whole(0),
    "decay": BELOW_ONE,  # of RMSProp
    # Networks.
    "hidden": SIZE,
    "discriminator_hidden": SIZE,
    "code_discriminator_hidden": SIZE,
    "encoder_hidden": SIZE,
    "encoder_features": SIZE,
    "encoder_dense": SIZE,
    "features": SIZE,
    "dense": SIZE,
    "label_hidden": SIZE,
    "noise_hidden": SIZE,
    "recognition_hidden": SIZE,
    "image_units": SIZE,
    "label_units": SIZE,
    "joint_units": SIZE,
    "image_pieces": whole(1, 64),
    "label_pieces": whole(1, 64),
    "joint_pieces": whole(1, 64),
    "maxout_pieces": whole(0, 64),
    "text.width": SIZE,
    "text.dim": SIZE,
    "leak": FRACTION,
    "slope": FRACTION,
    "kernel_size": whole(1, 64),
    "num_blocks": DEPTH,
    "halvings": whole(0, 20),
    "shift": whole(0, 1_000),
    "weight_decay": NOT_NEGATIVE,
    "receptive_field": whole(0, 10_000),
    "dilations": whole(1, 1_000),
    "num_levels": whole(0, 65_536),
    # Codes, priors and noise.
    "code_dim": SIZE,
    "style_dim": SIZE,
    "noise_dim": SIZE_OR_NONE,
    "encoder_noise_dim": SIZE_OR_NONE,
    "decoder_noise_dim": SIZE_OR_NONE,
    "generator_noise_dim": SIZE_OR_NONE,
    "recognition_noise_dim": SIZE_OR_NONE,
    "text_dim": SIZE,
    "num_continuous": SIZE_OR_NONE,
    "num_categories": SIZE_OR_NONE,
    "prior.std": POSITIVE,
    "prior_std": POSITIVE,
    "style_std": POSITIVE,
    "continuous_std": POSITIVE,
    "noise": NOT_NEGATIVE,
    "input_noise": NOT_NEGATIVE,
    "hidden_noise": NOT_NEGATIVE,
    "code_noise": NOT_NEGATIVE,
    "recognition_noise_rise": FRACTION,
    "generator_noise_rise": FRACTION,
    "decoder_noise_rise": FRACTION,
    "noise_rise": FRACTION,
    "dropout": BELOW_ONE,
    "input_dropout": BELOW_ONE,
    # What single methods weigh and scale.
    "encoder_rate": NOT_NEGATIVE,
    "generator_rate": NOT_NEGATIVE,
    "critic_steps": whole(1, 1_000),
    "penalty_weight": NOT_NEGATIVE,
    "generator_batch": SIZE_OR_NONE,
    "k_rate": NOT_NEGATIVE,
    "num_pseudo_inputs": SIZE,
    "pseudo_mean": FRACTION,
    "pseudo_std": NOT_NEGATIVE,
    "warm_up": NOT_NEGATIVE,
    "pixel_std": POSITIVE,
    "weight": NOT_NEGATIVE,
    "continuous_weight": NOT_NEGATIVE,
    "reconstruction_weight": NOT_NEGATIVE,
    "interpolation_weight": NOT_NEGATIVE,
    "mismatched_weight": NOT_NEGATIVE,
    "encoder_weight": NOT_NEGATIVE,
    "information_weight": NOT_NEGATIVE,
    "classification_weight": NOT_NEGATIVE,
    "gamma": NOT_NEGATIVE,
    "layer": whole(0, 200),
    "rest_below": NOT_NEGATIVE,
    "head_scale": NOT_NEGATIVE,
    "head_scale.start": POSITIVE,
    "head_scale.end": POSITIVE,
    "head_scale.fraction": FRACTION,
    "decoder_alone": FRACTION,
    "head_threshold": NOT_NEGATIVE,
    "head_weight": NOT_NEGATIVE,
    # How experiments measure: Parzen windows, vectors added to one another, linear classifiers.
    "parzen.num_samples": whole(1),
    "parzen.selection_samples": whole(1),
    "parzen.num_sigmas": whole(2, 10_000),
    "parzen.lowest_sigma": Domain(0, 1_000, open_low=True),
    "parzen.highest_sigma": Domain(0, 1_000, open_low=True),
    "arithmetic.averaged": whole(1),
    "arithmetic.neighbours": whole(1),
    "arithmetic.num_samples": whole(1),
    "svm.c": POSITIVE,
    "svm.held_out": whole(0),
    "svm.num_labels": whole(0),
    "scores.num_samples": whole(1),
    "scores.splits": whole(1, 10_000),
}


def find(name: str) -> Domain | None:
    """The domain of a field by its dotted name, ``None`` if it has none."""
    parts = name.split(".")
    ends = (".".join(parts[i:]) for i in range(len(parts)))
    return next((DOMAINS[end] for end in ends if end in DOMAINS), None)


def fields(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a config that is no section: (dotted name, value)."""
    for key, value in config.items():
        if hasattr(value, "items"):
            yield from fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def check(config: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse a number that its field cannot be. Strings and bools are their readers' to check.

    Args:
        config: a config or a section of one.
        prefix: what stands before its fields' names: "model.".

    Raises:
        UserError: naming the first such field and what it must be.
    """
    for name, value in fields(config, prefix):
        domain = find(name)
        if domain is None or isinstance(value, (str, bool, jax.Array)) or value is None:
            continue  # an array is a rate that a transformation traces
        items = value if isinstance(value, (tuple, list)) else (value,)
        if len(items) > LONGEST:
            raise UserError(f"{name} has {len(items)} entries; it can have {LONGEST}")
        for item in items:
            if fault := domain.fault(item):
                where = "" if items is not value else f", with {_short(item)} in it"
                raise UserError(f"{name} is {_short(value)}{where}; it must be {fault}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}..."
