"""Which experiments there are: ``experiments/<paper>/<what>.py`` is ``<paper>_<what>``.

Its config is ``configs/<paper>/<what>.py``, its ledger ``results/<paper>_<what>.jsonl`` and its
make target ``reproduce-<what>-<paper>``. A paper's or system's name, and a table's, is letters and
digits.
"""

import importlib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def names() -> list[str]:
    """All experiments, such as ``aae_table2``."""
    files = (ROOT / "experiments").glob("*/*.py")
    return sorted(
        f"{path.parent.name}_{path.stem}"
        for path in files
        if path.parent.name != "harness" and path.stem.isalnum()
    )


def module(name: str) -> ModuleType:
    """The module of an experiment."""
    return importlib.import_module("experiments." + name.replace("_", ".", 1))


def config_file(name: str) -> Path:
    """The config file of an experiment; of one that draws another's runs (its module's ``DRAWS``),
    that one's."""
    paper, what = getattr(module(name), "DRAWS", name).split("_", 1)
    return ROOT / "configs" / paper / f"{what}.py"


def target(name: str) -> str:
    """``table2-aae`` from ``aae_table2``."""
    paper, what = name.split("_", 1)
    return f"{what}-{paper}"
