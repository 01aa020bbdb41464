"""What the tests of methods share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.core import Batch


@pytest.fixture
def draws(monkeypatch):
    """What ``jax.random`` returned, in order, of functions that are run without ``jit``."""
    drawn: list = []
    for name in ("normal", "uniform", "randint", "bernoulli"):
        true = getattr(jax.random, name)

        def recorded(*arguments, true=true, **options):
            drawn.append(true(*arguments, **options))
            return drawn[-1]

        monkeypatch.setattr(jax.random, name, recorded)
    return drawn


@pytest.fixture(scope="session")
def tiny_batches():
    """Two batches of 6 unlabelled and 4 labelled 2x3 images of three classes."""
    rng = np.random.default_rng(0)
    return [
        Batch(
            jnp.asarray(rng.uniform(size=(6, 2, 3, 1)), jnp.float32),
            jnp.asarray(rng.uniform(size=(4, 2, 3, 1)), jnp.float32),
            jnp.asarray([0, 2, 1, 2], jnp.int32),
        )
        for _ in range(2)
    ]
