"""``make tables``: render ``docs/results.md`` and the README's short table from the ledgers."""

from experiments.harness import catalogue, cli, ledger
from experiments.harness.tables import (
    Headline,
    Table,
    render_from,
    render_headline,
    update_page,
)

HEADLINE = (
    Headline("aae_table2", "mnist_100", "AAE, MNIST with 100 labels: test error, %"),
    Headline("aae_table2", "mnist_1000", "AAE, MNIST with 1000 labels: test error, %"),
    Headline("aae_table2", "mnist_all", "AAE, MNIST with all labels: test error, %"),
    Headline("aae_table3", "mnist_30", "AAE, MNIST in 30 clusters: test error, %"),
    Headline("aae_table3", "mnist_16", "AAE, MNIST in 16 clusters: test error, %"),
    Headline("aae_table1", "mnist_10k", "AAE, MNIST, 10K samples: log-likelihood, nats"),
    Headline("aae_table1", "mnist_10m", "AAE, MNIST, 10M samples: log-likelihood, nats"),
    Headline("pixelgan_table1", "mnist_unsupervised", "PixelGAN, MNIST in 30 clusters: error, %"),
    Headline("pixelgan_table1", "mnist_100", "PixelGAN, MNIST with 100 labels: test error, %"),
    Headline("pixelgan_fig5", "three_digits", "PixelGAN, three digits in 3 clusters: error, %"),
    Headline("iae_semisupervised", "mnist_100", "IAE, MNIST with 100 labels: test error, %"),
    Headline("infogan_codes", "mnist", "InfoGAN, MNIST in 10 clusters: error by majority, %"),
)


def tables() -> list[Table]:
    """The tables of all experiments, by name."""
    modules = [catalogue.module(name) for name in catalogue.names()]
    return [module.TABLE for module in modules if hasattr(module, "TABLE")]


def pages() -> dict[str, dict[str, str]]:
    """What is rendered: by page, a text for each pair of markers."""
    all_tables, folder = tables(), ledger.directory()
    return {
        "docs/results.md": {
            f"table:{table.experiment}": render_from(table, folder) for table in all_tables
        },
        "README.md": {"headline": render_headline(HEADLINE, all_tables, folder)},
    }


def main() -> None:
    for name, parts in pages().items():
        changed = update_page(catalogue.ROOT / name, parts)
        print(f"{name}: {'rendered anew' if changed else 'up to date'}")


if __name__ == "__main__":
    cli.run_main(main)
