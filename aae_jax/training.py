"""fit(): train a method for several seeds, with evaluation, checkpoints, resume and logs.

Randomness is a function of (seed, step) and the whole position of a run is its State, so a run
that is killed and started again ends with the same bits as an unbroken one. Many seeds are one
program: every function here carries a leading axis of seeds.
"""

import collections
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax.checkpoints import params_sha256
from aae_jax.core import State
from aae_jax.data import Dataset
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method
from aae_jax.metrics import clustering_errors, error_percent
from aae_jax.program import device_data, layout, make_program, place

# Split name -> (outputs [n, k] of the method's classify or evaluate, labels [n]), to metrics.
Score = Callable[[dict[str, tuple[np.ndarray, np.ndarray]]], dict[str, float]]


def default_config() -> ml_collections.ConfigDict:
    """The ``data`` and ``train`` sections that every experiment shares."""
    return ml_collections.ConfigDict(
        {
            "data": {
                "name": "mnist",
                "unlabelled": 0,  # images trained on; the rest is validation. 0: the default split
                "classes": (),  # if not empty, only images of these classes
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
                "evaluation_batch_size": 5000,
                # How the work is dispatched changes no result beyond float rounding.
                # 0 or "auto": what suits the backend (see program.Layout).
                "updates_per_dispatch": 0,
                "seeds_at_once": 0,
                "seed_shards": 0,
                "data_shards": 0,
            },
        }
    )


def data_spec(dataset: Dataset, config: ml_collections.ConfigDict) -> DataSpec:
    """What the method has to know of data and run length.

    Raises:
        UserError: for a set without test images, batches larger than what they are drawn from, or
            no epochs or seeds.
    """
    datasets.require_test(dataset)
    num = len(dataset.train.labels)
    num_labels = config.data.num_labels or num
    for field, size, limit in (
        ("data.batch_size", config.data.batch_size, num),
        ("data.labelled_batch_size", config.data.labelled_batch_size, num_labels),
    ):
        if size > limit:
            raise UserError(f"{field} is {size}, but there are only {limit} images to draw from")
    for field, value in (
        ("data.batch_size", config.data.batch_size),
        ("train.epochs", config.train.epochs),
        ("train.seeds", config.train.seeds),
        ("train.evaluate_every", config.train.evaluate_every),
        ("train.checkpoint_every", config.train.checkpoint_every),
        ("train.log_every", config.train.log_every),
        ("train.evaluation_batch_size", config.train.evaluation_batch_size),
    ):
        if value < 1:
            raise UserError(f"{field} is {value}; it must be at least 1")
    if config.data.labelled_batch_size:
        # Before any training: too many labels for a class is found here.
        _labelled_index(dataset, config, config.train.first_seed)
    return DataSpec(
        image_shape=tuple(dataset.train.images.shape[1:]),
        num_classes=dataset.num_classes,
        updates_per_epoch=num // config.data.batch_size,
        epochs=config.train.epochs,
        labelled=config.data.labelled_batch_size > 0,
        num_levels=dataset.scaling.max_value + 1,
        scaling=config.data.scaling,
    )


def _labelled_index(dataset: Dataset, config: ml_collections.ConfigDict, seed: int) -> np.ndarray:
    if not config.data.labelled_batch_size:
        return np.zeros(0, np.int32)
    return datasets.labelled_subset(
        dataset.train.labels, config.data.num_labels, dataset.num_classes, seed
    )


