"""The ledger's records, its file, and the tables rendered from it."""

import concurrent.futures
import fcntl
import hashlib
import json
import math
import os
import subprocess

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from aae_jax import results
from aae_jax.errors import UserError
from aae_jax.results import Row, Table

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
        "dataset": "mnist:3.0.1",
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
    assert tuple(full) == results.KEYS
    return full | changes


def made(**changes):
    arguments = {
        "experiment": "aae_table2",
        "row": "mnist_100",
        "profile": "fast",
        "metric": "test_error_percent",
        "paper": (1.9, 0.1),
        "seeds": range(3),
        "values": np.asarray([1.0, 2.0, 4.0], np.float32),
        "selection": "final",
        "updates": np.int64(500),
        "epochs": 10,
        "dataset": "mnist:3.0.1",
        "dataset_sha256": "ab",
        "config": {"train": {"epochs": 10}},
        "overrides": {},
        "wall_seconds": 12.5,
        "params_sha256": ["a", "b", "c"],
        "commit": "c0ffee",
        "dirty": False,
    }
    return results.make_record(**(arguments | changes))


def rows_of(markdown):
    """The cells of each body line of a Markdown table."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


# --- make_record ---------------------------------------------------------------------------


def test_record_has_the_keys_in_their_order_and_survives_json():
    made_record = made()
    assert tuple(made_record) == results.KEYS
    assert json.loads(json.dumps(made_record, allow_nan=False)) == made_record
    assert made_record["seeds"] == [0, 1, 2]
    assert made_record["updates"] == 500
    assert made_record["paper"] == {"mean": 1.9, "std": 0.1}
    assert (made_record["commit"], made_record["dirty"]) == ("c0ffee", False)


def test_record_mean_and_std_over_seeds():
    made_record = made()
    assert made_record["values"] == [1.0, 2.0, 4.0]
    assert made_record["mean"] == pytest.approx(7 / 3)
    assert made_record["std"] == pytest.approx(np.std([1.0, 2.0, 4.0], ddof=1))


def test_record_of_one_seed_has_no_std():
    made_record = made(seeds=[7], values=[1.5], params_sha256=["a"])
    assert (made_record["mean"], made_record["std"]) == (1.5, None)


@pytest.mark.parametrize(
    ("paper", "expected"),
    [
        (None, None),
        ((1.9, None), {"mean": 1.9, "std": None}),
        ({"mean": 340, "std": 2}, {"mean": 340.0, "std": 2.0}),
    ],
)
def test_record_paper(paper, expected):
    assert made(paper=paper)["paper"] == expected


def test_record_config_becomes_plain_json():
    config = ml_collections.ConfigDict(
        {
            "hidden": (10, 5),
            "rate": np.float32(0.5),
            "clip": math.inf,
            "act": jnp.tanh,
            "none": None,
        }
    )
    config.double = config.get_ref("rate") * 2
    plain = made(config=config, overrides={"hidden": (10, 5)})
    assert plain["config"]["hidden"] == [10, 5]
    assert plain["config"]["rate"] == 0.5
    assert plain["config"]["double"] == 1.0
    assert plain["config"]["clip"] == "inf"
    assert plain["config"]["act"] == "tanh"
    assert plain["config"]["none"] is None
    assert plain["overrides"] == {"hidden": [10, 5]}
    json.dumps(plain, allow_nan=False)


def test_record_extra_metrics_come_last():
    made_record = made(extra={"nmi": np.ones(3)})
    assert tuple(made_record) == (*results.KEYS, "extra")
    assert made_record["extra"] == {"nmi": [1.0, 1.0, 1.0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": [1.0, 2.0]}, "test_error_percent has 2 values for 3 seeds"),
        ({"params_sha256": ["a"]}, "params_sha256 has 1 entries, seeds 3"),
        ({"seeds": [0, 0, 1]}, "different"),
        ({"seeds": [], "values": [], "params_sha256": []}, "one or more"),
        ({"selection": "best_test"}, "final, best_validation"),
        ({"wall_seconds": math.nan}, "wall_seconds"),
        ({"wall_seconds": -1.0}, "wall_seconds"),
        ({"experiment": "../aae"}, "letters, digits and underscores"),
        ({"extra": {"nmi": [1.0]}}, "nmi has 1 values for 3 seeds"),
    ],
)
def test_record_refuses_inconsistent_arguments(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        made(**changes)
    assert not isinstance(caught.value, UserError)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_record_refuses_a_diverged_run(bad):
    with pytest.raises(UserError, match=r"test_error_percent is not finite for seed 1: "):
        made(values=[1.0, bad, 2.0])
    with pytest.raises(UserError, match="nmi is not finite for seed 2"):
        made(extra={"nmi": [1.0, 1.0, bad]})


def test_record_device_and_versions():
    made_record = made()
    assert made_record["versions"]["jax"] == jax.__version__
    assert made_record["versions"]["numpy"] == np.__version__
    assert next(iter(made_record["versions"])) == "python"
    assert set(made_record["versions"]) >= {"jaxlib", "flax", "optax", "orbax-checkpoint", "chex"}
    if jax.default_backend() == "cpu":
        cores = len(os.sched_getaffinity(0))
        assert made_record["device"] == f"cpu ({cores} core{'s' if cores > 1 else ''})"


def test_describe_device_of_accelerators(monkeypatch):
    class Device:
        platform, device_kind = "gpu", "NVIDIA H200"

    monkeypatch.setattr(jax, "devices", lambda: [Device(), Device()])
    assert results.describe_device() == "NVIDIA H200 x2"


def test_record_asks_git_only_without_a_commit(monkeypatch):
    monkeypatch.setattr(results, "source_version", lambda: ("f00", True))
    assert (made(commit=None, dirty=None)["commit"], made(commit=None)["dirty"]) == ("f00", True)
    assert made(commit="unknown", dirty=None)["dirty"] is None


# --- params_sha256 -------------------------------------------------------------------------

PARAMS = {"encoder": {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3)}, "b": np.zeros(2)}


def test_params_hash_of_a_known_tree():
    tree = {"b": np.zeros((), np.int32), "a": np.asarray([1.0], np.float32)}
    expected = hashlib.sha256(
        b"['a']\0float32\0(1,)\0" + b"\x00\x00\x80\x3f" + b"['b']\0int32\0()\0" + bytes(4)
    )
    assert results.params_sha256(tree) == expected.hexdigest()


def test_params_hash_is_the_same_for_jax_and_numpy_and_any_order():
    numpy_tree = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(2, np.float32)}
    jax_tree = {"a": jnp.ones(2), "w": jnp.arange(6.0).reshape(2, 3)}
    strided = dict(numpy_tree, w=np.asfortranarray(numpy_tree["w"]))
    swapped = dict(numpy_tree, w=numpy_tree["w"].astype(">f4"))
    half = jnp.ones(3, jnp.bfloat16)
    expected = results.params_sha256(numpy_tree)
    assert results.params_sha256(jax_tree) == expected
    assert results.params_sha256(strided) == expected
    assert results.params_sha256(swapped) == expected
    assert results.params_sha256([half]) == results.params_sha256([np.asarray(half)])


@pytest.mark.parametrize(
    "other",
    [
        PARAMS | {"b": np.asarray([0.0, 1e-30])},
        PARAMS | {"b": np.zeros(2, np.float32)},
        PARAMS | {"b": np.zeros((1, 2))},
        {"encoder": PARAMS["encoder"], "c": PARAMS["b"]},
        {"encoder": PARAMS["encoder"]},
    ],
)
def test_params_hash_tells_trees_apart(other):
    assert results.params_sha256(other) != results.params_sha256(PARAMS)


def test_params_hash_refuses_what_is_no_array():
    with pytest.raises(ValueError, match=r"params\['a'\] is no array of numbers but object"):
        results.params_sha256({"a": object()})


# --- source_version ------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    (root / "results").mkdir(parents=True)
    (root / "code.py").write_text("x = 1\n")
    (root / ".gitignore").write_text("runs/\n")
    (root / "results" / "a.jsonl").write_text("{}\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def git(root, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", root, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_source_version_of_a_clean_checkout(checkout):
    (checkout / "results" / "a.jsonl").write_text("{}\n{}\n")
    (checkout / "results" / "b.jsonl").write_text("{}\n")
    (checkout / "runs").mkdir()
    (checkout / "runs" / "log").touch()
    assert results.source_version(checkout) == (git(checkout, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("name", ["code.py", "new.py"])
def test_source_version_is_dirty_with_changed_or_untracked_source(checkout, name):
    (checkout / name).write_text("x = 2\n")
    assert results.source_version(checkout) == (git(checkout, "rev-parse", "HEAD"), True)


def test_source_version_outside_a_checkout(checkout, tmp_path):
    assert results.source_version(tmp_path) == ("unknown", None)
    # An installed package is not of the commit of the project it was installed into.
    installed = checkout / "site-packages"
    installed.mkdir()
    assert results.source_version(installed) == ("unknown", None)


def test_source_version_before_the_first_commit(tmp_path):
    git(tmp_path, "init", "-q")
    assert results.source_version(tmp_path) == ("unknown", None)


def test_source_version_without_git(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert results.source_version(checkout) == ("unknown", None)


# --- append and read -----------------------------------------------------------------------


def test_append_and_read_round_trip(tmp_path):
    directory = tmp_path / "new" / "results"
    first, second = record(), record(row="mnist_1000", dataset="δ")
    assert results.append(first, directory)
    assert results.append(second, directory)
    path = directory / "aae_table2.jsonl"
    assert path.read_text().count("\n") == 2
    assert results.read(path) == [first, second]
    assert tuple(results.read(path)[0]) == results.KEYS


def test_append_reports_a_record_once(tmp_path):
    assert results.append(record(), tmp_path)
    assert results.append(record(wall_seconds=1.0), tmp_path)
    content = (tmp_path / "aae_table2.jsonl").read_bytes()
    assert not results.append(record(), tmp_path)
    assert (tmp_path / "aae_table2.jsonl").read_bytes() == content


@pytest.mark.parametrize("before", [[], [record(row="mnist_1000")]])
def test_append_cuts_off_a_torn_line(tmp_path, before):
    path = tmp_path / "aae_table2.jsonl"
    for item in before:
        results.append(item, tmp_path)
    with path.open("a") as file:
        file.write(json.dumps(record())[:-40])
    assert results.append(record(), tmp_path)
    assert results.read(path) == [*before, record()]


def test_append_keeps_a_whole_line_that_lacks_only_its_newline(tmp_path):
    path = tmp_path / "aae_table2.jsonl"
    path.write_text(json.dumps(record()))
    assert not results.append(record(), tmp_path)
    assert results.append(record(row="mnist_1000"), tmp_path)
    assert results.read(path) == [record(), record(row="mnist_1000")]


def test_append_from_several_runs_at_once(tmp_path):
    (tmp_path / "aae_table2.jsonl").write_text('{"torn": ')
    items = [record(row=f"row_{i}") for i in range(16)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda item: results.append(item, tmp_path), items))
        assert not any(pool.map(lambda item: results.append(item, tmp_path), items))
    found = results.read(tmp_path / "aae_table2.jsonl")
    assert sorted(r["row"] for r in found) == sorted(r["row"] for r in items)


def test_append_waits_for_a_run_that_is_writing(tmp_path):
    path = tmp_path / "aae_table2.jsonl"
    with concurrent.futures.ThreadPoolExecutor(1) as pool, path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write('{"half": ')
        other.flush()
        waiting = pool.submit(results.append, record(), tmp_path)
        with pytest.raises(concurrent.futures.TimeoutError):
            waiting.result(timeout=0.2)
        assert path.read_text() == '{"half": '
        fcntl.flock(other, fcntl.LOCK_UN)
        assert waiting.result(timeout=5)
    assert results.read(path) == [record()]


def test_append_is_one_durable_write(tmp_path, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append("write") or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync") or fsync(fd))
    results.append(record(), tmp_path)
    assert calls == ["write", "fsync", "fsync"]


def test_append_undoes_a_short_write(tmp_path, monkeypatch):
    results.append(record(), tmp_path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    with pytest.raises(OSError, match="disk full"):
        results.append(record(row="mnist_1000"), tmp_path)
    assert results.read(tmp_path / "aae_table2.jsonl") == [record()]


def test_append_refuses_what_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        results.append(record(mean=math.nan), tmp_path)
    assert not list(tmp_path.iterdir())


def test_read_of_a_missing_file(tmp_path):
    assert results.read(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"experiment": "a', "not JSON"),
        ("", "not JSON"),
        ("<<<<<<< HEAD", "not JSON"),
        (json.dumps(record(mean=math.nan)), "not JSON"),
        ("[1]", "not a record, it has no 'experiment'"),
        (
            json.dumps({k: v for k, v in record().items() if k != "mean"}),
            "not a record, it has no 'mean'",
        ),
    ],
)
def test_read_names_file_and_line_of_a_malformed_line(tmp_path, line, message):
    path = tmp_path / "aae_table2.jsonl"
    path.write_text(json.dumps(record()) + "\n" + line + "\n" + json.dumps(record()) + "\n")
    with pytest.raises(UserError) as caught:
        results.read(path)
    assert f"{path}, line 2: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- latest and the tables -----------------------------------------------------------------


def test_latest_is_the_last_and_not_the_best():
    best, last = record(mean=1.0), record(mean=9.0)
    smoke = record(profile="smoke")
    assert results.latest([best, smoke, last]) == {
        ("mnist_100", "fast", "{}"): last,
        ("mnist_100", "smoke", "{}"): smoke,
    }


def test_latest_keeps_overridden_runs_apart():
    plain = record()
    first = record(overrides={"a": 1, "b": 2}, mean=1.0)
    second = record(overrides={"b": 2, "a": 1}, mean=2.0)
    found = results.latest([plain, first, second])
    assert list(found.values()) == [plain, second]


def test_table_lines():
    text = results.render_table(TABLE, [record(), record(profile="paper", mean=1.95, std=0.1)])
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
    text = results.render_table(TABLE, [record(mean=1.11), record(mean=9.99)])
    assert "9.99" in text
    assert "1.11" not in text


def test_table_names_overrides_and_does_not_count_them_as_the_row():
    overridden = record(overrides={"train.epochs": 3, "model.name": "x"}, mean=7.77)
    rows = rows_of(results.render_table(TABLE, [overridden]))
    assert [row[:4] for row in rows[:2]] == [
        ["MNIST, 100 labels", "–", "1.90 ± 0.10", "not run"],
        ["MNIST, 100 labels", "fast, model.name=x, train.epochs=3", "1.90 ± 0.10", "7.77 ± 0.71"],
    ]
    both = rows_of(results.render_table(TABLE, [record(), overridden]))
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
    assert rows_of(results.render_table(TABLE, [one]))[0][3:] == [
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
    assert rows_of(results.render_table(TABLE, [one]))[0][9] == text


def test_table_of_an_unknown_commit():
    text = results.render_table(TABLE, [record(commit="unknown", dirty=None)])
    assert rows_of(text)[0][10] == "unknown"


def test_table_decimals_follow_the_table():
    text = results.render_table(TABLE._replace(decimals=0), [record(mean=340.4, std=2.2)])
    assert rows_of(text)[0][2:4] == ["2 ± 0", "340 ± 2"]


def test_table_names_records_it_has_no_row_for():
    text = results.render_table(TABLE, [record(row="gone"), record(metric="nmi", mean=5.55)])
    assert "5.55" not in text
    assert [row[3] for row in rows_of(text)] == ["not run"] * 3
    assert text.splitlines()[-1] == (
        "Records that belong to no row of this table: row `gone` of `aae_table2` "
        "(`test_error_percent`), row `mnist_100` of `aae_table2` (`nmi`)."
    )


def test_render_reads_each_table_from_its_file(tmp_path):
    results.append(record(mean=1.23), tmp_path)
    other = Table("aae_table1", "AAE, Table 1", "parzen_nats", (Row("mnist", "MNIST"),), 0)
    text = results.render([TABLE, other], tmp_path)
    assert "1.23 ± 0.71" in text
    assert text.index("AAE, Table 2") < text.index("AAE, Table 1")
    assert rows_of(text.split("AAE, Table 1")[1])[0][3] == "not run"


README = "# Title\n<!-- table:aae_table2 -->\nold\n<!-- /table:aae_table2 -->\nend \\1\n"


def test_update_readme_replaces_what_stands_between_the_markers(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    results.append(record(), tmp_path)
    assert results.update_readme(path, [TABLE], tmp_path)
    text = path.read_text()
    table = results.render_table(TABLE, [record()])
    assert text == README.replace("\nold\n", f"\n\n{table}\n")
    assert not results.update_readme(path, [TABLE], tmp_path)
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
        results.update_readme(path, [TABLE], tmp_path)
    assert path.read_text() == text


def test_side_by_side_aligns_the_papers_numbers_and_ours():
    changed = record(overrides={"train.epochs": 3})
    assert results.side_by_side(TABLE, "mnist_100", changed).splitlines() == [
        "MNIST, 100 labels: test_error_percent",
        "  NN baseline                  25.80",
        "  VAE (M1 + M2)                 3.33  ± 0.14",
        "  paper                         1.90  ± 0.10",
        "  ours (fast, train.epochs=3)   2.50  ± 0.71  2 seeds, mnist:3.0.1",
    ]


def test_side_by_side_without_a_number_of_the_paper():
    one = record(seeds=[0], std=None)
    assert results.side_by_side(TABLE, "svhn_1000", one) == (
        "SVHN | 1000: test_error_percent\n  ours (fast)  2.50    1 seed, mnist:3.0.1\n"
    )
    with pytest.raises(ValueError, match="has no row 'x'"):
        results.side_by_side(TABLE, "x", one)


def test_jax_is_imported_only_where_it_is_needed():
    assert not hasattr(results, "jax")


def test_table_cites_the_papers_other_rows():
    text = results.render_table(TABLE, [])
    assert text.splitlines()[-1] == (
        "The other rows of the paper's table, as it prints them: MNIST, 100 labels: "
        "NN baseline 25.80, VAE (M1 + M2) 3.33 ± 0.14."
    )
