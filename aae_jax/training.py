"""fit(): train a method for several seeds, with evaluators, checkpoints, resume and logs.

Randomness is a function of (seed, step) and a purpose's name, and the whole position of a run is
its State, so a run that is killed and started again ends with the same bits as an unbroken one.
Every seed has a directory of its own; those that stand at the same step train together, as one
program with a leading axis of seeds.
"""

import collections
import contextlib
import functools
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import core, domains, processes, rundir
from aae_jax import data as datasets
from aae_jax import evaluators as evaluators_
from aae_jax.checkpoints import Checkpoints, state_sha256
from aae_jax.core import State
from aae_jax.data import Dataset
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluation, Evaluator, default
from aae_jax.logs import Log, check_logger, progress_bar
from aae_jax.methods.common import DataSpec, Method
from aae_jax.optimizers import spans_run
from aae_jax.program import (
    Layout,
    Program,
    check_memory,
    device_data,
    host_data,
    is_resident,
    layout,
    make_program,
    place,
    streamed,
)


def default_config() -> ml_collections.ConfigDict:
    """The ``data`` and ``train`` sections that every experiment shares; what their numbers can be
    is said in ``domains``."""
    return ml_collections.ConfigDict(
        {
            "data": {
                "name": "mnist",
                "unlabelled": 0,  # images trained on; the rest is validation. 0: the default split
                "classes": (),  # if not empty, only images of these classes
                # "classes", "edges", "half_edges", "right_to_left": two unpaired domains
                "domains": "",
                "num_labels": 0,  # labelled images; 0 with labelled_batch_size > 0: all
                "batch_size": 100,
                "labelled_batch_size": 0,  # 0: no labelled batches
                "scaling": "unit",  # or "symmetric", [-1, 1], or "standardised", every pixel
            },
            "train": {
                "epochs": 1,  # passes over the unlabelled set
                "seeds": 1,
                "first_seed": 0,
                "evaluate_every": 1,  # epochs
                "checkpoint_every": 10,  # epochs
                "log_every": 100,  # updates
                # A training set that takes more than this share of a device's memory stays on the
                # host, in a file's map, and batches go to the device as they are needed.
                "resident_share": 0.5,
                "logger": "",  # beside TensorBoard: "wandb", if it is installed
                "evaluation_batch_size": 5000,
                # How the work is dispatched changes no result beyond float rounding.
                # 0 or "auto": what suits the backend (see program.Layout).
                "seeds_at_once": 0,
                "seed_shards": 0,
                "data_shards": 0,
            },
        }
    )


