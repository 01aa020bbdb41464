"""What a checkpoint in every epoch costs: epochs of the AAE of table 2, 600 updates each, with one
checkpoint an epoch and with none but the last."""

import pathlib
import statistics
import tempfile

from benchmarks import common

NAME = "a checkpoint every epoch"
GOAL = 3.0  # percent
_BATCH, _UPDATES, _EPOCHS, _ROUNDS = 100, 600, 3, 3


def seconds(every: int) -> float:
    """Of training for some epochs, with a checkpoint after every so many."""
    import numpy as np

    from aae_jax import data, methods, training

    config = training.default_config()
    config.data.update(batch_size=_BATCH, labelled_batch_size=_BATCH)
    config.train.update(epochs=_EPOCHS, checkpoint_every=every, evaluate_every=_EPOCHS)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_BATCH * _UPDATES, 28, 28, 1), np.uint8)
    train = data.Images(images, rng.integers(0, 10, len(images)).astype(np.int32))
    test = data.Images(train.images[:100], train.labels[:100])
    dataset = data.Dataset("noise", "0" * 64, data.Scaling(255), 10, train, test, test)
    spec = training.data_spec(dataset, config)
    method = methods.build("semi_supervised_aae", spec=spec)
    with tempfile.TemporaryDirectory() as folder:
        result = training.fit(method, dataset, config, spec=spec, workdir=pathlib.Path(folder))
    return result.wall_seconds


def measure() -> str:
    """The median over rounds, both sides in turn in one process."""
    seconds(_EPOCHS)  # compiles
    rounds = [(seconds(1), seconds(_EPOCHS)) for _ in range(_ROUNDS)]
    # Both save at the end: what differs are all but one of the epochs' checkpoints.
    share = _EPOCHS / (_EPOCHS - 1)
    cost = 100 * share * statistics.median(often / once - 1 for often, once in rounds)
    often, once = (statistics.median(column) / _EPOCHS for column in zip(*rounds))
    measured = f"{cost:.1f} % of an epoch's time ({often:.1f} s and {once:.1f} s)"
    return common.line(NAME, measured, f"at most {GOAL:g} %", cost <= GOAL)
