"""How long a row will take, from what it took the last time."""

import ml_collections

from experiments.harness import ledger
from experiments.harness.tables import duration


def estimate(config: ml_collections.ConfigDict) -> str:
    """The time for a row's epochs and seeds in words, by the latest record of its row and profile,
    whatever that run's overrides were; measuring counts as training."""
    records = ledger.read(ledger.directory() / f"{config.experiment}.jsonl")
    names = (config.row, config.profile)
    known = [r for r in records if (r["row"], r["profile"]) == names and r["epochs"]]
    if not known:
        if config.profile == "smoke":
            return "about a minute"
        return "never measured; the progress bar will tell"
    last = known[-1]
    per_epoch = last["wall_seconds"] / (len(last["seeds"]) * last["epochs"])
    seeds = "1 seed" if config.train.seeds == 1 else f"{config.train.seeds} seeds"
    total = duration(per_epoch * config.train.epochs * config.train.seeds)
    return f"about {total} ({seeds}), as on {last['device']} the last time"