def data_spec(dataset: Dataset, config: ml_collections.ConfigDict) -> DataSpec:
    """What the method has to know of data and run length.

    Raises:
        UserError: for a number outside of its field's domain, batches larger than what they are
            drawn from, or more updates than can be counted.
    """
    domains.check(config.data, "data.")
    domains.check(config.train, "train.")
    check_logger(config.train.logger)
    num = len(dataset.train.labels)
    num_labels = config.data.num_labels or num
    for field, size, limit in (
        ("data.batch_size", config.data.batch_size, num),
        ("data.labelled_batch_size", config.data.labelled_batch_size, num_labels),
    ):
        if size > limit:
            raise UserError(f"{field} is {size}, but there are only {limit} images to draw from")
    if (updates := num // config.data.batch_size * config.train.epochs) > domains.MOST:
        raise UserError(
            f"train.epochs is {config.train.epochs}, which makes {updates} updates; there can be "
            f"{domains.MOST}"
        )
    if config.data.labelled_batch_size:
        # Before any training: too many labels for a class is found here.
        _labelled_index(dataset, config, config.train.first_seed)
    captions = dataset.captions
    return DataSpec(
        image_shape=tuple(dataset.train.images.shape[1:]),
        num_classes=dataset.num_classes,
        updates_per_epoch=num // config.data.batch_size,
        epochs=config.train.epochs,
        labelled=config.data.labelled_batch_size > 0,
        num_levels=dataset.scaling.max_value + 1,
        scaling=config.data.scaling,
        second_shape=None if dataset.second is None else tuple(dataset.second.images.shape[1:]),
        caption_length=0 if captions is None else captions.train.tokens.shape[2],
        vocabulary_size=0 if captions is None else len(captions.vocabulary),
        num_images=num,
    )


def _labelled_index(dataset: Dataset, config: ml_collections.ConfigDict, seed: int) -> np.ndarray:
    if not config.data.labelled_batch_size:
        return np.zeros(0, np.int32)
    return datasets.labelled_subset(
        dataset.train.labels, config.data.num_labels, dataset.num_classes, seed
    )


class Result(NamedTuple):
    """What a run of several seeds ends with.

    Attributes:
        seeds: the seeds, in the order of everything else.
        metrics: final values of the evaluators by name, one value per seed.
        curves: per seed, the evaluations during training: dicts with "step", "epoch" and what was
            evaluated at that step.
        params_sha256: per seed, of the final parameters and batch statistics that were scored.
        states: per seed, the final state, host arrays.
        updates: updates per seed.
        wall_seconds: time spent training and evaluating, over all seeds.
    """

    seeds: tuple[int, ...]
    metrics: dict[str, list[float]]
    curves: list[list[dict[str, float]]]
    params_sha256: list[str]
    states: list[State]
    updates: int
    wall_seconds: float


def fit(
    method: Method,
    dataset: Dataset,
    config: ml_collections.ConfigDict,
    *,
    spec: DataSpec,
    workdir: Path,
    evaluators: Sequence[Evaluator] | None = None,
) -> Result:
    """Train ``method`` for ``config.train.epochs`` on ``config.train.seeds`` seeds.

    The same call on the same ``workdir`` goes on where a killed run's last checkpoint stands, and
    repeats the result of a finished one; a larger ``train.epochs`` or ``train.seeds`` extends it.
    Every seed has a directory ``seed_<seed>`` of its own, which holds ``checkpoints/``,
    ``metrics.jsonl``, ``tensorboard/`` and, at the end, ``result.json``; what the method was built
    from lies beside them in ``model.json``, for ``aae_jax.load``.

    Args:
        method: what is trained.
        dataset: what it is trained on.
        config: the sections of ``default_config``; ``config.method`` and ``config.model``, where
            they are there, are what ``method`` was built from.
        spec: ``data_spec(dataset, config)``, with which the method was built.
        workdir: the run's directory.
        evaluators: what is followed during training, by default ``evaluators.default(method)``.

    Raises:
        UserError: for settings that cannot be trained, evaluators that cannot be had, no readable
            checkpoint or another model's, a workdir that is in use, cannot be used or is trained
            for longer, a longer run under a schedule that spans the run, or checkpoints that
            cannot be written.
        Diverged: a UserError, for a loss or parameters that are not finite.
        SystemExit: with status 143, after SIGTERM, once a checkpoint is written.
        KeyboardInterrupt: after SIGINT, once a checkpoint is written; a second one is not waited
            for.
    """
    check_memory(method)
    check_logger(config.train.logger)
    batch_sizes = (config.data.batch_size, config.data.labelled_batch_size)
    plan = layout(config.train, tuple(size for size in batch_sizes if size))
    if evaluators is None:
        evaluators = default(method)
    rehearsal = evaluators_.check(evaluators, method, dataset)
    first = config.train.first_seed
    seeds = tuple(range(first, first + config.train.seeds))
    trainer = _Trainer(method, dataset, config, spec, plan, evaluators, rehearsal.asked)
    with _stoppable() as stopped, contextlib.ExitStack() as stack:
        processes.first(lambda: stack.enter_context(rundir.locked(workdir)))
        logger = config.train.logger
        positions = [
            _Position(workdir, seed, trainer.total, rehearsal.names, logger) for seed in seeds
        ]
        for position in positions:
            stack.callback(position.close)
        template = jax.eval_shape(method.init, jax.random.key(0))

        def take_up() -> None:
            _take_up(positions, template, plan.seeds_at_once)
            _refuse_other_lengths(positions, workdir, config, trainer.per_epoch)
            rundir.write_model(workdir, config, spec, method.own)

        processes.first(take_up)
        for position in positions:
            position.tell(template)
        groups = _groups(positions, plan.seeds_at_once)
        for group in groups:
            with processes.survived():
                trainer.train(group, stopped)
            if number := stopped():
                _leave(number, f"{_names(group)} is trained")
        results = [position.result for position in positions]
        curves = [
            position.log.curve(
                trainer.total, round(trainer.total / trainer.per_epoch, 4), result["metrics"]
            )
            for position, result in zip(positions, results)
        ]
    return Result(
        seeds=seeds,
        metrics={
            name: [result["metrics"][name] for result in results]
            for name in results[0]["metrics"]
            if all(name in result["metrics"] for result in results)
        },
        curves=curves,
        params_sha256=[result["params_sha256"] for result in results],
        states=[position.state for position in positions if position.state is not None],
        updates=trainer.total,
        wall_seconds=sum(result["wall_seconds"] for result in results),
    )


class Diverged(UserError):
    """A loss, gradients or parameters became infinite or not a number.

    Attributes:
        phases: those that train what was the first to be not finite, or the largest before it.
    """

    phases: tuple[str, ...] = ()


Stopped = Callable[[], int]


@contextlib.contextmanager
def _stoppable() -> Iterator[Stopped]:
    """Inside, SIGTERM and a first SIGINT are only noted, for the function that is yielded: it
    returns the signal's number, in whichever process it was met, or 0."""
    noted: list[int] = []

    def note(number: int, frame: Any) -> None:
        if noted and number == signal.SIGINT:
            raise KeyboardInterrupt
        noted.append(number)

    previous = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        # Behind nohup it is ignored; and only the main thread can handle signals.
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(ValueError):
                previous[number] = signal.signal(number, note)
    try:
        yield lambda: processes.agreed(noted[0] if noted else 0)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _leave(number: int, done: str) -> NoReturn:
    """End on a signal, with a line that says what is done."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt(f"interrupted: {done}")
    print(f"terminated: {done}", file=sys.stderr)
    raise SystemExit(143)


def _names(group: "list[_Position]") -> str:
    seeds = ", ".join(str(position.seed) for position in group)
    return f"seed {seeds}" if len(group) == 1 else f"seeds {seeds}"


class _Mute:
    """In the place of what writes, in a process that does not."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class _Position:
    """Where one seed stands, and its directory, which the leading process alone reads and writes.

    Attributes:
        seed: the seed.
        total: updates that it shall have.
        names: of what shall be known of it then.
        result: what result.json says; empty without one.
        state: host arrays, None for a seed that is at its start.
        seconds: trained so far, of which ``seconds_before`` by processes before this one.
    """

    def __init__(
        self, workdir: Path, seed: int, total: int, names: tuple[str, ...], logger: str = ""
    ):
        self.seed, self.total, self.names = seed, total, names
        self.directory = rundir.seed_directory(workdir, seed)
        self.checkpoints: Any = _Mute()
        self.log: Any = _Mute()
        self.result: dict[str, Any] = {}
        if processes.leads():
            self.checkpoints = Checkpoints(self.directory / "checkpoints")
            self.log = Log(self.directory, seed, logger)
            self.result = self._read_result()
        self.state: State | None = None
        self.seconds = self.seconds_before = 0.0

    def _read_result(self) -> dict[str, Any]:
        result = rundir.read_json(self.directory / rundir.RESULT) or {}
        kinds = {"step": int, "metrics": dict, "params_sha256": str, "wall_seconds": float}
        whole = all(isinstance(result.get(name), kind) for name, kind in kinds.items())
        return result if whole else {}

    def restore(self, template: State, newest: int | None = None) -> None:
        restored = self.checkpoints.restore(template, newest=newest)
        self.state, self.seconds = restored or (None, 0.0)
        self.seconds_before = self.seconds
        if self.state is not None and self.step == self.result.get("step"):
            sha256 = state_sha256(self.state.params, self.state.batch_stats)
            if sha256 != self.result.get("params_sha256"):
                print(
                    f"{self.directory / rundir.RESULT} is of other parameters than the checkpoint "
                    f"of update {self.step}, which is scored again",
                    file=sys.stderr,
                )
                self.result = {}

    def tell(self, template: State) -> None:
        """What the leading process has read, to all."""
        begun = self.state is not None
        begun, self.result, self.seconds = processes.tell([begun, self.result, self.seconds])
        self.seconds_before = self.seconds
        if begun:
            mine = self.state if self.state is not None else _zeros(template)
            self.state = processes.tell_arrays(mine)

    @property
    def step(self) -> int:
        return 0 if self.state is None else int(self.state.step)

    @property
    def trained(self) -> bool:
        return self.step == self.total == self.result.get("step")

    @property
    def finished(self) -> bool:
        return self.trained and set(self.names) <= set(self.result["metrics"])

    def write_result(self, step: int, metrics: dict[str, float]) -> None:
        """The final word, once everything it speaks of is on disk."""
        assert self.state is not None
        self.result = {
            "seed": self.seed,
            "step": step,
            "metrics": metrics,
            "params_sha256": state_sha256(self.state.params, self.state.batch_stats),
            "wall_seconds": self.seconds,
        }
        if processes.leads():
            rundir.write_json(self.directory / rundir.RESULT, self.result)

    def close(self) -> None:
        self.checkpoints.close()
        self.log.close()


def _zeros(template: State) -> State:
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)


