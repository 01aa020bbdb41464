"""Every mistake is one line, exit status 2, and nothing is written."""

import fcntl
from types import SimpleNamespace

import pytest

from experiments.aae import table2 as aae_table2
from experiments.harness import catalogue, cli, runner
from experiments.harness.catalogue import ROOT

CONFIG = f"--config={ROOT}/configs/aae/table2.py"


@pytest.fixture
def refused(tmp_path, capsys):
    """``refused(argument, ...)`` runs the experiment and returns its one line of error."""

    def run(*arguments, module=aae_table2):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as caught:
            cli.run_main(lambda: module.run(cli.parse(arguments)) and None)
        stdout, stderr = capsys.readouterr()
        assert caught.value.code == 2
        (line,) = stderr.splitlines()
        assert line.startswith("error: ")
        assert stdout == ""
        assert sorted(tmp_path.rglob("*")) == before
        return line

    return run


@pytest.fixture
def workdir(tmp_path):
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("mnist_10,smoke", ["no row 'mnist_10'", "mnist_100"]),
        ("mnist_100,smok", ["no profile 'smok'", "paper, fast, smoke"]),
        ("mnist_100", ["no profile ''", "paper, fast, smoke"]),
    ],
)
def test_unknown_rows_and_profiles(refused, workdir, argument, expected):
    line = refused(f"{CONFIG}:{argument}", f"--workdir={workdir}")
    assert all(text in line for text in expected)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("--config.train.epoch=3", ["train.epoch'", "did you mean 'train.epochs'"]),
        ("--config.model.hiden=(3,)", ["model.hiden", "did you mean 'model.hidden'"]),
        ("--config.train.epochs=many", ["train.epochs", "an int", "'many'"]),
        ("--config.model.hidden=500", ["model.hidden", "a tuple"]),
        ("--config.data.batch_size=5000", ["data.batch_size is 5000", "1200 images"]),
        ("--config.data.labelled_batch_size=200", ["labelled_batch_size is 200", "100 images"]),
        ("--config.data.num_labels=1190", ["class", "examples", "1190 labels"]),
        ("--config.data.unlabelled=5000", ["5000", "1497"]),
        ("--config.train.epochs=0", ["train.epochs is 0"]),
        ("--config.train.checkpoint_every=0", ["train.checkpoint_every is 0"]),
        ("--config.train.seed_shards=64", ["64", "train.seed_shards"]),
        ("--config.train.first_seed=-1", ["train.first_seed is -1; it must be at least 0"]),
        ("--config.train.seed_shards=-1", ["train.seed_shards is -1"]),
        ("--config.data.labelled_batch_size=-1", ["data.labelled_batch_size is -1"]),
        ("--config.data.classes=((1,),)", ["data.classes", "a whole number"]),
        ("--config.data.classes=('a',)", ["data.classes", "a whole number"]),
        (f"--config.data.name={'a' * 5000}", ["'aaaa", "...' is not the name of a data set"]),
        ("--config.model.hidden=(16000000,16000000)", ["would take", "GB", "config.model"]),
        ("--config.model.input_dropout=-1", ["model.input_dropout is -1.0"]),
        ("--config.model.optimizers.generator.momentum=-1", ["momentum is -1.0"]),
        ("--config.row=mnist_1000", ["'row' says what the run is"]),
        ("--config.model.init=gaussian", ["unknown weight init 'gaussian'"]),
        ("--config.model.schedule.name=step", ["unknown schedule 'step'", "steps"]),
        ("--config.model.optimizers.generator.name=sgdd", ["unknown optimizer 'sgdd'"]),
        ("--config.method=vae", ["'method' says what the run is"]),
        ("--config.data.name=digit", ["digit"]),
    ],
)
def test_overrides_that_cannot_be(refused, workdir, override, expected):
    line = refused(f"{CONFIG}:mnist_100,smoke", f"--workdir={workdir}", override)
    assert all(text in line for text in expected), line


