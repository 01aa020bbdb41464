"""The command line that every experiment shares.

``python -m experiments.NAME --config=configs/NAME.py:ROW,PROFILE --workdir=DIR
[--config.FIELD=VALUE ...]``. The overrides are parsed by ``ml_collections.config_flags``;
what stands around it here turns every mistake into one line that says how to mend it,
where ``config_flags`` alone prints a traceback or takes the value silently.
"""

import argparse
import ast
import contextlib
import difflib
import errno
import importlib.util
import math
import os
import pathlib
import re
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import jax
import ml_collections
from absl import flags
from ml_collections import config_flags

import experiments
from aae_jax import domains, processes, rundir
from aae_jax.errors import UserError

USAGE = """\
usage: python -m experiments.NAME --config=configs/NAME.py:ROW,PROFILE --workdir=DIR
                                  [--config.FIELD=VALUE ...]

  --config    the config file, with the row of the table and the profile (paper, fast or
              smoke) behind a colon: --config=configs/aae/table2.py:mnist_100,fast
  --workdir   the directory of this run: checkpoints, logs and figures
  -h, --help  print this text and exit

Any field of the config can be overridden by its dotted name:
  --config.train.epochs=3            or --config.train.epochs 3
  --config.model.informed=false      or --noconfig.model.informed, of a method with this switch
  --config.model.hidden="(500,500)"  a tuple, in quotes
The value must have the type of the field's default (an int is taken for a float). Of two
overrides of one field the later one counts. What the command line changed is kept in the
run's record.
"""

_FLAGS = ("config", "workdir", "help")
# Where numbers are shown besides makes no other run.
_SHOWN_BESIDES = ("train.logger",)
# What a run is called by, in its directory and its record.
_IDENTITY = ("experiment", "row", "profile", "method")
_TYPES = {int: "an int", float: "a float", bool: "a bool", str: "a str", tuple: "a tuple"}


class Run(NamedTuple):
    """One parsed command line.

    Attributes:
      config: the resolved config, locked.
      overrides: what the command line changed: ``{"train.epochs": 3}``, dotted names to
        values after parsing. A field set to its default is not in it.
      workdir: the directory of the run; it need not exist yet.
      rehearsal: whether to end by ``runner.Rehearsed`` where training would begin, with nothing
        written.
    """

    config: ml_collections.ConfigDict
    overrides: dict[str, Any]
    workdir: pathlib.Path
    rehearsal: bool = False


def parse(argv: Sequence[str]) -> Run:
    """Parses the command line of an experiment; may be called any number of times.

    Args:
      argv: the arguments, without the program's name (``sys.argv[1:]``).

    Returns:
      The run. Nothing is written; ``workdir`` is not created.

    Raises:
      UserError: a flag is missing or unknown, or ``load_config`` refuses the config.
      SystemExit: status 0, after ``-h`` or ``--help`` has printed the usage.
    """
    given: dict[str, str] = {}
    overrides: list[str] = []
    tokens = list(argv)
    while tokens:
        token = tokens.pop(0)
        name, equals, value = token.lstrip("-").partition("=")
        if token in ("-h", "-help", "--help"):
            print(USAGE, end="")
            raise SystemExit(0)
        if not _is_flag(token) or name.startswith(("config.", "noconfig.")):
            overrides.append(token)
            if _is_flag(token) and not equals and tokens and not _is_flag(tokens[0]):
                overrides.append(tokens.pop(0))
        elif name in ("config", "workdir"):
            if not equals and tokens and not _is_flag(tokens[0]):
                value = tokens.pop(0)
            if not value:
                raise UserError(f"--{name} needs a value: {_example(name)}")
            given[name] = value
        else:
            raise _unknown_flag(token)
    for name in ("config", "workdir"):
        if name not in given:
            raise UserError(f"--{name} is missing: {_example(name)}")
    workdir = rundir.usable(given["workdir"])
    config, changed = load_config(given["config"], overrides)
    return Run(config, changed, workdir)


