"""What an import of the package pulls in."""

import json

import pytest

HEAVY = ("tensorflow", "tensorflow_datasets", "matplotlib", "orbax", "sklearn", "tensorboardX")


@pytest.mark.parametrize(
    "modules",
    [
        "aae_jax",
        "aae_jax, aae_jax.core, aae_jax.methods, aae_jax.training, aae_jax.data, aae_jax.metrics",
    ],
)
def test_imports_nothing_heavy(run_program, modules):
    code = f"import json, sys, {modules}; print(json.dumps(sorted(sys.modules)))"
    done = run_program("-c", code)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert "aae_jax.core" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_submodules_load_on_first_use(run_program):
    code = (
        "import aae_jax, sys; before = 'aae_jax.methods' in sys.modules; "
        "print(before, aae_jax.methods.METHODS.keys() >= {'clustering_aae'}, 'priors' in "
        "dir(aae_jax), hasattr(aae_jax, 'no_such_module'))"
    )
    done = run_program("-c", code)
    assert done.stdout.split() == ["False", "True", "True", "False"], done.stderr