@pytest.mark.parametrize(
    ("experiment", "row", "overrides", "expected"),
    [
        (
            "table1",
            "mnist_10k",
            ("model.prior.name=mixture",),
            "mixture prior is 2-D, but model.code_dim is 8",
        ),
        ("table1", "mnist_10k", ("model.prior.std=0.0",), "prior.std is 0.0; it must be positive"),
        ("table1", "mnist_10k", ("model.posterior=normal",), "unknown model.posterior 'normal'"),
        (
            "table1",
            "mnist_10k",
            ("parzen.num_samples=999",),
            "parzen.num_samples (999) must be at least parzen.selection_samples (1000)",
        ),
        (
            "table1",
            "mnist_10k",
            ("parzen.num_samples=1", "parzen.selection_samples=1"),
            "1 samples are too few to choose sigma",
        ),
        (
            "table1",
            "mnist_10m",
            ("parzen.num_samples=10",),
            "parzen.num_samples (10) must be at least",
        ),
        (
            "table1",
            "mnist_10k",
            ("parzen.lowest_sigma=0.0",),
            "parzen.lowest_sigma is 0.0; it must be positive",
        ),
        (
            "table1",
            "mnist_10k",
            ("parzen.lowest_sigma=2.0",),
            "less than parzen.highest_sigma (1.0)",
        ),
        (
            "table1",
            "mnist_10k",
            ("parzen.highest_sigma=1e30",),
            "parzen.highest_sigma is 1e+30; it must be at most 1000",
        ),
        (
            "table1",
            "mnist_10k",
            ("parzen.num_sigmas=1",),
            "parzen.num_sigmas is 1; it must be at least 2",
        ),
        (
            "table1",
            "gan_mnist_10k",
            ("data.unlabelled=1497",),
            "there are no validation images to choose sigma on",
        ),
        ("posteriors", "gaussian", ("parzen.num_samples=999",), "parzen.num_samples (999) must be"),
        (
            "fig2",
            "vae_mixture",
            ("model.code_dim=3",),
            "mixture prior is 2-D, but model.code_dim is 3",
        ),
        ("fig2", "vae_gaussian", ("model.likelihood=normal",), "unknown model.likelihood 'normal'"),
        (
            "fig4",
            "swiss_roll",
            ("model.code_dim=8",),
            "swiss_roll prior is 2-D, but model.code_dim is 8",
        ),
        (
            "fig4",
            "mixture",
            ("model.prior.name=gaussian",),
            "'gaussian' has 0 classes and the data 10",
        ),
        ("fig4", "mixture", ("data.labelled_batch_size=0",), "data.labelled_batch_size > 0"),
        ("fig5", "mnist_10k", ("model.prior.name=swiss_roll",), "swiss_roll prior is 2-D"),
        ("fig7", "mnist", ("data.labelled_batch_size=0",), "data.labelled_batch_size > 0"),
        ("fig9", "mnist_16", ("model.num_categories=400",), "400 clusters cannot be named by 297"),
        ("table3", "mnist_30", ("data.unlabelled=1480",), "30 clusters cannot be named by 17"),
        ("fig11", "c", ("model.num_categories=300",), "300 clusters cannot be named by 297"),
        (
            "fig11",
            "d",
            ("model.style_dim=2",),
            "model.style_dim (2) must be the number of categories",
        ),
        ("walk", "mnist_10m", (), "aae_walk has no row 'mnist_10m'"),
    ],
)
def test_settings_that_an_experiment_cannot_have(
    refused, workdir, experiment, row, overrides, expected
):
    module = catalogue.module(f"aae_{experiment}")
    line = refused(
        f"--config={catalogue.config_file(f'aae_{experiment}')}:{row},smoke",
        f"--workdir={workdir}",
        *(f"--config.{override}" for override in overrides),
        module=module,
    )
    assert expected in line


@pytest.mark.parametrize("program", ["table3", "table1", "fig2"])
def test_another_experiments_config(refused, workdir, program):
    line = refused(
        f"{CONFIG}:mnist_100,smoke",
        f"--workdir={workdir}",
        module=catalogue.module(f"aae_{program}"),
    )
    assert f"this config is of aae_table2, and the program of aae_{program}" in line


@pytest.mark.parametrize("place", ["results", "results/aae_table2.jsonl"])
def test_a_ledger_that_cannot_be_written(refused, workdir, tmp_path, place):
    if place == "results":
        (tmp_path / place).write_text("")
    else:
        (tmp_path / place).mkdir(parents=True)

    def run(arguments):
        return runner.run_experiment(
            arguments, aae_table2.TABLE, aae_table2.figures, ledger=tmp_path / "results"
        )

    line = refused(
        f"{CONFIG}:mnist_100,smoke", f"--workdir={workdir}", module=SimpleNamespace(run=run)
    )
    assert "the ledger" in line and "cannot be written" in line