def load_config(
    spec: str, overrides: Sequence[str] = ()
) -> tuple[ml_collections.ConfigDict, dict[str, Any]]:
    """Loads a config file and applies overrides to what its ``get_config`` returns.

    Args:
      spec: ``"configs/aae/table2.py:mnist_100,fast"``, the path absolute or relative to the
        working directory; what follows the colon is ``get_config``'s argument.
      overrides: arguments as on the command line, such as ``["--config.train.epochs=3"]``.

    Returns:
      The resolved and locked config, and the overrides that changed it (dotted names to
      values after parsing).

    Raises:
      UserError: the file, the row or the profile does not exist, the file fails to load, an
        override names no field, a section or what a run is called by, or its value has not the
        field's type or is outside of its domain.
    """
    config = _get_config(spec)
    defaults = dict(_fields(config))
    requested = dict(_split_overrides(overrides, config))
    for name, text in requested.items():
        _set_field(config, name, text)
    config.lock()
    domains.check(config)
    resolved = dict(_fields(config))
    changed = {
        name: resolved[name]
        for name in requested
        if resolved[name] != defaults[name] and name not in _SHOWN_BESIDES
    }
    return config, changed


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Runs a program's ``main`` and exits with its status (``None`` is 0).

    A ``UserError`` is printed as ``error: <one line>`` on standard error, with exit status 2
    and no traceback, and so is what the machine refuses (a full disk, a file that cannot be
    written); a warning of ours as ``warning: <one line>``; an interrupt from the keyboard exits
    with status 130. Any other exception is a defect and keeps its traceback. What is printed
    never ends a run: not a closed pipe, a full disk behind it, nor letters that it cannot show.
    """
    warnings.formatwarning = _warning_line
    with _standard_streams() as stdout:
        try:
            status = main()
        except UserError as error:
            print(f"error: {_one_line(error)}", file=sys.stderr)
            _leave_others(2)
            sys.exit(2)
        except OSError as error:
            if error.filename is None and error.errno not in _REFUSED:
                raise
            print(f"error: {_refused_line(error)}", file=sys.stderr)
            _leave_others(2)
            sys.exit(2)
        except KeyboardInterrupt as error:
            print(_one_line(error) or "interrupted", file=sys.stderr)
            sys.exit(130)
        except Exception:
            if jax.distributed.is_initialized():
                traceback.print_exc()
                _leave_others(1)
            raise
        stdout.flush()
        if stdout.error is not None and not isinstance(stdout.error, BrokenPipeError):
            reason = getattr(stdout.error, "strerror", None) or stdout.error
            print(
                f"error: standard output cannot be written ({reason}); all else is done",
                file=sys.stderr,
            )
            sys.exit(status or 2)
    sys.exit(status or 0)


def _leave_others(status: int) -> None:
    """Of several processes one that fails exits at once: at its end it would wait for the others,
    which wait for it. The first one leaves them a moment to say what they have to say."""
    if jax.distributed.is_initialized():
        if processes.leads():
            time.sleep(3)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}: --help explains the arguments")


_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def _refused_line(error: OSError) -> str:
    """What the machine refused, as one line, and what to do."""
    remedy = {
        errno.EACCES: "make it accessible",
        errno.EPERM: "make it accessible",
        errno.EROFS: "make it writable",
        errno.EISDIR: "move it away",
        errno.ENOTDIR: "move away what is no directory there",
        errno.EEXIST: "move it away",
        errno.EIO: "look after the disk",
        errno.ENOENT: "bring it back",
    }.get(error.errno or 0, "make room")
    name = f"{error.filename}: " if isinstance(error.filename, str) else ""
    return (
        f"{name}{error.strerror or error}: {remedy}, then run the same command again, which goes "
        "on from the last checkpoint"
    )


class _Patient:
    """A text stream that what is printed never fails on: after an error it goes nowhere."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.error: OSError | ValueError | None = None
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            action()
        except (OSError, ValueError) as error:
            self.error = error
            # What is still buffered would fail once more when the interpreter exits.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextlib.contextmanager
