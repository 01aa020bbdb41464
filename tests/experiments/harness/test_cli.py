"""The command line: what it accepts, and that every mistake is one line."""

import io
import pathlib
import subprocess
import sys
import textwrap
import warnings

import ml_collections
import pytest

import experiments
from aae_jax.errors import UserError
from experiments.harness import cli

CONFIG = """
import ml_collections
from aae_jax.errors import UserError

def get_config(arg):
    row, profile = arg.split(",")
    if row == "boom":
        return {}["missing"]
    if row == "none":
        return None
    if row != "mnist_100":
        raise UserError(f"unknown row '{row}': the rows are mnist_100")
    config = ml_collections.ConfigDict()
    config.row = row
    config.profile = profile
    config.label = None
    config.train = ml_collections.ConfigDict()
    config.train.epochs = 50
    config.train.learning_rate = 0.01
    config.train.offset = 0.0
    config.train.shuffle = False
    config.train.resume = True
    config.train.steps = [1, 2]
    config.train.limit = ml_collections.config_dict.placeholder(int)
    config.model = ml_collections.ConfigDict()
    config.model.hidden = (1000, 1000)
    config.model.betas = (0.5, 0.999)
    config.model.layers = (("conv", 3), ("pool", 2))
    config.model.extra = ()
    config.model.name = "aae"
    config.model.width = config.get_ref("train").get().get_ref("epochs") * 2
    return config
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "table.py"
    path.write_text(CONFIG)
    return f"{path}:mnist_100,fast"


def overridden(spec, *overrides):
    return cli.load_config(spec, overrides)


def refused(spec, *overrides):
    with pytest.raises(UserError) as caught:
        cli.load_config(spec, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_parse_returns_config_overrides_and_workdir(spec, tmp_path):
    workdir = tmp_path / "run"
    run = cli.parse([f"--config={spec}", f"--workdir={workdir}", "--config.train.epochs=3"])
    assert run.config.row == "mnist_100"
    assert run.config.profile == "fast"
    assert run.config.train.epochs == 3
    assert run.config.is_locked
    assert run.config.train.is_locked
    assert run.overrides == {"train.epochs": 3}
    assert run.workdir == workdir
    assert not workdir.exists()


def test_parse_takes_values_as_next_argument_and_flags_in_any_order(spec, tmp_path):
    run = cli.parse(["--config.train.offset", "-0.5", "--workdir", str(tmp_path), "--config", spec])
    assert run.overrides == {"train.offset": -0.5}
    assert run.workdir == tmp_path


def test_parse_starts_afresh_on_every_call(spec, tmp_path):
    base = [f"--config={spec}", f"--workdir={tmp_path}"]
    assert cli.parse([*base, "--config.train.epochs=3"]).config.train.epochs == 3
    again = cli.parse(base)
    assert again.config.train.epochs == 50
    assert again.overrides == {}


def test_parse_lets_the_later_config_count(spec, tmp_path):
    run = cli.parse([f"--config={spec}", f"--workdir={tmp_path}", "--config=" + spec[:-4] + "slow"])
    assert run.config.profile == "slow"


@pytest.mark.parametrize("relative", [True, False])
def test_config_path_is_relative_to_the_working_directory_or_absolute(spec, monkeypatch, relative):
    path = pathlib.Path(spec.partition(":")[0])
    monkeypatch.chdir(path.parent)
    name = path.name if relative else path
    assert cli.load_config(f"{name}:mnist_100,fast")[0].row == "mnist_100"


def test_config_files_do_not_leak_into_each_other(spec, tmp_path):
    cli.load_config(spec)
    other = tmp_path / "other" / "table.py"
    other.parent.mkdir()
    other.write_text("def get_config(arg):\n    return ml_collections.ConfigDict()\n")
    with pytest.raises(UserError, match="NameError"):
        cli.load_config(f"{other}:row,fast")
    other.write_text("# holds no function at all\n")
    with pytest.raises(UserError, match="has no function get_config"):
        cli.load_config(f"{other}:row,fast")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir=x"], "--config is missing: write --config=configs/NAME.py:ROW,PROFILE"),
        (["--config={spec}"], "--workdir is missing: write --workdir=DIR"),
        (["--config={spec}", "--workdir="], "--workdir needs a value"),
        (["--config={spec}", "--workdir"], "--workdir needs a value"),
        (["--config", "--workdir=x"], "--config needs a value"),
        (["--config={spec}", "--workdir={file}"], "is not a directory"),
        (["--confg={spec}"], "unknown flag '--confg': did you mean '--config'?"),
        (["--seed=3"], "unknown flag '--seed': --help lists the flags"),
        (
            ["--config={spec}", "--workdir=x", "--train.epochs=3"],
            "unknown flag '--train.epochs': a field is set by --config.FIELD=VALUE",
        ),
        (["--config={spec}", "--workdir=x", "3"], "unexpected argument '3'"),
        (["--flagfile=x"], "unknown flag '--flagfile'"),
    ],
)
def test_parse_refuses_in_one_line(spec, tmp_path, arguments, message):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError) as caught:
        cli.parse([argument.format(spec=spec, file=file) for argument in arguments])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_config_file_not_found():
    assert "config file not found: 'nowhere/x.py'" in refused("nowhere/x.py:row,fast")


@pytest.mark.parametrize("suffix", ["", ":"])
def test_config_without_a_row(spec, suffix):
    path = spec.partition(":")[0]
    assert f"names no row: write --config={path}:ROW,PROFILE" in refused(path + suffix)


def test_unknown_row_passes_through(spec):
    assert refused(spec.replace("mnist_100", "x")) == "unknown row 'x': the rows are mnist_100"


@pytest.mark.parametrize(
    ("row", "message"),
    [("boom,fast", "KeyError: 'missing'"), ("none,fast", "must return a ConfigDict, not NoneType")],
)
def test_failing_get_config(spec, row, message):
    assert message in refused(spec.replace("mnist_100,fast", row))


def test_config_file_with_a_syntax_error(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def get_config(arg:\n")
    assert "does not load: SyntaxError" in refused(f"{path}:row,fast")


def test_config_file_that_is_not_python(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("def get_config(arg):\n    return 1\n")
    assert "must end in .py" in refused(f"{path}:row,fast")


@pytest.mark.parametrize(
    ("argument", "name", "value"),
    [
        ("--config.train.epochs=3", "train.epochs", 3),
        ("-config.train.epochs=3", "train.epochs", 3),
        ("--config.train.learning_rate=1", "train.learning_rate", 1.0),
        ("--config.train.learning_rate=1e-3", "train.learning_rate", 1e-3),
        ("--config.train.shuffle=true", "train.shuffle", True),
        ("--config.train.shuffle", "train.shuffle", True),
        ("--config.train.resume=false", "train.resume", False),
        ("--noconfig.train.resume", "train.resume", False),
        ("--config.train.limit=7", "train.limit", 7),
        ("--config.model.name=5", "model.name", "5"),
        ("--config.model.name=a=b", "model.name", "a=b"),
        ("--config.model.name=", "model.name", ""),
        ("--config.model.name=--flagfile=x", "model.name", "--flagfile=x"),
        ("--config.model.hidden=(500,)", "model.hidden", (500,)),
        ("--config.model.hidden=1,2,3", "model.hidden", (1, 2, 3)),
        ("--config.model.hidden= (1, 2)", "model.hidden", (1, 2)),
        ("--config.model.hidden=()", "model.hidden", ()),
        ("--config.model.betas=(0, 0.9)", "model.betas", (0.0, 0.9)),
        ("--config.model.layers=(('pool', 5),)", "model.layers", (("pool", 5),)),
        ("--config.model.extra=(1, 'a', (2,))", "model.extra", (1, "a", (2,))),
    ],
)
def test_override(spec, argument, name, value):
    config, overrides = overridden(spec, argument)
    section, _, field = name.rpartition(".")
    assert overrides == {name: value}
    assert config[section][field] == value
    assert type(config[section][field]) is type(value)
    if isinstance(value, tuple):
        assert [type(item) for item in overrides[name]] == [type(item) for item in value]


def test_override_with_a_bool_as_next_argument(spec):
    assert overridden(spec, "--config.train.resume", "false")[1] == {"train.resume": False}
    both = overridden(spec, "--config.train.shuffle", "--config.train.epochs", "3")[1]
    assert both == {"train.shuffle": True, "train.epochs": 3}


def test_later_override_counts(spec):
    assert overridden(spec, "--config.train.epochs=3", "--config.train.epochs=4")[1] == {
        "train.epochs": 4
    }
    hidden = overridden(spec, "--config.model.hidden=(1,)", "--config.model.hidden=(2,)")[1]
    assert hidden == {"model.hidden": (2,)}


def test_override_equal_to_the_default_is_not_recorded(spec):
    assert overridden(spec, "--config.train.epochs=50", "--config.model.name=aae")[1] == {}
    assert overridden(spec, "--config.train.epochs=3", "--config.train.epochs=50")[1] == {}


def test_derived_fields_follow_but_are_not_recorded(spec):
    config, overrides = overridden(spec, "--config.train.epochs=3")
    assert config.model.width == 6
    assert overrides == {"train.epochs": 3}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.train.epoch=3", "unknown config field 'train.epoch': did you mean"),
        ("--config.train.epoch=3", "did you mean 'train.epochs'?"),
        ("--config.epochs=3", "did you mean 'train.epochs'?"),
        ("--config.trian.epochs=3", "did you mean 'train.epochs'?"),
        ("--config.model.learning_rat=3", "did you mean 'train.learning_rate'?"),
        ("--config.train.zzz=3", "unknown config field 'train.zzz': the fields are train.epochs,"),
        ("--config.=3", "unknown config field ''"),
        ("--config.model.hidden[0]=3", "unknown config field 'model.hidden[0]'"),
        ("--config.train.epochs.x=3", "unknown config field 'train.epochs.x'"),
        ("--config.train=3", "config field 'train' is a section"),
        ("--config.train=3", "such as --config.train.epochs=VALUE"),
        ("--config.train.epochs=three", "config field 'train.epochs' takes an int, got 'three'"),
        ("--config.train.epochs=3.0", "config field 'train.epochs' takes an int, got '3.0'"),
        ("--config.train.epochs=", "takes an int, got ''"),
        ("--config.train.epochs=true", "takes an int, got 'true'"),
        ("--config.train.epochs=a\nb", "takes an int, got 'a\\nb'"),
        ("--config.train.limit=x", "config field 'train.limit' takes an int, got 'x'"),
        ("--config.train.learning_rate=x", "'train.learning_rate' takes a float, got 'x'"),
        ("--config.train.learning_rate=nan", "takes a float, got 'nan'"),
        ("--config.train.learning_rate=inf", "takes a float, got 'inf'"),
        ("--config.train.shuffle=3", "config field 'train.shuffle' takes a bool, got '3'"),
        ("--config.model.hidden=5", "takes a tuple such as (1000, 1000), got '5'"),
        ("--config.model.hidden=(500.5, 2)", "takes a tuple such as (1000, 1000)"),
        ("--config.model.hidden=(True,)", "takes a tuple such as (1000, 1000)"),
        ("--config.model.hidden=('a',)", "takes a tuple such as (1000, 1000)"),
        ("--config.model.hidden=[1, 2]", "takes a tuple such as (1000, 1000)"),
        ("--config.model.hidden=(1,", "takes a tuple such as (1000, 1000)"),
        ("--config.model.betas=(0.5, '1')", "takes a tuple such as (0.5, 0.999)"),
        ("--config.model.betas=(0.5, 1e999)", "takes a tuple such as (0.5, 0.999)"),
        ("--config.model.layers=((3, 'conv'),)", "takes a tuple such as (('conv', 3)"),
        ("--config.model.extra=3", "takes a tuple such as (1, 2), got '3'"),
        ("--config.model.extra=(None,)", "takes a tuple such as (1, 2)"),
        ("--config.label=x", "config field 'label' is None and cannot be overridden"),
        ("--config.row=other", "config field 'row' says what the run is and cannot be overridden"),
        ("--config.profile=paper", "name another row and profile by --config=FILE:ROW,PROFILE"),
        ("--config.experiment=aae_table3", "'experiment' says what the run is"),
        ("--config.method=vae", "'method' says what the run is"),
        ("--config.train.learning_rate=-1", "train.learning_rate is -1.0; it must be at least 0"),
        ("--config.train.epochs=0", "train.epochs is 0; it must be at least 1"),
        (f"--config.train.epochs={10**30}", "it must be at most 2147483647"),
        ("--config.model.hidden=(8,0)", "model.hidden is (8, 0), with 0 in it"),
        ("--config.train.steps=[3]", "config field 'train.steps' is a list and cannot"),
        ("--config.train.epochs", "--config.train.epochs needs a value"),
        ("--noconfig.train.epochs", "--noconfig.train.epochs is for a bool field"),
        ("--noconfig.train.resume=true", "takes no value"),
        ("--confg.train.epochs=3", "unknown flag '--confg.train.epochs'"),
        ("--workdir=x", "'--workdir' is no override"),
        ("epochs=3", "unexpected argument 'epochs=3'"),
    ],
)
def test_override_refused(spec, argument, message):
    assert message in refused(spec, argument)


def test_config_is_locked_without_overrides_too(spec):
    config, overrides = cli.load_config(spec)
    assert isinstance(config, ml_collections.ConfigDict)
    assert overrides == {}
    with pytest.raises(AttributeError):
        config.train.new_field = 1


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(capsys, flag):
    with pytest.raises(SystemExit) as caught:
        cli.parse(["--config.x=1", flag])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: ")
    assert "--workdir" in out
    assert "--config.train.epochs=3" in out


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (3, 3)])
def test_run_main_exits_with_the_status_of_main(returned, status):
    with pytest.raises(SystemExit) as caught:
        cli.run_main(lambda: returned)
    assert caught.value.code == status


def test_run_main_interrupted():
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        cli.run_main(main)
    assert caught.value.code == 130


def test_run_main_prints_our_warnings_as_one_line(capsys, monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    with pytest.raises(SystemExit):
        cli.run_main(lambda: warnings.warn("the best sigma\nis at the edge", stacklevel=1))
    # pytest catches the warning itself; what is asked is how it would be shown.
    shown = warnings.formatwarning("the best sigma\nis at the edge", UserWarning, "file.py", 3)
    assert shown == "warning: the best sigma is at the edge\n"
    other = warnings.formatwarning("old", DeprecationWarning, "file.py", 3)
    assert "file.py:3: DeprecationWarning: old" in other


def test_run_main_leaves_defects_their_traceback():
    def main():
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        cli.run_main(main)


def test_user_error_is_one_line_on_standard_error_and_status_2(spec, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import sys
        from experiments.harness import cli

        cli.run_main(lambda: print(cli.parse(sys.argv[1:]).overrides))
        """)
    )
    root = pathlib.Path(cli.__file__).parents[2]

    def run(*arguments):
        return subprocess.run(
            [sys.executable, program, f"--config={spec}", "--workdir=run", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PYTHONPATH": str(root)},
        )

    bad = run("--config.train.epochs=three")
    assert bad.returncode == 2
    assert bad.stdout == ""
    assert bad.stderr == "error: config field 'train.epochs' takes an int, got 'three'\n"
    good = run("--config.train.epochs", "3")
    assert (good.returncode, good.stdout, good.stderr) == (0, "{'train.epochs': 3}\n", "")


def test_run_main_joins_the_lines_of_a_message(capsys):
    def main():
        raise UserError("two\n  lines")

    with pytest.raises(SystemExit) as caught:
        cli.run_main(main)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: two lines\n"


# What is printed, and where to.


def fails_to_write(error):
    class Stream(io.StringIO):
        def write(self, text):
            raise error

    return Stream()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
        (OSError(28, "No space left on device"), 2, "standard output cannot be written (No space"),
    ],
)
def test_a_run_outlives_its_standard_output(monkeypatch, capsys, error, status, said):
    done = []

    def main():
        for number in range(3):
            print(number)
            done.append(number)

    monkeypatch.setattr(sys, "stdout", fails_to_write(error))
    with pytest.raises(SystemExit) as caught:
        cli.run_main(main)
    assert caught.value.code == status
    assert done == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(said) and all(said in line for line in lines)


