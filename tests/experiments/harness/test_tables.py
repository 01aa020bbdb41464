"""The tables rendered from the ledger."""

import pytest
from ledger_records import record

from aae_jax.errors import UserError
from experiments.harness import ledger, tables
from experiments.harness.tables import Headline, Row, Table

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
        Row(name="svhn_1000", label="SVHN | 1000", data="svhn_cropped"),
    ),
)
STAND_IN = "digits (stand-in, scikit-learn)"


def rows_of(markdown):
    """The cells of each body line of a Markdown table."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def details_of(markdown):
    """The lines about data sets, devices and commits."""
    folded = markdown.partition("<summary>Data sets")[2].partition("</details>")[0]
    return [line.removeprefix("- ") for line in folded.splitlines() if line.startswith("- ")]


def test_table_lines():
    text = tables.render_table(TABLE, [record(), record(profile="paper", mean=1.95, std=0.1)])
    assert text.splitlines()[0] == "**AAE, Table 2** (`test_error_percent`)"
    header = next(line for line in text.splitlines() if line.startswith("| "))
    assert header == "| row | profile | paper | ours | seeds | updates | time per seed |"
    tail = ["2", "50,000", "1 h 0 min"]
    label, paper = "MNIST, 100 labels", "1.90 ± 0.10"
    assert rows_of(text) == [
        [label, "paper", paper, "1.95 ± 0.10", *tail],
        [label, "fast", paper, "2.50 ± 0.71", *tail],
        ["MNIST, 1000 labels", "–", "1.60 ± 0.08", "not run", *["–"] * 3],
        ["SVHN \\| 1000", "–", "–", "not run", *["–"] * 3],
    ]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 8 for line in lines)
    facts = "mnist/3.0.1, 100 epochs, cpu (2 cores), 2 h 1 min in all, commit 0123456"
    assert details_of(text) == [f"{label}, paper: {facts}", f"{label}, fast: {facts}"]


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
        dataset=STAND_IN,
        dirty=True,
        epochs=2.5,
        wall_seconds=42.4,
    )
    text = tables.render_table(TABLE, [one])
    assert rows_of(text)[0][1:] == ["smoke", "–", "4.20", "1", "50,000", "42 s"]
    (details,) = details_of(text)
    assert details.endswith(
        f"{STAND_IN}, 2.5 epochs, cpu (2 cores), 42 s in all, commit 0123456+dirty"
    )


@pytest.mark.parametrize(
    ("dataset", "ours"),
    [
        ("mnist/3.0.1", True),
        ("mnist", True),
        ("mnist/3.0.1, classes 0, 1, 2", True),
        ("mnist, 5 folds", True),
        ("mnist_corrupted/1.0.0", False),
        (STAND_IN, False),
    ],
)
def test_the_papers_number_stands_beside_one_of_its_own_data_set_only(dataset, ours):
    row = TABLE.rows[0]
    assert tables.on_named_data(row, record(dataset=dataset)) is ours
    shown = rows_of(tables.render_table(TABLE, [record(dataset=dataset)]))[0][2]
    assert shown == ("1.90 ± 0.10" if ours else "–")
    lines = tables.side_by_side(TABLE, "mnist_100", record(dataset=dataset)).splitlines()
    assert any(line.startswith("  paper ") for line in lines) is ours
    assert any("25.80" in line for line in lines) is ours
    sentence = "  the paper's numbers are of mnist, so none stands beside this one"
    assert (lines[-1] == sentence) is not ours


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
    assert rows_of(tables.render_table(TABLE, [one]))[0][6] == text


def test_table_of_an_unknown_commit():
    text = tables.render_table(TABLE, [record(commit="unknown", dirty=None)])
    assert details_of(text)[0].endswith("commit unknown")


def test_table_decimals_follow_the_table():
    text = tables.render_table(TABLE._replace(decimals=0), [record(mean=340.4, std=2.2)])
    assert rows_of(text)[0][2:4] == ["2 ± 0", "340 ± 2"]


def test_further_metrics_are_means_over_seeds_where_the_record_has_them():
    table = TABLE._replace(shown=("nmi", "clusters_in_use", "sigma"))
    with_extra = record(extra={"nmi": [0.5, 0.75], "clusters_in_use": [30.0, 30.0]})
    text = tables.render_table(table, [with_extra, record(profile="paper")])
    paper, fast = details_of(text)
    assert fast.startswith("MNIST, 100 labels, fast: nmi 0.625; clusters in use 30; mnist/3.0.1,")
    assert paper.startswith("MNIST, 100 labels, paper: mnist/3.0.1,")


def test_a_seed_is_chosen_by_what_needs_no_labels_and_never_by_its_error():
    table = TABLE._replace(selection="validation_reconstruction")
    costs = {"validation_reconstruction": [8.5, 7.5, 9.5]}
    several = record(values=[1.0, 2.5, 1.5], seeds=[0, 1, 2], mean=1.67, extra=costs)
    (line,) = details_of(tables.render_table(table, [several]))
    assert "2.50 of the seed with the lowest validation reconstruction, without labels" in line
    assert rows_of(tables.render_table(table, [several]))[0][3].startswith("1.67")
    one = record(values=[1.0], seeds=[0], mean=1.0, extra={"validation_reconstruction": [8.5]})
    for other in (one, record()):
        assert "lowest" not in tables.render_table(table, [other])


def test_notes_stand_below_the_table():
    rows = (TABLE.rows[0]._replace(note="Chosen after seeing seed 0."), *TABLE.rows[1:])
    text = tables.render_table(TABLE._replace(rows=rows), [record()])
    visible = text.partition("<details>")[0]
    assert visible.splitlines()[-2:] == ["- MNIST, 100 labels: Chosen after seeing seed 0.", ""]


def test_table_names_records_it_has_no_row_for():
    text = tables.render_table(TABLE, [record(row="gone"), record(metric="nmi", mean=5.55)])
    assert "5.55" not in text
    assert [row[3] for row in rows_of(text)] == ["not run"] * 3
    assert text.splitlines()[-1] == (
        "Records that belong to no row of this table: row `gone` of `aae_table2` "
        "(`test_error_percent`), row `mnist_100` of `aae_table2` (`nmi`)."
    )


def test_a_table_is_rendered_from_its_file(tmp_path):
    ledger.append(record(mean=1.23), tmp_path)
    other = Table("aae_table1", "AAE, Table 1", "parzen_nats", (Row("mnist", "MNIST"),), 0)
    assert "1.23 ± 0.71" in tables.render_from(TABLE, tmp_path)
    assert rows_of(tables.render_from(other, tmp_path))[0][3] == "not run"


def test_the_short_table_has_a_line_an_entry(tmp_path):
    ledger.append(record(mean=1.23), tmp_path)
    ledger.append(record(mean=9.99, overrides={"train.epochs": 3}), tmp_path)
    entries = [
        Headline("aae_table2", "mnist_100", "100 labels: error, %"),
        Headline("aae_table2", "mnist_1000", "1000 labels: error, %"),
        Headline("aae_table2", "mnist_100", "100 labels, to the letter: error, %", "paper"),
    ]
    text = tables.render_headline(entries, [TABLE], tmp_path)
    assert rows_of(text) == [
        ["100 labels: error, %", "1.90 ± 0.10", "1.23 ± 0.71", "fast", "2", "50,000"],
        ["1000 labels: error, %", "1.60 ± 0.08", "not run", "–", "–", "–"],
        ["100 labels, to the letter: error, %", "1.90 ± 0.10", "not run", "–", "–", "–"],
    ]
    for unknown in (Headline("aae_table9", "a", ""), Headline("aae_table2", "a", "")):
        with pytest.raises(ValueError, match=r"aae_table9|has no row 'a'"):
            tables.render_headline([unknown], [TABLE], tmp_path)


PAGE = "# Title\n<!-- headline -->\nold\n<!-- /headline -->\nend \\1\n"


def test_update_page_replaces_what_stands_between_the_markers(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    assert tables.update_page(path, {"headline": "new \\1\n"})
    text = path.read_text()
    assert text == PAGE.replace("\nold\n", "\n\nnew \\1\n\n")
    assert not tables.update_page(path, {"headline": "new \\1\n"})
    assert path.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n",
        "<!-- headline -->\n",
        "<!-- /headline -->\n",
        "<!-- /headline -->\n<!-- headline -->\n",
        PAGE + PAGE,
    ],
)
def test_update_page_needs_the_markers(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    with pytest.raises(UserError, match="<!-- headline -->"):
        tables.update_page(path, {"headline": "new"})
    assert path.read_text() == text


def test_side_by_side_aligns_the_papers_numbers_and_ours():
    changed = record(overrides={"train.epochs": 3})
    assert tables.side_by_side(TABLE, "mnist_100", changed).splitlines() == [
        "MNIST, 100 labels: test_error_percent",
        "  NN baseline                  25.80",
        "  VAE (M1 + M2)                 3.33  ± 0.14",
        "  paper                         1.90  ± 0.10",
        "  ours (fast, train.epochs=3)   2.50  ± 0.71  2 seeds, mnist/3.0.1",
    ]


def test_side_by_side_without_a_number_of_the_paper():
    one = record(seeds=[0], std=None)
    assert tables.side_by_side(TABLE, "svhn_1000", one) == (
        "SVHN | 1000: test_error_percent\n  ours (fast)  2.50    1 seed, mnist/3.0.1\n"
    )
    with pytest.raises(ValueError, match="has no row 'x'"):
        tables.side_by_side(TABLE, "x", one)


def test_jax_is_imported_only_where_it_is_needed():
    assert not hasattr(tables, "jax")


def test_table_cites_the_papers_other_rows():
    text = tables.render_table(TABLE, [])
    assert text.splitlines()[-5:] == [
        "<details><summary>The other rows of the paper's table, as it prints them</summary>",
        "",
        "- MNIST, 100 labels: NN baseline 25.80, VAE (M1 + M2) 3.33 ± 0.14",
        "",
        "</details>",
    ]
