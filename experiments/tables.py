"""``make tables``: render the README's tables from the ledgers."""

import importlib

from aae_jax import results
from experiments import cli
from experiments.runner import ROOT, ledger_dir


def tables() -> list[results.Table]:
    """The tables of all experiments, by name."""
    modules = sorted(path.stem for path in (ROOT / "configs").glob("*_*.py"))
    found = [importlib.import_module(f"experiments.{name}") for name in modules]
    return [module.TABLE for module in found if hasattr(module, "TABLE")]


def main() -> None:
    changed = results.update_readme(ROOT / "README.md", tables(), ledger_dir())
    print(f"README.md: {'tables rendered' if changed else 'tables are up to date'}")


if __name__ == "__main__":
    cli.run_main(main)
