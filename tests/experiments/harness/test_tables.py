"""The tables rendered from the ledger."""

import pytest
from ledger_records import record

from aae_jax.errors import UserError
from experiments.harness import ledger, tables
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="aae_table2",
    title="AAE, Table 2",
    metric="test_error_percent",
    rows=(
        Row(
            name="mnist_100",
            label="MNIST, 100 labels",
            paper=(1.9, 0.1),
            cited=(("NN baseline", 25.8, None), ("VAE (M1 + M2)", 3.33, 0.14)),
        ),
        Row(name="mnist_1000", label="MNIST, 1000 labels", paper=(1.6, 0.08)),
        Row(name="svhn_1000", label="SVHN | 1000"),
    ),
)


def rows_of(markdown):
    """The cells of each body line of a Markdown table."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_table_lines():
    text = tables.render_table(TABLE, [record(), record(profile="paper", mean=1.95, std=0.1)])
    assert text.splitlines()[0] == "**AAE, Table 2** (`test_error_percent`)"
    header = next(line for line in text.splitlines() if line.startswith("| "))
    assert header == (
        "| row | profile | paper | ours | seeds | updates | epochs | data set | device "
        "| time per seed | commit |"
    )
    time = "1 h 0 min (2 h 1 min in all)"
    tail = ["2", "50,000", "100", "mnist:3.0.1", "cpu (2 cores)", time, "0123456"]
    label, paper = "MNIST, 100 labels", "1.90 ± 0.10"
    assert rows_of(text) == [
        [label, "paper", paper, "1.95 ± 0.10", *tail],
        [label, "fast", paper, "2.50 ± 0.71", *tail],
        ["MNIST, 1000 labels", "–", "1.60 ± 0.08", "not run", *["–"] * 7],
        ["SVHN \\| 1000", "–", "–", "not run", *["–"] * 7],
    ]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 12 for line in lines)


def test_table_shows_the_latest_record():
    text = tables.render_table(TABLE, [record(mean=1.11), record(mean=9.99)])
    assert "9.99" in text
    assert "1.11" not in text


def test_table_names_overrides_and_does_not_count_them_as_the_row():
    overridden = record(overrides={"train.epochs": 3, "model.name": "x"}, mean=7.77)
    rows = rows_of(tables.render_table(TABLE, [overridden]))
    assert [row[:4] for row in rows[:2]] == [
        ["MNIST, 100 labels", "–", "1.90 ± 0.10", "not run"],
        ["MNIST, 100 labels", "fast, model.name=x, train.epochs=3", "1.90 ± 0.10", "7.77 ± 0.71"],
    ]
    both = rows_of(tables.render_table(TABLE, [record(), overridden]))
    assert [row[3] for row in both[:2]] == ["2.50 ± 0.71", "7.77 ± 0.71"]


def test_table_of_one_seed_a_stand_in_and_a_dirty_checkout():
    one = record(
        profile="smoke",
        seeds=[0],
        mean=4.2,
        std=None,
        dataset="digits 8x8 (stand-in)",
        dirty=True,
        epochs=2.5,
        wall_seconds=42.4,
    )
    assert rows_of(tables.render_table(TABLE, [one]))[0][3:] == [
        "4.20",
        "1",
        "50,000",
        "2.5",
        "digits 8x8 (stand-in)",
        "cpu (2 cores)",
        "42 s",
        "0123456+dirty",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (125.0, "2 min 5 s"),
        (3599.7, "1 h 0 min"),
        (7199.0, "2 h 0 min"),
        (90000.0, "25 h 0 min"),
    ],
)
def test_table_time(seconds, text):
    one = record(seeds=[0], wall_seconds=seconds)
    assert rows_of(tables.render_table(TABLE, [one]))[0][9] == text


def test_table_of_an_unknown_commit():
    text = tables.render_table(TABLE, [record(commit="unknown", dirty=None)])
    assert rows_of(text)[0][10] == "unknown"


def test_table_decimals_follow_the_table():
    text = tables.render_table(TABLE._replace(decimals=0), [record(mean=340.4, std=2.2)])
    assert rows_of(text)[0][2:4] == ["2 ± 0", "340 ± 2"]


def test_table_names_records_it_has_no_row_for():
    text = tables.render_table(TABLE, [record(row="gone"), record(metric="nmi", mean=5.55)])
    assert "5.55" not in text
    assert [row[3] for row in rows_of(text)] == ["not run"] * 3
    assert text.splitlines()[-1] == (
        "Records that belong to no row of this table: row `gone` of `aae_table2` "
        "(`test_error_percent`), row `mnist_100` of `aae_table2` (`nmi`)."
    )


def test_render_reads_each_table_from_its_file(tmp_path):
    ledger.append(record(mean=1.23), tmp_path)
    other = Table("aae_table1", "AAE, Table 1", "parzen_nats", (Row("mnist", "MNIST"),), 0)
    text = tables.render([TABLE, other], tmp_path)
    assert "1.23 ± 0.71" in text
    assert text.index("AAE, Table 2") < text.index("AAE, Table 1")
    assert rows_of(text.split("AAE, Table 1")[1])[0][3] == "not run"


README = "# Title\n<!-- table:aae_table2 -->\nold\n<!-- /table:aae_table2 -->\nend \\1\n"


def test_update_readme_replaces_what_stands_between_the_markers(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    ledger.append(record(), tmp_path)
    assert tables.update_readme(path, [TABLE], tmp_path)
    text = path.read_text()
    table = tables.render_table(TABLE, [record()])
    assert text == README.replace("\nold\n", f"\n\n{table}\n")
    assert not tables.update_readme(path, [TABLE], tmp_path)
    assert path.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n",
        "<!-- table:aae_table2 -->\n",
        "<!-- /table:aae_table2 -->\n",
        "<!-- /table:aae_table2 -->\n<!-- table:aae_table2 -->\n",
        README + README,
    ],
)
def test_update_readme_needs_the_markers(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(UserError, match="<!-- table:aae_table2 -->"):
        tables.update_readme(path, [TABLE], tmp_path)
    assert path.read_text() == text


def test_side_by_side_aligns_the_papers_numbers_and_ours():
    changed = record(overrides={"train.epochs": 3})
    assert tables.side_by_side(TABLE, "mnist_100", changed).splitlines() == [
        "MNIST, 100 labels: test_error_percent",
        "  NN baseline                  25.80",
        "  VAE (M1 + M2)                 3.33  ± 0.14",
        "  paper                         1.90  ± 0.10",
        "  ours (fast, train.epochs=3)   2.50  ± 0.71  2 seeds, mnist:3.0.1",
    ]


def test_side_by_side_without_a_number_of_the_paper():
    one = record(seeds=[0], std=None)
    assert tables.side_by_side(TABLE, "svhn_1000", one) == (
        "SVHN | 1000: test_error_percent\n  ours (fast)  2.50    1 seed, mnist:3.0.1\n"
    )
    with pytest.raises(ValueError, match="has no row 'x'"):
        tables.side_by_side(TABLE, "x", one)


def test_table_cites_the_papers_other_rows():
    text = tables.render_table(TABLE, [])
    assert text.splitlines()[-1] == (
        "The other rows of the paper's table, as it prints them: MNIST, 100 labels: "
        "NN baseline 25.80, VAE (M1 + M2) 3.33 ± 0.14."
    )


def test_jax_is_imported_only_where_it_is_needed():
    assert not hasattr(tables, "jax")
