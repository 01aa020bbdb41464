"""Prepares a TFDS image set as array_record files: ``python aae_jax/data/prepare.py mnist``.

Reading the result needs no TensorFlow, making it does: run this in an environment that holds
tensorflow, tensorflow-datasets, importlib_resources, array_record and pillow. It needs neither
JAX nor this package installed, and so imports nothing of the package.

Sources that lie in ``$TFDS_DATA_DIR/downloads/manual/<name>``, or directly in ``manual``, under
the names they were published with are taken from there, checked against TFDS's checksums, and
not downloaded.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


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
    if not re.fullmatch(r"[A-Za-z]\w*(/[\w.-]+){0,2}", name):
        raise PrepareError(f"{name!r} is not the name of a data set, such as mnist or mnist/3.0.1")
    data_root = Path(
        data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    ).expanduser()
    if copy := _prepared(name, data_root):
        print(f"{name} is already prepared in {copy}")
        return copy

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
        builder = _builder(tfds, re.sub(r"/(\d+\.\d+\.\d+)$", r":\1", name), data_root)
        _generate(tfds, builder, downloads)
    except tfds.core.DatasetNotFoundError as error:
        raise PrepareError(f"TFDS knows no data set called {name}") from error
    except Exception as error:  # TFDS, its downloader and TensorFlow each raise their own
        raise PrepareError(f"cannot prepare {name}: {_reason(error, downloads)}") from error
    print(f"prepared {name} in {builder.data_dir}")
    return Path(builder.data_dir)


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


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status, 2 for an error that the user can mend."""
    parser = argparse.ArgumentParser(prog="prepare.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", help="TFDS name, such as mnist, svhn_cropped or emnist/letters")
    parser.add_argument("--data_dir", help="default: $TFDS_DATA_DIR or ~/tensorflow_datasets")
    args = parser.parse_args(argv)
    try:
        prepare(args.name, args.data_dir)
    except PrepareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
