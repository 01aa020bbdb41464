"""``make tables``: render the README's tables from the ledgers."""

from experiments.harness import catalogue, cli
from experiments.harness.ledger import directory
from experiments.harness.tables import Table, update_readme


def tables() -> list[Table]:
    """The tables of all experiments, by name."""
    modules = [catalogue.module(name) for name in catalogue.names()]
    return [module.TABLE for module in modules if hasattr(module, "TABLE")]


def main() -> None:
    changed = update_readme(catalogue.ROOT / "README.md", tables(), directory())
    print(f"README.md: {'tables rendered' if changed else 'tables are up to date'}")


if __name__ == "__main__":
    cli.run_main(main)