def _take_up(positions: list[_Position], template: State, at_once: int) -> None:
    """Read where every seed stands.

    A kill between the checkpoints of seeds that train together leaves some of them a checkpoint
    ahead. These go back to the newest that all keep: in one program they end with the bits of an
    unbroken run, apart only to float rounding.
    """
    for position in positions:
        position.restore(template)
    untrained = [position for position in _unfinished(positions) if not position.trained]
    for i in range(0, len(untrained), at_once):
        group = untrained[i : i + at_once]
        kept = [set(position.checkpoints.steps()) for position in group]
        common = max(set.intersection(*kept), default=None)
        for position in group:
            if common is not None and position.step > common:
                position.restore(template, newest=common)


def _unfinished(positions: list[_Position]) -> list[_Position]:
    """Those that have to be trained or scored, the most advanced first."""
    found = [position for position in positions if not position.finished]
    return sorted(found, key=lambda position: -position.step)


def _groups(positions: list[_Position], at_once: int) -> list[list[_Position]]:
    """Seeds at the same step, as many as train at once."""
    groups: list[list[_Position]] = []
    for position in _unfinished(positions):
        if groups and len(groups[-1]) < at_once and groups[-1][0].step == position.step:
            groups[-1].append(position)
        else:
            groups.append([position])
    return groups


