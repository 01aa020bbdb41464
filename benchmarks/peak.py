"""The machine's matrix-product peak."""

import time

import jax
import jax.numpy as jnp

_GEMM = 2048
_product = jax.jit(jnp.matmul)


def gemm_flops(num: int) -> float:
    """Floating-point operations a second of the fastest of ``num`` large products."""
    square = jnp.ones((_GEMM, _GEMM))
    _product(square, square).block_until_ready()
    seconds = []
    for _ in range(num):
        begin = time.perf_counter()
        _product(square, square).block_until_ready()
        seconds.append(time.perf_counter() - begin)
    return 2 * _GEMM**3 / min(seconds)
