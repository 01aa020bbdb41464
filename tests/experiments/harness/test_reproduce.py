"""The driver behind ``make reproduce-...``."""

import re
import subprocess

import pytest
from ledger_records import record

from aae_jax.errors import UserError
from experiments.aae import table2 as aae_table2
from experiments.harness import catalogue, cli, ledger, reproduce
from experiments.harness.estimate import estimate

TINY = ("--config.model.hidden=(8,)", "--config.model.discriminator_hidden=(8,)")


def test_a_row_from_end_to_end(run_program, tmp_path):
    done = run_program(
        *("-m", "experiments.harness.reproduce", "table2-aae", "--profile=smoke"),
        *("--rows=mnist_100", "--seeds=1", f"--args={' '.join(TINY)}"),
        *("--", "--config.train.epochs=2"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (workdir,) = (tmp_path / "runs/aae_table2").iterdir()
    assert workdir.name.startswith("mnist_100-smoke")
    (record,) = ledger.read(workdir / "aae_table2.jsonl")
    assert (record["row"], record["profile"]) == ("mnist_100", "smoke")
    assert (record["seeds"], record["epochs"]) == ([0], 2)
    assert not (tmp_path / "results").exists()
    assert (workdir / "test_error.png").exists()
    assert "about a minute" in done.stdout  # an estimate, before it begins
    assert "the paper's numbers are of mnist" in done.stdout
    assert record["params_sha256"][0] in done.stdout


@pytest.fixture
def ran(monkeypatch):
    """The runs that the driver starts, which do not train."""
    runs = []
    monkeypatch.setattr(aae_table2, "run", lambda run: run.rehearsal or runs.append(run))
    monkeypatch.setattr(reproduce, "ensure_data", lambda name: None)
    return runs


def test_the_default_profile_on_a_cpu_is_fast_and_said_aloud(ran, capsys):
    reproduce.main(["table2-aae", "--rows=mnist_100"])
    (run,) = ran
    assert run.config.profile == "fast"
    assert run.workdir.name == "mnist_100-fast"
    assert "no PROFILE given: fast" in capsys.readouterr().out


def test_all_rows_run_where_none_is_named(ran):
    reproduce.main(["table2-aae", "--profile=smoke"])
    assert [run.config.row for run in ran] == [row.name for row in aae_table2.TABLE.rows]


@pytest.mark.parametrize("rows", ["mnist_100 svhn_1000", "mnist_100,svhn_1000"])
def test_rows_are_separated_by_spaces_or_commas(ran, rows):
    reproduce.main(["table2-aae", "--profile=smoke", f"--rows={rows}"])
    assert [run.config.row for run in ran] == ["mnist_100", "svhn_1000"]


def test_seeds_and_overrides_reach_the_run(ran):
    reproduce.main(
        ["table2-aae", "--profile=smoke", "--rows=mnist_100", "--seeds=4", "--", TINY[0]]
    )
    (run,) = ran
    assert run.config.train.seeds == 4
    assert run.config.model.hidden == (8,)
    assert run.overrides == {"train.seeds": 4, "model.hidden": (8,)}


def test_other_settings_have_another_directory_and_longer_runs_have_not(ran):
    for overrides in ((), ("--config.train.epochs=77",), TINY[:1], TINY):
        reproduce.main(["table2-aae", "--profile=smoke", "--rows=mnist_100", "--", *overrides])
    plain, longer, narrow, narrower = (run.workdir for run in ran)
    assert plain == longer
    assert len({plain, narrow, narrower}) == 3


@pytest.mark.parametrize(
    ("target", "expected"),
    [("table2-aee", "did you mean reproduce-table2-aae"), ("xyzzy", "there are .*table2-aae")],
)
def test_an_unknown_target_names_the_nearest(target, expected):
    with pytest.raises(UserError, match=expected):
        reproduce.main([target])


def test_nothing_runs_if_one_row_is_wrong(ran):
    with pytest.raises(UserError, match="no row 'mnist_10'"):
        reproduce.main(["table2-aae", "--profile=smoke", "--rows=mnist_100 mnist_10"])
    assert not ran


def test_settings_of_a_later_row_are_refused_before_the_first_row_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("AAE_JAX_RUNS_DIR", str(tmp_path / "runs"))
    rows, categories = "--rows=mnist_unsupervised mnist_100", "--config.model.num_categories=12"
    with pytest.raises(UserError, match="12"):
        reproduce.main(["table1-pixelgan", "--profile=smoke", rows, "--", categories])
    assert not (tmp_path / "runs").exists()


def test_a_row_that_fails_leaves_the_others_their_results(ran, monkeypatch, capsys):
    def run(arguments):
        if not arguments.rehearsal:
            if arguments.config.row == "mnist_100":
                raise UserError("the loss is not finite")
            ran.append(arguments)

    monkeypatch.setattr(aae_table2, "run", run)
    with pytest.raises(UserError, match="mnist_100 have none"):
        reproduce.main(["table2-aae", "--profile=smoke", "--rows=mnist_100 mnist_1000"])
    assert [arguments.config.row for arguments in ran] == ["mnist_1000"]
    assert "mnist_100: the loss is not finite" in capsys.readouterr().err


def test_an_unknown_target_from_the_shell_is_one_line(run_program, tmp_path):
    done = run_program("-m", "experiments.harness.reproduce", "table4-aae", "--profile=smoke")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no experiment reproduce-table4-aae")
    assert not (tmp_path / "runs").exists()


def test_data_that_cannot_be_had_stop_its_rows_only(ran, monkeypatch, capsys):
    def ensure(name):
        if name == "svhn_cropped":
            raise UserError("svhn_cropped could not be prepared")

    monkeypatch.setattr(reproduce, "ensure_data", ensure)
    with pytest.raises(UserError, match="svhn_1000 have none"):
        reproduce.main(["table2-aae", "--profile=fast", "--rows=svhn_1000 mnist_100"])
    assert [run.config.row for run in ran] == ["mnist_100"]
    assert "svhn_1000: not run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "--config.train.epochs=3 --config.model.hidden=(8,9)",
        "--config.train.epochs=3   --config.model.hidden='(8, 9)'",
        '--config.train.epochs 3 "--config.model.hidden=(8, 9)"',
    ],
)
def test_a_tuple_in_args_needs_no_quotes_of_its_own(ran, text):
    reproduce.main(["table2-aae", "--profile=smoke", "--rows=mnist_100", f"--args={text}"])
    assert ran[0].overrides == {"train.epochs": 3, "model.hidden": (8, 9)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--config.model.hidden=(8, 9)", r"write a tuple without them, or in quotes of its own"),
        ("--config.data.name='mnist", "a quote that is not closed"),
    ],
)
def test_args_that_are_torn(ran, text, expected):
    with pytest.raises(UserError, match=expected):
        reproduce.main(["table2-aae", "--profile=smoke", "--rows=mnist_100", f"--args={text}"])
    assert not ran


