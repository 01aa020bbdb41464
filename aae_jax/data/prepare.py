"""Prepares a TFDS image set as array_record files: ``python aae_jax/data/prepare.py mnist``.

Reading the result needs no TensorFlow, making it does: run this in an environment that holds
tensorflow, tensorflow-datasets, importlib_resources, array_record and pillow. It needs neither
JAX nor this package installed, and so imports nothing of the package.

Sources that lie in ``$TFDS_DATA_DIR/downloads/manual/<name>``, or directly in ``manual``, under
the names they were published with are taken from there, checked against TFDS's checksums, and
not downloaded.
"""

import argparse
import difflib
import json
import os
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

# What the package loads without any preparation.
UNPREPARED = ("digits", "toys", "tfd", "captioned_digits", "flowers", "birds")
_LONGEST = 200  # letters of a name, which directories have too


class PrepareError(Exception):
    """A set cannot be prepared; the message is one line and says why."""


def prepare(name: str, data_dir: str | None = None) -> Path:
    """Makes an array_record copy of a TFDS set unless there is one; returns its directory.

    It goes to ``<data_dir>/<name>/<version>``, or to ``<data_dir>/array_record/<name>/<version>``
    where another file format occupies the former; that one is left alone.

    Args:
      name: a TFDS name (``mnist``, ``emnist/letters``), optionally with ``/<version>``.
      data_dir: default ``$TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.

    Raises:
      PrepareError: if the set is unknown, cannot be downloaded or cannot be written.
    """
    data_root = _data_root(data_dir)
    key, version = parse_name(name, data_root)
    if copy := _prepared(f"{key}/{version}" if version else key, data_root):
        print(f"{name} is already prepared in {copy}")
        return copy
    check_name(name, data_root)

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow  # noqa: F401  fail here, and not after the download
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise PrepareError(
            "preparing needs tensorflow, tensorflow-datasets, importlib_resources, array_record "
            f"and pillow: {error}"
        ) from error

    downloads = data_root / "downloads"
    try:
        builder = _builder(tfds, f"{key}:{version}" if version else key, data_root)
        _generate(tfds, builder, downloads)
    except tfds.core.DatasetNotFoundError as error:
        raise PrepareError(f"TFDS knows no data set called {name}") from error
    except Exception as error:  # TFDS, its downloader and TensorFlow each raise their own
        raise PrepareError(f"cannot prepare {name}: {_reason(error, downloads)}") from error
    print(f"prepared {name} in {builder.data_dir}")
    return Path(builder.data_dir)


def parse_name(name: str, data_root: Path) -> tuple[str, str | None]:
    """Splits ``emnist/letters/3.1.0`` into ``("emnist/letters", "3.1.0")``; without a version,
    None.

    Raises:
      PrepareError: if it is not the name of a set.
    """
    match = re.fullmatch(r"([A-Za-z]\w*(?:/[A-Za-z][\w.-]*)?)(?:[/:](\d+\.\d+\.\d+))?", name)
    if match is None or len(name) > _LONGEST:
        shown = name if len(name) <= _LONGEST else f"{name[:40]}..."
        near = _nearest(shown, _known(data_root))
        raise PrepareError(
            f"{shown!r} is not the name of a data set, such as {near or 'mnist or mnist/3.0.1'}"
        )
    return match[1], match[2]


def check_name(name: str, data_root: Path) -> None:
    """Refuses a name under which TFDS has nothing to prepare, by the list that
    tensorflow-datasets comes with; needs no network and no TensorFlow. Where that package is not
    installed, only the form of the name is looked at.

    Raises:
      PrepareError: with the nearest name that TFDS has or that lies in the data directory.
    """
    if name.split("/")[0] in UNPREPARED:
        raise PrepareError(f"{name} is loaded as it is: there is nothing to prepare")
    key, version = parse_name(name, data_root)
    base, _, config = key.partition("/")
    builders = _tfds_names()
    if not builders:
        return
    if base not in builders:
        folder = data_root / key
        if has := versions(folder):
            raise PrepareError(
                f"{folder} has no version of {name} in array_record files (there is "
                f"{', '.join(has)}) and TFDS does not know {base}: docs/own_data.md shows how to "
                "write one"
            )
        near = _nearest(base, _known(data_root))
        raise PrepareError(
            f"neither TFDS nor {data_root} has an image set called {base}: "
            + (f"did you mean {near}?" if near else "docs/own_data.md shows how to write your own")
        )
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_cls(base)
    except ImportError:  # of what only its raw files need
        return
    configs = builder.builder_configs
    if config and not configs:
        raise PrepareError(f"{base} comes in one form only: write {base}, not {key}")
    if configs and config not in configs:
        near = _nearest(config, configs) or next(iter(configs))
        raise PrepareError(
            f"{base} comes in {len(configs)} forms, of which {key} names none: write, for "
            f"instance, {base}/{near}"
        )
    known = {str(v) for v in (builder.VERSION, *builder.SUPPORTED_VERSIONS) if v}
    if configs:
        chosen = configs[config]
        known |= {str(v) for v in (chosen.version, *(chosen.supported_versions or ())) if v}
    if version and known and version not in known:
        raise PrepareError(f"{key} has no version {version}: there is {', '.join(sorted(known))}")