def test_fewer_labels_than_classes(refused, workdir):
    overrides = ["--config.data.num_labels=5", "--config.data.labelled_batch_size=5"]
    line = refused(f"{CONFIG}:mnist_100,smoke", f"--workdir={workdir}", *overrides)
    assert "5 labels are too few for 10 classes" in line


def test_a_missing_data_set_names_the_directory_and_the_command(
    refused, workdir, tmp_path, monkeypatch
):
    for name in ("TFDS_DATA_DIR", "AAE_JAX_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
        (tmp_path / name.lower()).mkdir()
    line = refused(f"{CONFIG}:mnist_100,fast", f"--workdir={workdir}")
    assert str(tmp_path / "tfds_data_dir") in line
    assert "make data DATASET=mnist" in line


def test_a_workdir_that_is_not_ours(refused, workdir):
    workdir.mkdir()
    (workdir / "thesis.tex").write_text("years of work")
    line = refused(f"{CONFIG}:mnist_100,smoke", f"--workdir={workdir}")
    assert f"{workdir} is not empty and holds no run of ours" in line


def test_a_workdir_that_is_a_file(refused, workdir):
    workdir.write_text("")
    assert "not a directory" in refused(f"{CONFIG}:mnist_100,smoke", f"--workdir={workdir}")


TINY = (
    f"{CONFIG}:mnist_100,smoke",
    "--config.model.hidden=(8,)",
    "--config.model.discriminator_hidden=(8,)",
    "--config.train.seeds=1",
    "--config.train.epochs=1",
)


@pytest.fixture
def taken(workdir, capsys):
    """A workdir with a finished run of TINY in it."""
    aae_table2.run(cli.parse([*TINY, f"--workdir={workdir}"]))
    capsys.readouterr()
    return workdir


def test_a_workdir_with_another_run_or_in_use(refused, taken):
    line = refused(*TINY, f"--workdir={taken}", "--config.model.style_dim=3")
    assert f"{taken} holds another run, which differs in config.model.style_dim (" in line
    assert "3 here" in line
    with open(taken / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SystemExit) as caught:
            cli.run_main(lambda: aae_table2.run(cli.parse([*TINY, f"--workdir={taken}"])) and None)
        assert caught.value.code == 2


def test_a_workdir_in_use_by_another_process(taken, run_program):
    before = {p: p.stat().st_mtime_ns for p in taken.rglob("*") if p.name != ".lock"}
    with open(taken / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run_program("-m", "experiments.aae.table2", *TINY, f"--workdir={taken}")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: another process is training in {taken}")
    after = {p: p.stat().st_mtime_ns for p in taken.rglob("*") if p.name != ".lock"}
    assert after == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("configs/aae/table2.py:mnist_1o0,smoke",), "no row 'mnist_1o0' (did you mean mnist_100"),
        (
            ("configs/aae/table2.py:mnist_100,smoke", "--config.trian.epochs=3"),
            "did you mean 'train.epochs'",
        ),
        (
            ("configs/aae/table2.py:mnist_100,smoke", "--config.data.batch_size=1201"),
            "data.batch_size is 1201, but there are only 1200 images",
        ),
    ],
)
def test_from_the_shell(run_program, workdir, arguments, expected):
    config, *overrides = arguments
    done = run_program(
        "-m", "experiments.aae.table2", f"--config={config}", f"--workdir={workdir}", *overrides
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert done.stdout == ""
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("experiment", "row", "override", "expected"),
    [
        ("aae_table1", "mnist_10k", "model.prior.name=mixture", "the mixture prior is 2-D"),
        ("aae_fig9", "mnist_16", "model.num_categories=298", "298 clusters cannot be named"),
        ("aae_table1", "mnist_10m", "parzen.num_samples=10", "parzen.num_samples (10) must be"),
    ],
)
def test_other_experiments_from_the_shell(
    run_program, tmp_path, workdir, experiment, row, override, expected
):
    done = run_program(
        *("-m", catalogue.module(experiment).__name__),
        f"--config={catalogue.config_file(experiment)}:{row},smoke",
        *(f"--workdir={workdir}", f"--config.{override}"),
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and expected in line
    assert list(tmp_path.iterdir()) == []