def test_a_typo_in_the_data_sets_name_is_found_before_anything_is_made(monkeypatch):
    monkeypatch.setattr(reproduce.subprocess, "run", None)
    arguments = [
        "table2-aae",
        "--profile=fast",
        "--rows=mnist_100",
        "--",
        "--config.data.name=mnits",
    ]
    with pytest.raises(UserError, match="did you mean mnist"):
        reproduce.main(arguments)


@pytest.fixture
def last_time(tmp_path):
    """A ledger in which row mnist_100 took 50 seconds an epoch and seed."""
    for seconds, seeds in ((9000.0, 1), (300.0, 2)):
        ledger.append(record(epochs=3, wall_seconds=seconds, seeds=list(range(seeds))), tmp_path)


@pytest.mark.parametrize(
    ("profile", "changes", "expected"),
    [
        ("fast", [], "about 3 h 20 min (3 seeds), as on cpu (2 cores) the last time"),
        (
            "fast",
            ["--config.train.epochs=2", "--config.train.seeds=1"],
            "about 1 min 40 s (1 seed), as on cpu (2 cores) the last time",
        ),
        ("paper", [], "never measured; the progress bar will tell"),
        ("smoke", [], "about a minute"),
    ],
)
def test_the_estimate_is_what_it_took_the_last_time(
    last_time, tmp_path, monkeypatch, profile, changes, expected
):
    monkeypatch.setenv("AAE_JAX_RESULTS_DIR", str(tmp_path))
    spec = f"{catalogue.config_file('aae_table2')}:mnist_100,{profile}"
    assert estimate(cli.load_config(spec, changes)[0]) == expected


def test_the_makefiles_help_names_every_target():
    makefile = (catalogue.ROOT / "Makefile").read_text()
    done = subprocess.run(
        ["make", "-s", "help"], cwd=catalogue.ROOT, capture_output=True, text=True, check=True
    )
    named = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    rules = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)
    experiments = [f"reproduce-{catalogue.target(name)}" for name in catalogue.names()]
    assert sorted(named) == sorted([*rules, "reproduce-%", *experiments])
