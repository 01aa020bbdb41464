"""Both sides of the Parzen benchmark, each in a process of its own."""

import resource
import time

import numpy as np

from benchmarks import common, peak

DIM, SIGMA, _BLOCK = 784, 0.1, 2000


def images(seed: int, num: int) -> np.ndarray:
    """[num, 784] float32 in [0, 1], a fifth of the pixels lit, as in MNIST; fewer are the first
    of more."""
    random = np.random.default_rng(seed).random((num, 2, DIM), np.float32)
    return np.where(random[:, 1] < 0.2, random[:, 0], np.float32(0))


def kernel_seconds(num_samples: int, num_images: int) -> float:
    """``parzen_log_likelihoods`` alone: the samples, one block again and again, cost nothing."""
    import jax.numpy as jnp

    from aae_jax.metrics import parzen_log_likelihoods

    block, evaluated = jnp.asarray(images(0, _BLOCK)), images(1, num_images)
    begin = time.perf_counter()
    parzen_log_likelihoods(
        lambda start, num: block[:num],
        evaluated,
        [SIGMA],
        num_samples=num_samples,
        sample_block=_BLOCK,
    )
    return time.perf_counter() - begin


def seconds_and_nats(side: str, num_samples: int, num_images: int) -> tuple[float, float]:
    """The time of a density of these samples at these images, and its mean over the first 100."""
    samples, evaluated = images(0, num_samples), images(1, num_images)
    begin = time.perf_counter()
    if side == "ours":
        from aae_jax.metrics import parzen_log_likelihoods

        nats = parzen_log_likelihoods(samples, evaluated, [SIGMA])[0]
    else:
        from sklearn.neighbors import KernelDensity

        # One leaf: in high dimensions the tree's bounds cancel, and it is wrong and slower.
        density = KernelDensity(bandwidth=SIGMA, leaf_size=num_samples).fit(samples)
        nats = density.score_samples(evaluated)
    return time.perf_counter() - begin, float(nats[:100].mean())


def peak_gigabytes() -> float:
    """The largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    common.serve(
        {
            "gemm_flops": peak.gemm_flops,
            "kernel_seconds": kernel_seconds,
            "peak_gigabytes": peak_gigabytes,
            "seconds_and_nats": seconds_and_nats,
        }
    )


if __name__ == "__main__":
    main()
