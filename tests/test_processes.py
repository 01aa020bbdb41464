"""Several processes on one run: two of two devices each, over loopback."""

import json
import signal
import socket
import time

import numpy as np
import pytest

from aae_jax import processes, program, training
from aae_jax.errors import UserError

PROGRAM = "tests/processes_program.py"


@pytest.fixture
def start(start_program, tmp_path):
    """``start(*tasks, num=2)``: the processes, of four devices in all."""

    def begin(*tasks, num=2, there=None, **environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment |= {"JAX_NUM_CPU_DEVICES": str(4 // num)}
        if num > 1:
            environment["JAX_COORDINATOR_ADDRESS"] = f"127.0.0.1:{port}"
            environment["JAX_NUM_PROCESSES"] = str(num)
        started = []
        for i in range(num if there is None else there):
            own = {"JAX_PROCESS_ID": str(i)} if num > 1 else {}
            arguments = (PROGRAM, json.dumps(tasks), str(tmp_path))
            started.append(start_program(*arguments, **environment, **own))
        return started

    return begin


def finish(started, timeout=240):
    """Status and standard error's lines of each."""
    ended = [(*process.communicate(timeout=timeout), process.returncode) for process in started]
    return [(code, err.strip().splitlines()) for _, err, code in ended]


def _begun(process, task):
    """Wait until a process says that it begins a task."""
    for line in process.stdout:
        if line.startswith("{") and json.loads(line) == {"begins": task}:
            return


def agree(one, other):
    assert one["updates"] == other["updates"]
    np.testing.assert_allclose(one["params"], other["params"], rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(one["error"], other["error"], atol=1.0)


def test_two_processes_are_one_and_checkpoints_of_either_resume_under_the_other(start, tmp_path):
    def found(process):
        return json.loads((tmp_path / f"found-{process}.json").read_text())

    assert finish(start(["run", "whole", 2], ["run", "a", 1], num=1))[0][0] == 0
    whole, half = found(0)
    ended = finish(start(["run", "b", 1], ["run", "a", 2], ["differ"], ["refuse"]))
    assert [code for code, _ in ended] == [0, 0]
    for process in (0, 1):
        b, a, differ, (by_second, by_first) = found(process)
        agree(b, half)
        agree(a, whole)
        assert differ.startswith("process 1 has epochs 4, and process 0 3: start the same")
        assert by_second.endswith("no disk in 1") and by_first.endswith("no disk in 0")
    assert found(0)[:2] == found(1)[:2]  # to the bit
    # What one process would have written, once: a line every two updates and an evaluation each.
    logs = [(tmp_path / name / "seed_0" / "metrics.jsonl").read_text() for name in ("a", "whole")]
    assert len(logs[0].splitlines()) == len(logs[1].splitlines())
    assert finish(start(["run", "b", 2], num=1))[0][0] == 0
    agree(found(0)[0], whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_one_process_ends_all_and_nothing_is_lost(start, tmp_path, number):
    task = ["run", "a", 100_000]
    first, second = start(task)
    _begun(second, task)
    checkpoints = tmp_path / "a" / "seed_0" / "checkpoints"
    deadline = time.monotonic() + 120
    while not any(path.name.isdigit() for path in checkpoints.glob("*")):
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.2)
    second.send_signal(number)
    (code, err), (other, _) = finish([first, second], timeout=60)
    if number == signal.SIGTERM:
        assert (code, other) == (143, 143)
        assert sum("terminated: checkpoint of update " in line for line in err) == 1
    else:
        assert (code, other) == (2, -signal.SIGKILL)
        assert sum("error: another process of the run has ended" in line for line in err) == 1
        assert not any("Traceback" in line for line in err)
    assert any(path.name.isdigit() for path in checkpoints.glob("*"))


def test_a_process_that_does_not_come_is_not_waited_for_without_end(start):
    ((code, err),) = finish(start(["differ"], there=1, TIMEOUT="4"), timeout=60)
    assert code == 2
    assert err[-1].startswith("error: not all processes of the run were there within 4 s: start")


def test_devices_that_seeds_and_batches_do_not_fill_are_refused(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "devices", lambda: [None] * 4)
    train = training.default_config().train
    with pytest.raises(UserError, match=r"1 seeds at once .* the 4 devices of 2 processes: change"):
        program.layout(train, (50, 30))
    train.seeds = 2
    assert program.layout(train, (50, 30)) == program.Layout(2, 2, 2)  # seeds first


def test_one_process_needs_nobody():
    assert processes.count() == 1 and processes.leads()
    assert processes.tell([1]) == [1] and processes.texts("a") == ["a"]
    assert processes.agreed(3) == 3 and processes.first(lambda: 5) == 5
    processes.same(anything=1)
