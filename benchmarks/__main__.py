"""``python -m benchmarks [NAME ...]``: measure, and print a line or two a benchmark."""

import sys
from importlib import metadata

from benchmarks import (
    checkpointing,
    common,
    dcgan,
    first_update,
    gemm_fraction,
    import_time,
    parzen,
    pixelcnn_sampling,
    pixelgan_step,
    scaling,
    train_step,
)

BENCHMARKS = {
    "train_step": train_step.measure,
    "gemm_fraction": gemm_fraction.measure,
    "first_update": first_update.measure,
    "import": import_time.measure,
    "parzen": parzen.measure,
    "pixelcnn_sampling": pixelcnn_sampling.measure,
    "dcgan": dcgan.measure,
    "pixelgan_step": pixelgan_step.measure,
    "scaling": scaling.measure,
    "checkpointing": checkpointing.measure,
}


def _machine() -> str:
    versions = []
    for package in ("jax", "jaxlib", "flax", "optax", "scikit-learn", "torch"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"no {package}")
    python = ".".join(map(str, sys.version_info[:3]))
    return f"machine: {common.num_cores()} cores, Python {python}, {', '.join(versions)}"


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}: choose from {', '.join(BENCHMARKS)}")
    print(_machine(), flush=True)
    for name in names or BENCHMARKS:
        print(BENCHMARKS[name](), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
