"""What the tests share: one CPU device, directories of their own, a toy image set."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
# Tests compile many programs and run each for a moment.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_use_fusion_emitters=false",  # half the time of compilation is theirs
        "--xla_cpu_parallel_codegen_split_count=1",
        "--xla_cpu_prefer_vector_width=128",
    ]
)

import functools
import gc
import pathlib
import signal
import subprocess
import sys

import jax
import ml_collections
import numpy as np
import pytest
from jax._src.interpreters import mlir

from aae_jax import methods, training
from aae_jax.data import Dataset, Images, Scaling

ROOT = pathlib.Path(__file__).resolve().parents[1]
LONG = ("test_sharding.py", "test_processes.py", "test_training.py")  # files that take longest
# A third of what compiling a single operation takes is a new context's dialects.
mlir.make_ir_context = functools.cache(mlir.make_ir_context)
# Tracing makes many objects and little garbage: by default a tenth of its time is the collector's.
gc.set_threshold(50_000, 20, 20)
# A shell ignores it for what it starts in the background, and so would every process started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Long files first: of two processes none waits for the other's last file."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory):
    """One cache for all tests, so that a program is compiled once in a session; what is compiled
    is shared by the session's processes."""
    directory = tmp_path_factory.mktemp("cache")
    basetemp = tmp_path_factory.getbasetemp()
    compiled = basetemp.parent if "PYTEST_XDIST_WORKER" in os.environ else basetemp
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AAE_JAX_CACHE_DIR", str(directory))
        jax.config.update("jax_compilation_cache_dir", str(compiled / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.02)
        yield directory


@pytest.fixture(autouse=True)
def own_directories(tmp_path, monkeypatch):
    """Ledgers and runs of a test lie below its ``tmp_path``."""
    monkeypatch.setenv("AAE_JAX_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("AAE_JAX_RUNS_DIR", str(tmp_path / "runs"))


def _toy_images(num: int, seed: int) -> Images:
    rng = np.random.default_rng(seed)
    templates = np.random.default_rng(99).integers(0, 256, (3, 4, 4, 1))
    labels = rng.permutation(np.arange(num) % 3).astype(np.int32)
    images = templates[labels] + rng.integers(-60, 61, (num, 4, 4, 1))
    return Images(np.clip(images, 0, 255).astype(np.uint8), labels)


@pytest.fixture(scope="session")
def toy_dataset() -> Dataset:
    """60 training, 18 validation and 24 test images, 4x4x1, of three classes."""
    parts = _toy_images(60, 0), _toy_images(18, 1), _toy_images(24, 2)
    return Dataset("toy", "0" * 64, Scaling(255), 3, *parts)


@pytest.fixture
def toy_config():
    """``toy_config("data.batch_size", 12, ...)``: a tiny AAE on the toy set, one device."""

    def make(changes=None, method="semi_supervised_aae") -> ml_collections.ConfigDict:
        config = ml_collections.ConfigDict({"method": method})
        config.model = methods.default_config(method)
        config.update(training.default_config())
        flat = {
            "model.hidden": (6,),
            "model.init": "lecun_normal",
            "model.schedule.name": "constant",
            "data.name": "toy",
            "data.num_labels": 12,
            "data.batch_size": 10,
            "data.labelled_batch_size": 6,
            "train.epochs": 2,
            "train.log_every": 3,
            "train.seeds_at_once": 1,
            "train.seed_shards": 1,
            "train.data_shards": 1,
        }
        if method != "supervised_mlp":
            flat |= {"model.discriminator_hidden": (5,), "model.style_dim": 2}
            flat |= {"model.encoder_batch_norm": "all"}
        config.update_from_flattened_dict(flat | (changes or {}))
        return config

    return make


@pytest.fixture
def toy_fit(toy_dataset, toy_config, tmp_path):
    """``toy_fit({"train.epochs": 3}, workdir="a")``: a whole run on the toy set."""

    def run(changes=None, *, workdir="workdir", wrap=lambda method: method, **options):
        config = toy_config(changes)
        spec = training.data_spec(toy_dataset, config)
        method = wrap(methods.build(config.method, config.model, spec=spec))
        return training.fit(
            method, toy_dataset, config, spec=spec, workdir=tmp_path / workdir, **options
        )

    return run


@pytest.fixture
def start_program():
    """``start_program("-m", "experiments.x", ...)``: a Python process in the repository's root."""
    started = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def run_program(start_program):
    """The same, run to its end: a ``subprocess.CompletedProcess``."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        process = start_program(*arguments, **environment)
        stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    return run
