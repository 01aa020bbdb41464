"""Updates of a train step, one a dispatch or all of a call's in a scan."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Steps:
    """``at(state, i)`` -> (state, losses [k]), for i = 0, 1, ...; states are donated."""

    def __init__(self, at: Callable[[Any, Any], Any], state: Any, scanned: bool):
        self.state = state
        self._scanned = scanned

        def scan(state: Any, num: int) -> Any:
            return jax.lax.scan(at, state, jnp.arange(num))

        # As in aae_jax.program.
        options = {"xla_cpu_copy_insertion_use_region_analysis": True}
        self._one = jax.jit(at, donate_argnums=0, compiler_options=options)
        self._many = jax.jit(scan, static_argnums=1, donate_argnums=0, compiler_options=options)

    def run(self, num: int) -> list[list[float]]:
        """The losses of ``num`` steps."""
        if self._scanned:
            self.state, losses = self._many(self.state, num)
        else:
            losses = []
            for i in range(num):
                self.state, loss = self._one(self.state, i)
                losses.append(loss)
        return np.asarray(jax.block_until_ready(losses)).tolist()


def largest_difference(ours: list[list[float]], theirs: list[list[float]]) -> float:
    """Of two sides' losses, relative where they are above 1."""
    pairs = [pair for rows in zip(ours, theirs, strict=True) for pair in zip(*rows, strict=True)]
    return max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)
