"""What is followed during training: functions of one seed's model that yield (name, value).

An evaluator of one's own is a function of an ``Evaluation``::

    def code_norm(evaluation):
        (codes,) = evaluation.outputs("encode", "test")
        yield "test_code_norm", float(np.linalg.norm(codes, axis=1).mean())

    fit(..., evaluators=(classification(), Evaluator(code_norm, every=10)))
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax.core import State, named_key
from aae_jax.data import Dataset, Images
from aae_jax.errors import UserError
from aae_jax.methods.common import Method
from aae_jax.metrics import clustering_errors, error_percent

HELD_OUT = ("validation", "test")


class Evaluation:
    """One seed's model at one step, as evaluators see it.

    Attributes:
        method: the method that is trained.
        dataset: what it is trained on.
        seed: the run's seed.
        step: updates done.
        state: the seed's State, without its optimizers' part (``opt_state`` is empty).
        made_up: whether this is the look before training, at which the state and all outputs are
            zeros of the right form: an evaluator that is dear may leave its work out, once it has
            refused what it cannot have.
    """

    def __init__(
        self,
        method: Method,
        dataset: Dataset,
        seed: int,
        step: int,
        *,
        state: Callable[[], State],
        outputs: Callable[[str, str], Any],
        call: Callable[..., Any],
        made_up: bool = False,
    ):
        self.method, self.dataset, self.seed, self.step = method, dataset, seed, step
        self.made_up = made_up
        self._state, self._outputs, self._call = state, outputs, call

    @property
    def state(self) -> State:
        return self._state()

    def key(self, name: str) -> jax.Array:
        """The key of one purpose, the same at every step: a function of seed and name."""
        return named_key(jax.random.key(self.seed), name)

    def split(self, name: str) -> Images:
        """Images (uint8) and labels of "train", "validation" or "test"."""
        return split_of(self.dataset, name)

    def held_out(self) -> list[str]:
        """Which of "validation" and "test" hold any image.

        Raises:
            UserError: if neither does.
        """
        names = [name for name in HELD_OUT if len(self.split(name).labels)]
        if not names:
            raise UserError(
                f"{self.dataset.name} has neither validation nor test images, so there is nothing "
                "to evaluate on: lower data.unlabelled, or train without evaluators"
            )
        return names

    def outputs(self, function: str, split: str) -> Any:
        """What the method's ``function(state, images)`` makes of all images of a split: NumPy
        arrays [n, ...], computed once however many evaluators ask.

        Raises:
            UserError: if the method has no such function, or the split no images.
        """
        if getattr(self.method, function) is None:
            raise UserError(f"this method cannot be scored by '{function}', which it does not have")
        if not len(self.split(split).labels):
            raise UserError(
                f"{self.dataset.name} has no {split} images to score: choose other data"
            )
        return self._outputs(function, split)

    def call(self, function: str, *arguments: Any) -> Any:
        """The method's ``function(state, *arguments)``, compiled once in a run; a Python int
        among the arguments is a constant of the compiled program.

        Raises:
            UserError: if the method has no such function.
        """
        if getattr(self.method, function) is None:
            raise UserError(f"this method cannot be scored by '{function}', which it does not have")
        return self._call(function, *arguments)


class Evaluator(NamedTuple):
    """One thing that is followed during training.

    Attributes:
        evaluate: yields (name, value) pairs, of an Evaluation.
        every: epochs between two evaluations, 0 for ``train.evaluate_every``; the last step is
            always evaluated.
    """

    evaluate: Callable[[Evaluation], Iterable[tuple[str, float]]]
    every: int = 0


def split_of(dataset: Dataset, name: str) -> Images:
    """Images and labels of "train", "validation" or "test"."""
    return {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}[name]


def classification(every: int = 0) -> Evaluator:
    """Error of ``classify`` on each held-out split: ``test_error_percent``,
    ``validation_error_percent``."""

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        for split in evaluation.held_out():
            probabilities = evaluation.outputs("classify", split)
            error = error_percent(probabilities, evaluation.split(split).labels)
            yield f"{split}_error_percent", error

    return Evaluator(evaluate, every)


def clustering(every: int = 0) -> Evaluator:
    """Errors of the clusters of ``classify`` on the test set, clusters named on the validation
    set: the values of ``metrics.clustering_errors``."""

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        splits = evaluation.held_out()
        if "validation" not in splits:
            raise UserError("clusters are named on validation images: lower data.unlabelled")
        if "test" not in splits:
            raise UserError(
                f"{evaluation.dataset.name} has no test images to measure clusters on: choose "
                "other data"
            )
        pairs = {
            split: (evaluation.outputs("classify", split), evaluation.split(split).labels)
            for split in splits
        }
        yield from clustering_errors(pairs["validation"], pairs["test"]).items()

    return Evaluator(evaluate, every)


def cost(name: str, every: int = 0) -> Evaluator:
    """The mean of what the method's ``evaluate`` follows, on each held-out split:
    ``<split>_<name>``."""

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        for split in evaluation.held_out():
            yield f"{split}_{name}", float(evaluation.outputs("evaluate", split).mean())

    return Evaluator(evaluate, every)


def default(method: Method) -> tuple[Evaluator, ...]:
    """The error of a method that classifies, ``<split>_cost`` of one that evaluates, or nothing."""
    if method.classify is not None:
        return (classification(),)
    return () if method.evaluate is None else (cost("cost"),)


def run(evaluators: Iterable[Evaluator], evaluation: Evaluation) -> dict[str, float]:
    """The values of all evaluators, by name.

    Raises:
        UserError: two evaluators yield one name, or as an evaluator does.
    """
    values: dict[str, float] = {}
    for evaluator in evaluators:
        for name, value in evaluator.evaluate(evaluation):
            if name in values:
                raise UserError(f"two evaluators follow {name!r}: rename one of them")
            values[name] = float(value)
    return values


class Rehearsal(NamedTuple):
    """What the look before training found.

    Attributes:
        names: of the values that the evaluators yield.
        asked: for every evaluator the (function, split) pairs whose outputs it asks for.
    """

    names: tuple[str, ...]
    asked: list[list[tuple[str, str]]]


def check(evaluators: Iterable[Evaluator], method: Method, dataset: Dataset) -> Rehearsal:
    """Run the evaluators on made-up outputs of the right form, so that what cannot be scored is
    found before any training.

    Raises:
        UserError: as ``run``.
    """
    asked: list[list[tuple[str, str]]] = []
    template = jax.eval_shape(method.init, jax.random.key(0))._replace(opt_state={})

    def zeros(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree)

    def outputs(function: str, split: str) -> Any:
        asked[-1].append((function, split))
        shape = (len(split_of(dataset, split).labels), *dataset.train.images.shape[1:])
        images = jax.ShapeDtypeStruct(shape, jnp.float32)
        return zeros(jax.eval_shape(getattr(method, function), template, images))

    def call(function: str, *arguments: Any) -> Any:
        bound = lambda state: getattr(method, function)(state, *arguments)  # noqa: E731
        return zeros(jax.eval_shape(bound, template))

    evaluation = Evaluation(
        method,
        dataset,
        0,
        0,
        state=lambda: zeros(template),
        outputs=outputs,
        call=call,
        made_up=True,
    )

    def noted(evaluator: Evaluator) -> Evaluator:
        def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
            asked.append([])
            yield from evaluator.evaluate(evaluation)

        return evaluator._replace(evaluate=evaluate)

    return Rehearsal(tuple(run(map(noted, evaluators), evaluation)), asked)