def _standard_streams() -> Iterator[_Patient]:
    """Inside, standard output, which is yielded, and standard error are patient; Ctrl-C ends the
    program at once, until training takes it over."""
    streams, handler = (sys.stdout, sys.stderr), signal.getsignal(signal.SIGINT)
    # A stream that the shell has closed is None.
    stdout, sys.stderr = (_Patient(stream or open(os.devnull, "w")) for stream in streams)  # noqa: SIM115
    sys.stdout = stdout
    with contextlib.suppress(ValueError):  # not in the main thread
        experiments.handle_interrupts()
    try:
        yield stdout
    finally:
        stdout.flush()
        sys.stdout, sys.stderr = streams
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, handler)


def _warning_line(message, category, filename, lineno, line=None) -> str:
    if category is UserWarning:
        return f"warning: {' '.join(str(message).split())}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


def _is_flag(token: str) -> bool:
    # "-5" and "-.5" are values; a value that starts with a dash and a letter needs the = form.
    return token.startswith("-") and not re.match(r"-\.?\d", token)


def _example(name: str) -> str:
    return {
        "config": "write --config=configs/NAME.py:ROW,PROFILE (--help explains it)",
        "workdir": "write --workdir=DIR, the directory of this run",
    }[name]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _unknown_flag(token: str) -> UserError:
    flag = token.partition("=")[0]
    name = flag.lstrip("-")
    if name in _FLAGS:
        return UserError(
            f"'{flag}' is no override: it belongs to `python -m experiments.PAPER.NAME --help`"
        )
    near = difflib.get_close_matches(name, _FLAGS, n=1)
    if near:
        return UserError(f"unknown flag '{flag}': did you mean '--{near[0]}'?")
    if "." in flag:
        return UserError(f"unknown flag '{flag}': a field is set by --config.FIELD=VALUE")
    return UserError(f"unknown flag '{flag}': --help lists the flags")