def versions(folder: Path) -> list[str]:
    """Names of the directories of versions in the directory of a set, in their order."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = [name for name in names if re.fullmatch(r"\d+\.\d+\.\d+", name)]
    return sorted(found, key=version_order)


def version_order(version: str) -> tuple[int, ...]:
    """What versions are sorted by: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split("."))


def _tfds_names() -> list[str]:
    try:
        import tensorflow_datasets as tfds

        return tfds.list_builders(with_community_datasets=False)
    except (ImportError, AttributeError):  # the latter where it found half of TensorFlow
        return []


def _known(data_root: Path) -> list[str]:
    """What TFDS knows, and what lies in the data directory."""
    folders = (data_root, data_root / "array_record")
    own = [path.name for f in folders if f.is_dir() for path in f.iterdir() if versions(path)]
    return [*UNPREPARED, *own, *_tfds_names()]


def _nearest(name: str, names: Collection[str]) -> str:
    name = name.lower()
    close = difflib.get_close_matches(name, names, 1)
    return next(iter(close or (other for other in names if name and other.startswith(name))), "")


def _data_root(data_dir: str | None) -> Path:
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser()


def _prepared(name: str, data_root: Path) -> Path | None:
    """The directory of an array_record copy of the set, if there is one."""
    for folder in (data_root / "array_record" / name, data_root / name):
        for path in (folder / "dataset_info.json", *folder.glob("*.*.*/dataset_info.json")):
            try:
                info = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
            if "array_record" in (info.get("fileFormat"), *info.get("alternativeFileFormats", [])):
                return path.parent
    return None


def _builder(tfds: Any, name: str, data_root: Path) -> Any:
    """The TFDS builder, set to write where no copy in another file format lies."""
    beside = data_root / "array_record"
    builder = tfds.builder(name, data_dir=str(beside), file_format="array_record")
    if (data_root / Path(builder.data_dir).relative_to(beside)).exists():
        return builder
    return tfds.builder(name, data_dir=str(data_root), file_format="array_record")


def _generate(tfds: Any, builder: Any, downloads: Path) -> None:
    """Downloads what does not lie in the manual directory, and writes the records."""

    def generate(manual_dir: Path) -> None:
        # Sets share file names (MNIST, Fashion-MNIST and KMNIST do), and TFDS reuses whatever
        # was extracted under a name: an own directory keeps one set's images out of another.
        builder.download_and_prepare(
            download_dir=str(downloads),
            download_config=tfds.download.DownloadConfig(
                manual_dir=str(manual_dir),
                extract_dir=str(downloads / "extracted" / builder.name),
                try_download_gcs=False,
            ),
        )

    shared, own = downloads / "manual", downloads / "manual" / builder.name
    try:
        generate(own if own.is_dir() else shared)
    except Exception as error:
        if type(error).__name__ != "NonMatchingChecksumError" or own.is_dir():
            raise
        print(
            f"{shared} holds other files under the names of {builder.name}'s: downloading those",
            file=sys.stderr,
        )
        generate(own)


def _reason(error: BaseException, downloads: Path) -> str:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(":")
    if {"RequestException", "DownloadError"} & {kind.__name__ for kind in type(error).__mro__}:
        return (
            f"the download failed ({line[:160]}); files that are at hand already can be put into "
            f"{downloads / 'manual'}/<name of the set> under their published names"
        )
    return line


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise PrepareError(f"{message}: --help explains the arguments")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status, 2 for an error that the user can mend."""
    parser = _Parser(prog="prepare.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", help="TFDS name, such as mnist, svhn_cropped or emnist/letters")
    parser.add_argument("--data_dir", help="default: $TFDS_DATA_DIR or ~/tensorflow_datasets")
    parser.add_argument("--check", action="store_true", help="only check the name")
    parser.add_argument("--form", action="store_true", help="only check the form of the name")
    try:
        args = parser.parse_args(argv)
        if args.form:
            parse_name(args.name, _data_root(args.data_dir))
        elif args.check:
            check_name(args.name, _data_root(args.data_dir))
        else:
            prepare(args.name, args.data_dir)
    except PrepareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
