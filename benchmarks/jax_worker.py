"""This suite's train step as ``fit`` runs it on a CPU."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import methods, priors, program
from aae_jax.core import named_key, step_keys
from aae_jax.data import Scaling
from benchmarks import common, peak, problem


class Steps:
    """``program.advance``, all updates of a call in one dispatch, its state donated."""

    def __init__(self, input_noise: float | None = None):
        self.config = problem.config()
        if input_noise is not None:
            self.config.model.input_noise = input_noise
        images, labels = problem.images_and_labels()
        self.data = {"images": jnp.asarray(images), "labels": jnp.asarray(labels)}
        batch_sizes = (self.config.data.batch_size, self.config.data.labelled_batch_size)
        self.spec = methods.DataSpec(
            (problem.SIDE, problem.SIDE, 1),
            problem.NUM_CLASSES,
            updates_per_epoch=problem.NUM_IMAGES // batch_sizes[0],
            epochs=self.config.train.epochs,
        )
        method = methods.build(self.config.method, self.config.model, spec=self.spec)
        self.program = program.make_program(method, self.spec, batch_sizes, Scaling(255), self.data)
        self.keys = jax.vmap(jax.random.key)(jnp.zeros(1, jnp.int32))
        self.states = self.program.load(self.program.init(self.keys))
        labelled = jnp.arange(problem.NUM_LABELS, dtype=jnp.int32)[None]
        self.order = self.program.epoch_order(self.keys, 0, labelled)

    def run(self, num: int) -> jax.Array:
        """Metrics [num, 1, m]; compiled anew for every ``num``."""
        self.states, metrics = self.program.advance(
            self.states, self.data, self.order, self.keys, num
        )
        return jax.block_until_ready(metrics)


def write_example(path: str, num: int) -> list[list[float]]:
    """The losses of ``num`` steps without noise, after writing what they start from: parameters,
    batches, and the samples of the priors, which the step draws from its own key."""
    steps = Steps(input_noise=0.0)
    arrays = {
        "/".join(key.key for key in keys): np.asarray(leaf)
        for keys, leaf in jax.tree_util.tree_leaves_with_path(steps.states.params)
    }
    arrays |= {f"order/{name}": np.asarray(index)[0] for name, index in steps.order.items()}
    model, batch_size = steps.config.model, steps.config.data.batch_size
    for step in range(num):
        keys = step_keys(jax.random.fold_in(named_key(steps.keys[0], "step"), step))
        y_real = priors.categorical(problem.NUM_CLASSES)(keys("label prior"), batch_size)
        z_real = priors.gaussian(model.style_dim, model.style_std)(keys("style prior"), batch_size)
        arrays |= {f"real/y{step}": np.asarray(y_real), f"real/z{step}": np.asarray(z_real)}
    np.savez(path, allow_pickle=False, **arrays)
    metrics = np.asarray(steps.run(num))[:, 0]
    names = [f"{phase}/loss" for phase in steps.config.model.optimizers]
    return metrics[:, [steps.program.metric_names.index(name) for name in names]].tolist()


def main() -> None:
    steps: list[Steps] = []

    def prepare(num: int) -> None:
        steps.append(Steps())
        steps[0].run(num)

    def seconds_per_step(num: int) -> float:
        begin = time.perf_counter()
        steps[0].run(num)
        return (time.perf_counter() - begin) / num

    common.serve(
        {
            "write_example": write_example,
            "prepare": prepare,
            "seconds_per_step": seconds_per_step,
            "gemm_flops": peak.gemm_flops,
        }
    )


if __name__ == "__main__":
    main()
