"""A record for the tests of the ledger and its tables."""

from experiments.harness import ledger


def record(**changes):
    """A record as ``make_record`` would write it, without asking git or the device."""
    full = {
        "experiment": "aae_table2",
        "row": "mnist_100",
        "profile": "fast",
        "metric": "test_error_percent",
        "paper": {"mean": 1.9, "std": 0.1},
        "seeds": [0, 1],
        "values": [2.0, 3.0],
        "mean": 2.5,
        "std": 0.70710678,
        "selection": "final",
        "updates": 50000,
        "epochs": 100,
        "dataset": "mnist/3.0.1",
        "dataset_sha256": "ab",
        "config": {},
        "overrides": {},
        "device": "cpu (2 cores)",
        "versions": {},
        "commit": "0123456789abcdef",
        "dirty": False,
        "wall_seconds": 7260.0,
        "params_sha256": ["aa", "bb"],
    }
    assert tuple(full) == ledger.KEYS
    return full | changes