def _refuse_other_lengths(
    positions: list[_Position], workdir: Path, config: ml_collections.ConfigDict, per_epoch: int
) -> None:
    spans = "model" in config and spans_run(config.model)
    for position in positions:
        if position.step > position.total:
            raise UserError(
                f"{position.directory} is already trained for {position.step / per_epoch:g} "
                "epochs: ask for as many or more with --config.train.epochs, or choose another "
                "--workdir"
            )
        begun_for = position.result.get("step") or rundir.updates_of(workdir)
        if spans and position.step and begun_for not in (None, position.total):
            raise UserError(
                f"{position.directory} was begun for {begun_for / per_epoch:g} epochs, and its "
                "schedule spans the run, so it cannot become what a run of "
                f"{config.train.epochs} would be: choose another --workdir"
            )


class _Interval(NamedTuple):
    """What the device was asked for up to ``step``, not yet looked at by the host."""

    step: int
    metrics: jax.Array  # [updates, s, m]
    due: list[int]  # indices of evaluators
    snapshot: tuple[State, jax.Array] | None
    outputs: dict[tuple[str, str], list[Any]]  # by function and split, blocks [s, b, ...]
    keep: bool  # whether the snapshot becomes a checkpoint


class _Trainer:
    """What the groups of a run share, and how one of them is trained.

    The host looks at an interval's results only after it has dispatched the next one, so the
    device never waits for it; a snapshot becomes a checkpoint only behind losses that were
    looked at.
    """

    def __init__(
        self,
        method: Method,
        dataset: Dataset,
        config: ml_collections.ConfigDict,
        spec: DataSpec,
        plan: Layout,
        evaluators: Sequence[Evaluator],
        asked: list[list[tuple[str, str]]],
    ):
        self.method, self.dataset, self.config, self.spec = method, dataset, config, spec
        self.plan, self.evaluators, self.asked = plan, evaluators, asked
        self.per_epoch = (
            spec.updates_per_epoch or len(dataset.train.labels) // config.data.batch_size
        )
        self.total = self.per_epoch * config.train.epochs
        self.program: Program
        self.mesh: Any = ()  # of none
        self.group: list[_Position]
        self.shown: dict[str, str]

    def train(self, group: list[_Position], stopped: Stopped) -> None:
        """Train the seeds of a group, all at one step, to the end, and write their results."""
        self.group, self.shown = group, {}
        self._build(self.plan.mesh(len(group)))
        keys = jax.vmap(jax.random.key)(jnp.asarray([position.seed for position in group]))
        keys = place(keys, self.mesh, "seed")
        step = group[0].step
        states = self.program.load(self._beginning(keys))
        if step == self.total:
            # Killed after the last checkpoint and before the result was written, or trained
            # without one of these evaluators.
            interval = self._look(states, step, jnp.zeros(0), self._due(step), False)
            for position, metrics in zip(group, self._evaluate(interval)):
                position.write_result(step, metrics)
            return
        for position in group:
            position.log.cut_off(step)
            position.checkpoints.forget_after(step)
        self._loop(states, keys, step, stopped)

    def _build(self, mesh: Any) -> None:
        """The compiled functions, anew only where the seeds lie on other devices."""
        if mesh == self.mesh:
            return
        config, self.mesh = self.config, mesh
        sizes = (config.data.batch_size, config.data.labelled_batch_size)
        self.host = host_data(self.dataset)
        self.resident = is_resident(self.host, config.train.resident_share)
        self.data = place(device_data(self.dataset), mesh) if self.resident else self.host
        self.program = make_program(
            self.method, self.spec, sizes, self.dataset.scaling, self.data, mesh
        )
        self.images: dict[str, Any] = {"train": self.data["images"]}
        # What the outputs of images that come with the call need beside them.
        self.scaling = {k: v for k, v in self.data.items() if k in ("shift", "scale")}

    def _beginning(self, keys: jax.Array) -> State:
        """Where the group stands before it is trained: states [s]."""
        restored = [position.state for position in self.group if position.state is not None]
        if not restored:
            return self.program.init(keys)
        return jax.tree.map(lambda *leaves: np.stack(leaves), *restored)

    def _order(self, step: int) -> Any:
        """The order of the epoch of a step."""
        order = self.program.epoch_order(self.keys, step // self.per_epoch, self.labelled_index)
        return place(order, self.mesh, "seed") if self.resident else processes.fetch(order)

    def _advance(self, program: Program, states: State, order: Any, step: int, num: int) -> Any:
        """Dispatch updates; of a set that stays on the host what they take goes along."""
        data = self.data
        if not self.resident:
            sizes = (self.config.data.batch_size, self.config.data.labelled_batch_size)
            position = step % self.per_epoch
            taken, places = streamed(self.host, order, sizes, position, num)
            data, order = place(taken, self.mesh), place(places, self.mesh, "seed")
        return program.advance(states, data, order, self.keys, num)

    def _chunk(self, step: int) -> int:
        """How many updates are dispatched at a step."""
        position, every = step % self.per_epoch, self.config.train.log_every
        return min(every - position % every, self.per_epoch - position)

    def _loop(self, states: State, keys, step: int, stopped: Stopped) -> None:
        train, per_epoch = self.config.train, self.per_epoch
        seeds = [position.seed for position in self.group]
        self.keys, self.labelled_index = (
            keys,
            np.stack([_labelled_index(self.dataset, self.config, seed) for seed in seeds]),
        )
        pending: collections.deque[_Interval] = collections.deque()
        self.started = time.monotonic()
        self.looked_at: State | None = None  # the newest snapshot whose numbers are all finite
        order = None
        bar = progress_bar(
            _names(self.group),
            "updates",
            self.total,
            initial=step,
            smoothing=0.05,
            disable=not processes.leads(),
        )
        with bar:
            while step < self.total and not stopped():
                if order is None or step % per_epoch == 0:
                    order = self._order(step)
                num = self._chunk(step)
                states, metrics = self._advance(self.program, states, order, step, num)
                step += num
                keep = step == self.total or step % (train.checkpoint_every * per_epoch) == 0
                pending.append(self._look(states, step, metrics, self._due(step), keep))
                while len(pending) > 1:
                    self._settle(pending.popleft(), bar)
            if step < self.total and not pending:
                _leave(stopped(), f"no update was made after update {step}")
            if step < self.total and not pending[-1].keep:
                snapshot = self.program.snapshot(states)
                pending.append(pending.pop()._replace(snapshot=snapshot, keep=True))
            while pending:
                self._settle(pending.popleft(), bar)
            if step < self.total:
                for at in self.group:
                    at.checkpoints.wait()
                _leave(stopped(), f"checkpoint of update {step} is written")

    def _due(self, step: int) -> list[int]:
        per_epoch, every = self.per_epoch, self.config.train.evaluate_every
        return [
            i
            for i, evaluator in enumerate(self.evaluators)
            if step == self.total or step % ((evaluator.every or every) * per_epoch) == 0
        ]

    def _look(
        self, states: State, step: int, metrics: jax.Array, due: list[int], keep: bool
    ) -> _Interval:
        """Dispatch what evaluators and checkpoint need of the states, before they are donated."""
        snapshot = self.program.snapshot(states) if due or keep else None
        interval = _Interval(step, metrics, due, snapshot, {}, keep)
        for i in due:
            for names in self.asked[i]:
                self._outputs(interval, *names)
        return interval

    def _outputs(self, interval: _Interval, function: str, split: str) -> list[Any]:
        """Outputs of the method on a split, in blocks [s, b, ...]; dispatched once."""
        if (function, split) not in interval.outputs:
            assert interval.snapshot is not None
            states = interval.snapshot[0]._replace(opt_state={})
            if split not in self.images:
                images = evaluators_.split_of(self.dataset, split).images
                self.images[split] = place(images, self.mesh) if self.resident else images
            images, size = self.images[split], self.config.train.evaluation_batch_size
            interval.outputs[function, split] = [
                self.program.outputs(states, self.scaling, images[i : i + size], function)
                for i in range(0, len(images), size)
            ]
        return interval.outputs[function, split]

    def _settle(self, interval: _Interval, bar) -> None:
        """Look at an interval: check, log, evaluate, and only then commit its snapshot."""
        metrics = processes.fetch(interval.metrics)
        names = self.program.metric_names
        self._check_finite(metrics, interval)
        means, epoch = metrics.mean(axis=0), round(interval.step / self.per_epoch, 4)
        for position, values in zip(self.group, means):
            position.log.write(interval.step, epoch, dict(zip(names, values)))
        bar.update(interval.step - bar.n)
        found: list[dict[str, float]] = [{} for _ in self.group]
        if interval.due:
            found = self._evaluate(interval)
            for position, values in zip(self.group, found):
                position.log.write(interval.step, epoch, values)
            self._show(found)
        losses = {
            name.split("/")[0][:5]: f"{value:.3g}"
            for name, value in zip(names, means.mean(axis=0))
            if name.endswith("/loss")
        }
        bar.set_postfix(losses | self.shown, refresh=False)
        if interval.keep:
            self._commit(interval)
        if interval.snapshot is not None:
            self.looked_at = interval.snapshot[0]
        if interval.step == self.total:
            for position, values in zip(self.group, found):
                position.checkpoints.wait()
                position.log.flush()
                position.write_result(interval.step, values)

    def _evaluate(self, interval: _Interval) -> list[dict[str, float]]:
        """What the evaluators that are due find, for each seed."""
        assert interval.snapshot is not None
        states = interval.snapshot[0]._replace(opt_state={})
        if processes.count() > 1:  # each process evaluates on its own
            states = processes.fetch(states)

        @functools.cache
        def joined(function: str, split: str) -> Any:
            blocks = processes.fetch(self._outputs(interval, function, split))
            return jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *blocks)

        def of_seed(i: int) -> dict[str, float]:
            @functools.cache
            def state() -> State:
                return jax.tree.map(lambda x: x[i], states)

            evaluation = Evaluation(
                self.method,
                self.dataset,
                self.group[i].seed,
                interval.step,
                state=state,
                outputs=lambda *names: jax.tree.map(lambda x: x[i], joined(*names)),
                call=lambda function, *rest: self.program.call(function, state(), *rest),
            )
            return evaluators_.run([self.evaluators[j] for j in interval.due], evaluation)

        return [of_seed(i) for i in range(len(self.group))]

    def _show(self, found: list[dict[str, float]]) -> None:
        """The first value of the test set, or else the first, as the progress bar shows it."""
        names = sorted(found[0], key=lambda name: not name.startswith("test_"))
        for name in names[:1]:
            value = np.mean([values[name] for values in found])
            shown = f"{value:.2f}%" if name.endswith("percent") else f"{value:.4g}"
            self.shown = {name.removesuffix("_percent").replace("_", " "): shown}

    def _commit(self, interval: _Interval) -> None:
        assert interval.snapshot is not None
        states = processes.fetch(interval.snapshot[0])
        seconds = (time.monotonic() - self.started) / len(self.group)
        for i, position in enumerate(self.group):
            position.state = jax.tree.map(lambda x, i=i: x[i], states)
            position.seconds = position.seconds_before + seconds
            position.checkpoints.save(interval.step, position.state, position.seconds)

    def _check_finite(self, metrics: np.ndarray, interval: _Interval) -> None:
        names = self.program.metric_names
        is_loss = np.array([name.endswith("/loss") for name in names], bool)
        bad = np.argwhere(~np.isfinite(metrics) & is_loss)
        if len(bad):
            update, i, loss = bad[0]
            phase = names[loss].split("/")[0]
            step = interval.step - len(metrics) + int(update) + 1
            what = f"the loss of phase '{phase}' became {metrics[update, i, loss]}"
        elif interval.snapshot is not None and not np.all(
            finite := processes.fetch(interval.snapshot[1])
        ):
            i = int(np.argmin(finite))
            step, what = interval.step, "parameters became infinite or not a number"
        else:
            return
        position = self.group[i]
        position.checkpoints.wait()
        kept = ""
        if position.checkpoints.steps():
            kept = f"; checkpoints from before it are kept in {position.checkpoints.directory}"
        explained, phases = self._explain(interval, i)
        whose = f"rate of {' and '.join(phases)}" if phases else "rates"
        error = Diverged(
            f"{what} for seed {position.seed} at update {step}: {explained}lower the learning "
            f"{whose}, in a run of its own with another --workdir{kept}"
        )
        error.phases = phases
        raise error

    def _explain(self, interval: _Interval, i: int) -> tuple[str, tuple[str, ...]]:
        """What of seed i was the first to be not finite, as part of a sentence, and the phases that
        train it: trained again from the newest snapshot, one update at a time."""
        if processes.count() > 1:
            return "", ()
        states = self._beginning(self.keys) if self.looked_at is None else self.looked_at
        step = int(np.asarray(states.step)[0])
        sizes = (self.config.data.batch_size, self.config.data.labelled_batch_size)
        sizes_of = jax.jit(lambda states: _sizes(jax.tree.map(lambda x: x[i], states.params)))
        astray, begun, before = "", sizes_of(states), sizes_of(states)
        with core.gradients_watched():
            watched = make_program(
                self.method, self.spec, sizes, self.dataset.scaling, self.data, self.mesh
            )
            loaded, order = watched.load(jax.tree.map(jnp.copy, states)), None
            for update in range(step, interval.step):
                if order is None or update % self.per_epoch == 0:
                    order = self._order(update)
                loaded, metrics = self._advance(watched, loaded, order, update, 1)
                after = sizes_of(watched.snapshot(loaded)[0])
                values = dict(zip(watched.metric_names, jax.device_get(metrics)[0, i]))
                found = _first_bad(values, before, after, astray)
                if found is not None:
                    return f"at update {update + 1} {found[0]}; ", found[1]
                grown = [n for _, n in _trained(values) if after[n] > 1e3 * (1 + begun[n])]
                astray, before = astray or next(iter(grown), ""), after
        return "", ()