def classification_score(outputs: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Error on each split: ``test_error_percent``, ``validation_error_percent``."""
    return {f"{split}_error_percent": error_percent(*pair) for split, pair in outputs.items()}


def clustering_score(outputs: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Clustering errors on the test set, clusters named on the validation set.

    Raises:
        UserError: without a validation set.
    """
    if "validation" not in outputs:
        raise UserError("clusters are named on validation images: lower data.unlabelled")
    return clustering_errors(outputs["validation"], outputs["test"])


def evaluation_score(name: str) -> Score:
    """The mean of what the method's ``evaluate`` follows, on each split: ``<split>_<name>``."""

    def score(outputs: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        return {f"{split}_{name}": float(values.mean()) for split, (values, _) in outputs.items()}

    return score


def check_score(method: Method, dataset: Dataset, score: Score) -> None:
    """Score made-up outputs of the right form, so that what cannot be scored is found before any
    training.

    Raises:
        UserError: as ``score`` does.
    """
    output = method.classify or method.evaluate
    assert output is not None
    state = jax.eval_shape(method.init, jax.random.key(0))
    outputs = {}
    for name, split in (("validation", dataset.validation), ("test", dataset.test)):
        if num := len(split.labels):
            images = jax.ShapeDtypeStruct((num, *dataset.train.images.shape[1:]), jnp.float32)
            shape = jax.eval_shape(output, state, images).shape
            outputs[name] = np.zeros(shape, np.float32), split.labels
    score(outputs)


class Result(NamedTuple):
    """What a run of several seeds ends with.

    Attributes:
        seeds: the seeds, in the order of everything else.
        metrics: final metrics by name, one value per seed.
        curves: per seed, the evaluations during training: dicts with "step", "epoch" and metrics.
        params_sha256: per seed, of the final parameters that were scored.
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
    score: Score = classification_score,
) -> Result:
    """Train ``method`` for ``config.train.epochs`` on ``config.train.seeds`` seeds.

    The same call on the same ``workdir`` goes on where a killed run's last checkpoint stands, and
    repeats the result of a finished one; a larger ``train.epochs`` or ``train.seeds`` extends it.
    Seeds that are trained at once are one run with a directory ``seeds_<first>-<last>`` of its own
    (so there, more seeds are another run), which holds ``checkpoints/``, ``metrics.jsonl``,
    ``tensorboard/`` and, at the end, ``result.json``.

    Raises:
        UserError: for settings that cannot be trained, no readable checkpoint, a workdir that is
            in use or trained for longer, or a loss that is not finite.
        SystemExit: with status 143, after SIGTERM, once a checkpoint is written.
    """
    batch_sizes = (config.data.batch_size, config.data.labelled_batch_size)
    plan = layout(config.train, tuple(size for size in batch_sizes if size))
    first = config.train.first_seed
    seeds = tuple(range(first, first + config.train.seeds))
    groups = [seeds[i : i + plan.seeds_at_once] for i in range(0, len(seeds), plan.seeds_at_once)]
    data = place(device_data(dataset), plan.mesh)
    program = make_program(method, spec, batch_sizes, dataset.scaling, data, plan.mesh)
    results = []
    with _locked(workdir), _terminable() as terminated:
        for group in groups:
            run = _Run(program, dataset, data, config, spec, plan, group, workdir, score)
            results += run.train(terminated)
            if terminated() and group != groups[-1]:
                raise SystemExit(143)
    return Result(
        seeds=seeds,
        metrics={
            name: [result["metrics"][name] for result in results] for name in results[0]["metrics"]
        },
        curves=[result["curve"] for result in results],
        params_sha256=[result["params_sha256"] for result in results],
        states=[result["state"] for result in results],
        updates=spec.updates_per_epoch * config.train.epochs,
        wall_seconds=sum(result["wall_seconds"] for result in results),
    )


@contextlib.contextmanager
def _locked(workdir: Path) -> Iterator[None]:
    """One process at a time; the lock goes with its process, however that ends."""
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"another process is training in {workdir}: wait for it, or choose another "
                "--workdir"
            ) from None
        yield


@contextlib.contextmanager
def _terminable() -> Iterator[Callable[[], bool]]:
    """Inside, SIGTERM only raises a flag, which the function that is yielded reads."""
    raised = []
    try:
        previous = signal.signal(signal.SIGTERM, lambda *_: raised.append(True))
    except ValueError:  # not in the main thread, where signals cannot be handled
        yield lambda: False
        return
    try:
        yield lambda: bool(raised)
    finally:
        signal.signal(signal.SIGTERM, previous)


class _Interval(NamedTuple):
    """What the device was asked for up to ``step``, not yet looked at by the host."""

    step: int
    losses: list[jax.Array]  # each [updates, s, m]
    outputs: dict[str, list[jax.Array]] | None  # by split, blocks [s, b, k]
    snapshot: tuple[State, jax.Array] | None


class _Run:
    """One run: the seeds that are trained at once, and their directory.

    The host looks at an interval's results only after it has dispatched the next one, so the
    device never waits for it; a snapshot becomes a checkpoint only behind losses that were
    looked at.
    """

    def __init__(self, program, dataset, data, config, spec, plan, seeds, workdir, score):
        self.program, self.dataset, self.data = program, dataset, data
        self.config, self.spec, self.plan, self.score = config, spec, plan, score
        self.seeds = seeds
        name = f"seed_{seeds[0]}" if len(seeds) == 1 else f"seeds_{seeds[0]}-{seeds[-1]}"
        self.directory = workdir / name
        self.total = spec.updates_per_epoch * config.train.epochs
        self.log = _Log(self.directory, seeds)
        self.final_states: State
        self.final_metrics: list[dict[str, float]]
        self.shown_name, self.shown_error = "test", "-"
        self.splits = {
            name: (place(np.asarray(split.images), plan.mesh), split.labels)
            for name, split in (("validation", dataset.validation), ("test", dataset.test))
            if len(split.labels)
        }

    def train(self, terminated: Callable[[], bool]) -> list[dict[str, Any]]:
        """Train to the end, or from where it stands; one result per seed."""
        from aae_jax.checkpoints import Checkpoints

        checkpoints = Checkpoints(self.directory / "checkpoints")
        try:
            keys = jax.vmap(jax.random.key)(jnp.asarray(self.seeds))
            keys = place(keys, self.plan.mesh, "seed")
            template = jax.eval_shape(self.program.init, keys)
            restored = checkpoints.restore(template)
            states, self.seconds_before = restored or (self.program.init(keys), 0.0)
            step = int(np.asarray(states.step)[0])
            if step > self.total:
                raise UserError(
                    f"{self.directory} is already trained for "
                    f"{step / self.spec.updates_per_epoch:g} epochs: ask for as many or more with "
                    "--config.train.epochs, or choose another --workdir"
                )
            if step < self.total:
                self._note_extension(step)
                self.log.cut_off(step)
                self._loop(self.program.load(states), keys, step, checkpoints, terminated)
                states = self.final_states
            elif not (self.directory / "result.json").exists():
                # Killed after the last checkpoint and before the result was written.
                self.final_metrics = self._scores(self._predict(self.program.load(states)))
                self._write_result(states, self.seconds_before)
            return self._finished(states)
        finally:
            checkpoints.close()
            self.log.close()

    def _note_extension(self, step: int) -> None:
        result = self.directory / "result.json"
        if not result.exists():
            return
        if step and "cosine" in str(self.config.model.get("schedule", "")):
            print(
                "note: the schedule spans the whole run, so a run that is extended differs from "
                "one that was this long from the start",
                file=sys.stderr,
            )
        result.unlink()

    def _loop(self, states: State, keys, step: int, checkpoints, terminated) -> None:
        train, per_epoch = self.config.train, self.spec.updates_per_epoch
        labelled_index = jnp.asarray(
            np.stack([_labelled_index(self.dataset, self.config, seed) for seed in self.seeds])
        )
        pending: collections.deque[_Interval] = collections.deque()
        self.started = time.monotonic()
        order = None
        bar = _progress_bar(self.seeds, step, self.total)
        with bar:
            while step < self.total:
                if order is None or step % per_epoch == 0:
                    order = self.program.epoch_order(keys, step // per_epoch, labelled_index)
                    order = place(order, self.plan.mesh, "seed")
                position = step % per_epoch
                end = min(position - position % train.log_every + train.log_every, per_epoch)
                end += step - position
                losses = []
                while step < end:
                    num = min(self.plan.updates_per_dispatch, end - step)
                    states, loss = self.program.advance(states, self.data, order, keys, num)
                    losses.append(loss)
                    step += num
                stop = terminated()
                last = step == self.total
                evaluate = last or step % (train.evaluate_every * per_epoch) == 0
                keep = stop or last or step % (train.checkpoint_every * per_epoch) == 0
                pending.append(
                    _Interval(
                        step,
                        losses,
                        self._predict(states) if evaluate else None,
                        self.program.snapshot(states) if keep else None,
                    )
                )
                while len(pending) > (0 if stop or last else 1):
                    self._settle(pending.popleft(), checkpoints, bar)
                if stop and not last:
                    checkpoints.wait()
                    print(f"terminated: checkpoint of update {step} is written", file=sys.stderr)
                    raise SystemExit(143)

    def _predict(self, states: State) -> dict[str, list[jax.Array]]:
        size = self.config.train.evaluation_batch_size
        return {
            name: [
                self.program.predict(states, self.data, images[i : i + size])
                for i in range(0, len(labels), size)
            ]
            for name, (images, labels) in self.splits.items()
        }

    def _settle(self, interval: _Interval, checkpoints, bar) -> None:
        """Look at an interval: check, log, score, and only then commit its snapshot."""
        losses = np.concatenate([np.asarray(loss) for loss in interval.losses])
        self._check_finite(losses, interval)
        means = losses.mean(axis=0)
        names = self.program.loss_names
        for seed, values in zip(self.seeds, means):
            self.log.write(interval.step, self.epoch(interval.step), seed, dict(zip(names, values)))
        bar.update(interval.step - bar.n)
        shown = {name.split("/")[0][:5]: f"{v:.3g}" for name, v in zip(names, means.mean(axis=0))}
        if interval.outputs is not None:
            self.final_metrics = self._scores(interval.outputs)
            for seed, scores in zip(self.seeds, self.final_metrics):
                self.log.write(interval.step, self.epoch(interval.step), seed, scores)
            name = next(name for name in self.final_metrics[0] if name.startswith("test_"))
            value = np.mean([scores[name] for scores in self.final_metrics])
            self.shown_error = f"{value:.2f}%" if name.endswith("percent") else f"{value:.4g}"
            self.shown_name = name.removesuffix("_percent").replace("_", " ")
        shown[self.shown_name] = self.shown_error
        bar.set_postfix(shown, refresh=False)
        if interval.snapshot is not None:
            self.final_states = jax.device_get(interval.snapshot[0])
            seconds = self.seconds_before + time.monotonic() - self.started
            checkpoints.save(interval.step, self.final_states, seconds)
            if interval.step == self.total:
                checkpoints.wait()
                self.log.flush()
                self._write_result(self.final_states, seconds)

    def epoch(self, step: int) -> float:
        return round(step / self.spec.updates_per_epoch, 4)

    def _scores(self, outputs: dict[str, list[jax.Array]]) -> list[dict[str, float]]:
        arrays = {
            name: np.concatenate([np.asarray(block) for block in blocks], axis=1)
            for name, blocks in outputs.items()
        }
        return [
            self.score({name: (arrays[name][i], self.splits[name][1]) for name in arrays})
            for i in range(len(self.seeds))
        ]

    def _check_finite(self, losses: np.ndarray, interval: _Interval) -> None:
        bad = np.argwhere(~np.isfinite(losses))
        if len(bad):
            update, seed, loss = bad[0]
            phase = self.program.loss_names[loss].split("/")[0]
            step = interval.step - len(losses) + int(update) + 1
            what = f"the loss of phase '{phase}' became {losses[update, seed, loss]}"
            seed = self.seeds[seed]
        elif interval.snapshot is not None and not np.all(interval.snapshot[1]):
            seed = self.seeds[int(np.argmin(interval.snapshot[1]))]
            step, what = interval.step, "parameters became infinite or not a number"
        else:
            return
        raise UserError(
            f"{what} for seed {seed} at update {step}: lower its learning rate; checkpoints from "
            f"before it are kept in {self.directory / 'checkpoints'}"
        )

    def _write_result(self, states: State, seconds: float) -> None:
        """The final word, once everything it speaks of is on disk."""
        result = {
            "seeds": self.seeds,
            "step": self.total,
            "metrics": self.final_metrics,
            "params_sha256": [
                params_sha256(jax.tree.map(lambda x, i=i: x[i], states.params))
                for i in range(len(self.seeds))
            ],
            "wall_seconds": seconds,
        }
        write_json(self.directory / "result.json", result)

    def _finished(self, states: State) -> list[dict[str, Any]]:
        result = json.loads((self.directory / "result.json").read_text())
        return [
            {
                "metrics": result["metrics"][i],
                "params_sha256": result["params_sha256"][i],
                "wall_seconds": result["wall_seconds"] / len(self.seeds),
                "state": jax.tree.map(lambda x, i=i: np.asarray(x)[i], states),
                "curve": self.log.curve(seed, result["metrics"][i]),
            }
            for i, seed in enumerate(self.seeds)
        ]


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file so that a reader sees all of it or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _progress_bar(seeds: tuple[int, ...], step: int, total: int):
    name = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]}-{seeds[-1]}"
    return progress_bar(name, "updates", total, initial=step, smoothing=0.05)


def progress_bar(name: str, unit: str, total: int, **options: Any):
    """A tqdm bar on stderr; where that is no terminal, a line a minute."""
    from tqdm import tqdm

    interval = 0.5 if sys.stderr.isatty() else 60.0
    return tqdm(total=total, desc=name, unit=f" {unit}", mininterval=interval, **options)


class _Log:
    """metrics.jsonl, and the same numbers as TensorBoard events."""

    def __init__(self, directory: Path, seeds: tuple[int, ...]):
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "metrics.jsonl"
        self.events = directory / "tensorboard"
        self.seeds = seeds
        self._file: Any = None
        self._writer: Any = None

    def cut_off(self, step: int) -> None:
        """Forget what lies past ``step``, and get ready to write on from there."""
        from tensorboardX import SummaryWriter

        entries = [entry for entry in self._read() if entry["step"] <= step]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        os.replace(temporary, self.path)
        self._file = open(self.path, "a")  # noqa: SIM115, closed by close()
        # An event file cannot be cut, but it can be written anew.
        shutil.rmtree(self.events, ignore_errors=True)
        self._writer = SummaryWriter(str(self.events))
        for entry in entries:
            self._event(entry)

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        entries = []
        for line in self.path.read_text().splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:  # the line that a kill tore
                break
        return entries

    def _event(self, entry: dict[str, Any]) -> None:
        for name, value in entry.items():
            if name not in ("step", "epoch", "seed"):
                self._writer.add_scalar(f"{name}/seed_{entry['seed']}", value, entry["step"])

    def write(self, step: int, epoch: float, seed: int, values: dict[str, float]) -> None:
        entry = {"step": step, "epoch": epoch, "seed": seed}
        entry |= {name: float(value) for name, value in values.items()}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        self._event(entry)

    def curve(self, seed: int, metrics: dict[str, float]) -> list[dict[str, float]]:
        """The evaluations of a seed: entries that hold the names in ``metrics``."""
        return [e for e in self._read() if e["seed"] == seed and set(metrics) <= set(e)]

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._writer.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._writer.close()