def test_streams_that_the_shell_has_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as caught:
        cli.run_main(lambda: print("±") or print(sys.stderr.isatty(), file=sys.stderr))
    assert caught.value.code == 0
    assert sys.stdout is None and sys.stderr is None


def test_letters_that_a_terminal_lacks_are_spelt_out(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as caught:
        cli.run_main(lambda: print("2.2 ± 0.1"))
    assert caught.value.code == 0
    assert stream.buffer.getvalue() == b"2.2 \\xb1 0.1\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "error: No space left on device: make room, then"),
        (IsADirectoryError(21, "Is a directory", "a.png"), "error: a.png: Is a directory: move it"),
        (PermissionError(13, "Permission denied", "x"), "error: x: Permission denied: make it"),
    ],
)
def test_what_the_machine_refuses_is_one_line(capsys, error, said):
    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        cli.run_main(main)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said) and "goes on from the last checkpoint" in line


def test_an_error_of_no_file_is_a_defect():
    def main():
        raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(ConnectionResetError):
        cli.run_main(main)


SWALLOWS = """
import os, signal, sys
import experiments
from experiments.harness import cli

def main():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        pass
    print("went on")

cli.run_main(main)
"""


def test_an_interrupt_is_not_swallowed(run_program):
    done = run_program("-c", SWALLOWS)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_an_interrupt_while_a_program_is_imported_ends_it(tmp_path):
    package = tmp_path / "experiments"
    package.mkdir()
    source = pathlib.Path(experiments.__file__).read_text()
    (package / "__init__.py").write_text(source)
    (package / "slow.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException:\n    pass\n"
        "print('went on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "experiments.slow"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_parsers_errors_are_one_line():
    parser = cli.Parser(prog="x")
    parser.add_argument("--seeds", type=int)
    with pytest.raises(UserError, match=r"argument --seeds: invalid int value.*--help explains"):
        parser.parse_args(["--seeds=a"])