def _sizes(params: core.Params) -> dict[str, jax.Array]:
    """The largest number of each network's parameters, not finite if one of them is not."""
    return {
        network: functools.reduce(
            jnp.maximum, (jnp.abs(x).max() for x in jax.tree.leaves(tree)), jnp.zeros(())
        )
        for network, tree in params.items()
    }


def _trained(values: dict[str, float]) -> list[tuple[str, str]]:
    """(phase, network) pairs in the order of an update, of its watched metrics."""
    pairs = (name.partition(f"/{core.GRADIENTS}/") for name in values)
    return [(phase, network) for phase, found, network in pairs if found]


def _first_bad(
    values: dict[str, float],
    before: dict[str, jax.Array],
    after: dict[str, jax.Array],
    astray: str,
) -> tuple[str, tuple[str, ...]] | None:
    """What of an update is not finite, in the order in which it came to be, and the phases that
    train the network to blame; None if all of it is finite.

    Args:
        values: the update's metrics, those of ``core.gradients_watched`` among them.
        before, after: the largest parameter of each network.
        astray: the network whose parameters were the first to grow out of all proportion, "" if
            none have.
    """
    bad, of_loss, of_network = [], "", ""
    for name, value in values.items():
        phase, of_gradients, network = name.partition(f"/{core.GRADIENTS}/")
        if of_gradients and not value:
            of_network = of_network or network
            bad.append(f"the gradients of {network} in phase '{phase}'")
        elif name.endswith("/loss") and not np.isfinite(value):
            of_loss = of_loss or ("" if bad else name.removesuffix("/loss"))
            bad.append(f"the loss of phase '{name.removesuffix('/loss')}'")
    for network, size in after.items():
        if not np.isfinite(size):
            of_network = of_network or network
            bad.append(f"the parameters of {network}")
    if not bad:
        return None
    what = f"{bad[0]} came first{', then ' if bad[1:] else ''}{', '.join(bad[1:4])}"
    trained = _trained(values)
    if of_loss and not astray:
        own = [network for phase, network in trained if phase == of_loss]
        astray = max(own, key=lambda network: before[network], default="")
    blamed = astray if of_loss else of_network
    if blamed in before:
        what += f"; before it the largest parameter of {blamed} was {float(before[blamed]):.2g}"
    return what, tuple(phase for phase, network in trained if network == blamed)