def _get_config(spec: str) -> ml_collections.ConfigDict:
    # Not by DEFINE_config_file: that loads every file under one module name, so that names
    # of an earlier config linger in the next, and wraps what get_config raises in a traceback.
    name, colon, argument = spec.partition(":")
    path = pathlib.Path(name).expanduser()
    if not path.is_file():
        raise UserError(f"config file not found: '{name}' ({_example('config')})")
    if not colon or not argument:
        raise UserError(f"--config={spec} names no row: write --config={name}:ROW,PROFILE")
    module_spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise UserError(f"config file '{name}' is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {_one_line(error)}"
        raise UserError(f"config file '{name}' does not load: {message}") from error
    if not callable(getattr(module, "get_config", None)):
        raise UserError(f"config file '{name}' has no function get_config: it must define one")
    try:
        config = module.get_config(argument)
    except UserError:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {_one_line(error)}"
        raise UserError(f"config file '{name}': get_config('{argument}'): {message}") from error
    if not isinstance(config, ml_collections.ConfigDict):
        kind = type(config).__name__
        raise UserError(f"config file '{name}': get_config must return a ConfigDict, not {kind}")
    return config


def _fields(config: ml_collections.ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every field that is not a section: its dotted name and its value."""
    for key in config:
        value = config[key]
        if isinstance(value, ml_collections.ConfigDict):
            yield from _fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _holder(config: ml_collections.ConfigDict, name: str) -> tuple[ml_collections.ConfigDict, str]:
    """The section that holds field `name`, and the field's name inside it."""
    *sections, last = name.split(".")
    for section in sections:
        config = config[section]
    return config, last


def _split_overrides(
    arguments: Sequence[str], config: ml_collections.ConfigDict
) -> Iterator[tuple[str, str]]:
    """Yields (field, text of the value) for each override, of known fields only."""
    tokens = list(arguments)
    while tokens:
        token = tokens.pop(0)
        match = re.fullmatch(r"--?(no)?config\.([^=]*)(=.*)?", token, flags=re.DOTALL)
        if not match:
            if _is_flag(token):
                raise _unknown_flag(token)
            raise UserError(f"unexpected argument '{token}': write --config.FIELD=VALUE")
        negated, name, value = match.groups()
        is_bool = _field_type(config, name) is bool
        if negated and (value is not None or not is_bool):
            raise UserError(
                f"--noconfig.{name} is for a bool field and takes no value: "
                f"write --config.{name}=VALUE"
            )
        if negated:
            yield name, "false"
        elif value is not None:
            yield name, value[1:]
        elif tokens and not _is_flag(tokens[0]):
            yield name, tokens.pop(0)
        elif is_bool:
            yield name, "true"
        else:
            raise UserError(f"--config.{name} needs a value: write --config.{name}=VALUE")


def _field_type(config: ml_collections.ConfigDict, name: str) -> type:
    """The type of a field; UserError if there is none or an override cannot set it."""
    names = [field for field, _ in _fields(config)]
    if name in _IDENTITY:
        raise UserError(
            f"config field '{name}' says what the run is and cannot be overridden: name another "
            "row and profile by --config=FILE:ROW,PROFILE"
        )
    if name not in names:
        inside = [field for field in names if field.startswith(f"{name}.")]
        if name and inside:
            raise UserError(
                f"config field '{name}' is a section: override one of its fields, "
                f"such as --config.{inside[0]}=VALUE"
            )
        raise UserError(f"unknown config field '{name}': {_nearest(name, names)}")
    holder, last = _holder(config, name)
    kind = holder.get_type(last)
    if kind not in _TYPES:
        shown = "None" if kind is type(None) else f"a {kind.__name__}"
        raise UserError(
            f"config field '{name}' is {shown} and cannot be overridden "
            "on the command line: edit the config file"
        )
    return kind


def _nearest(name: str, names: Sequence[str]) -> str:
    section, _, last = name.rpartition(".")
    inside = [field for field in names if field.rpartition(".")[0] == section]
    # Within the section that was named only the last part tells fields apart ("train.zzz" is
    # not near "train.steps"); after that the section itself may be misspelt, wrong or left out.
    searches = [(last, {field.rpartition(".")[2]: field for field in inside})]
    if not inside:
        searches.append((name, {field: field for field in names}))
    searches.append((last, {field.rpartition(".")[2]: field for field in reversed(names)}))
    for wanted, fields in searches:
        near = difflib.get_close_matches(wanted, list(fields), n=1)
        if near:
            return f"did you mean '{fields[near[0]]}'?"
    return f"the fields are {', '.join(inside or names)}"


def _set_field(config: ml_collections.ConfigDict, name: str, text: str) -> None:
    kind = _field_type(config, name)
    holder, last = _holder(config, name)
    default = holder[last]
    takes = _TYPES[kind]
    if kind is tuple:
        takes += f" such as {default or (1, 2)!r}"
    refusal = UserError(f"config field '{name}' takes {takes}, got {text!r}")
    if kind is tuple:
        # config_flags makes a tuple of whatever it is given, so the check comes first.
        try:
            text = repr(_matching(ast.literal_eval(text.strip()), default or ()))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise refusal from None
    argument = f"--config.{name}={text}"
    values = flags.FlagValues()
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=[argument])
        values(["program", argument])
    except (flags.Error, ValueError, TypeError):
        raise refusal from None
    value = holder[last]
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise refusal


def _matching(value: Any, default: Any) -> Any:
    """`value`, with the types of `default` all the way down; TypeError where they differ."""
    if isinstance(default, tuple):
        if not isinstance(value, tuple):
            raise TypeError
        if not default:
            return tuple(_matching(item, _plain_example(item)) for item in value)
        if len({type(item) for item in default}) == 1:
            return tuple(_matching(item, default[0]) for item in value)
        if len(value) not in (0, len(default)):
            raise TypeError
        return tuple(_matching(*pair) for pair in zip(value, default))
    if type(default) is float and type(value) is int:
        with contextlib.suppress(OverflowError):
            value = float(value)
    if type(value) is not type(default) or (type(value) is float and not math.isfinite(value)):
        raise TypeError
    return value


def _plain_example(item: Any) -> Any:
    if isinstance(item, tuple):
        return ()
    if type(item) not in _TYPES:
        raise TypeError
    return item
