"""A run as compiled functions: how it lies on the devices, and what is dispatched to them."""

import math
import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from aae_jax import processes
from aae_jax.core import Batch, State, named_key
from aae_jax.data import Dataset, Scaling
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method


class Layout(NamedTuple):
    """How the work is laid out on the devices.

    Updates are scanned in chunks of ``train.log_every``. Seeds that train at once go by vmap on a
    GPU or TPU. On a CPU, where batched convolutions and matrix products are slower than one seed's
    after the other, they go by ``lax.map``, and by default each trains alone, so that a seed's
    bits do not depend on which others were asked for.
    """

    seeds_at_once: int
    seed_shards: int
    data_shards: int

    def mesh(self, num_seeds: int) -> Mesh | None:
        """The devices of ``num_seeds`` seeds that train at once; None for a single device. Of
        several processes all devices take part, be it with copies."""
        seed_shards, data_shards = math.gcd(num_seeds, self.seed_shards), self.data_shards
        if processes.count() > 1:
            data_shards = self.seed_shards * data_shards // seed_shards
        if seed_shards * data_shards == 1:
            return None
        devices = np.array(processes.devices()[: seed_shards * data_shards])
        return Mesh(devices.reshape(seed_shards, data_shards), ("seed", "data"))


def layout(train: ml_collections.ConfigDict, batch_sizes: tuple[int, ...]) -> Layout:
    """Resolve the layout settings of ``config.train`` for this backend.

    Raises:
        UserError: if seeds or batches do not divide over the shards asked for, or over the devices
            of several processes.
    """
    in_turn = jax.default_backend() == "cpu" and processes.count() == 1
    num_devices = len(processes.devices())
    at_once = min(train.seeds_at_once or (1 if in_turn else train.seeds), train.seeds)
    seed_shards = train.seed_shards or math.gcd(at_once, train.seeds, num_devices)
    batch_gcd = math.gcd(*batch_sizes)
    data_shards = train.data_shards or math.gcd(batch_gcd, num_devices // seed_shards)
    if at_once % seed_shards or train.seeds % seed_shards:
        raise UserError(
            f"{train.seeds} seeds, {at_once} at once, do not divide over {seed_shards} "
            "train.seed_shards"
        )
    if batch_gcd % data_shards:
        raise UserError(
            f"batches of {' and '.join(map(str, batch_sizes))} images do not divide over "
            f"{data_shards} train.data_shards"
        )
    if seed_shards * data_shards > num_devices:
        raise UserError(
            f"{seed_shards} seed shards times {data_shards} data shards need more than the "
            f"{num_devices} devices here: lower train.seed_shards or train.data_shards"
        )
    if processes.count() > 1 and seed_shards * data_shards != num_devices:
        raise UserError(
            f"{at_once} seeds at once with batches of {' and '.join(map(str, batch_sizes))} images "
            f"do not divide over the {num_devices} devices of {processes.count()} processes: "
            "change train.seeds_at_once or the batch sizes, or start fewer processes"
        )
    return Layout(at_once, seed_shards, data_shards)


def check_memory(method: Method) -> None:
    """Refuse a model whose parameters and optimizers alone do not fit into the memory.

    Raises:
        UserError: saying how much they would take.
    """
    leaves = jax.tree.leaves(jax.eval_shape(method.init, jax.random.key(0)))
    needed = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    there = _memory()
    if needed > there:
        raise UserError(
            f"parameters and optimizers would take {needed / 1e9:,.0f} GB, and there are "
            f"{there / 1e9:,.0f}: lower the sizes under config.model"
        )


def _memory() -> float:
    """Bytes of a device's memory; infinite where it does not say."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (device.memory_stats() or {}).get("bytes_limit", math.inf)


def place(tree: Any, mesh: Mesh | None, axis: str | None = None) -> Any:
    """Arrays on the devices, once: split over ``axis`` of the mesh, or copied to all of them."""
    if mesh is None:
        return jax.device_put(tree)
    sharding = NamedSharding(mesh, PartitionSpec(axis))
    if processes.count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda array: processes.spread(array, sharding), tree)


class Program(NamedTuple):
    """The compiled functions of a run, over a leading axis of seeds [s].

    Between ``load`` and ``snapshot`` the states of a single seed do without that axis: dropping
    and restoring it in every chunk would cost the CPU a copy of the larger arrays.

    Attributes:
        init: keys [s] -> states [s].
        load: states [s] -> the same on the devices, as ``advance`` and ``predict`` take them.
        epoch_order: (keys, epoch, labelled_index [s, l]) -> image indices of the epoch's batches.
        advance: (loaded states, data, order, keys, num_updates) -> (loaded states, metrics
            [num_updates, s, m]); donates the states. The position in the epoch is the states'
            own step.
        snapshot: loaded states -> (states [s] that outlive them, whether all of their
            parameters and batch statistics are finite [s]).
        outputs: (states [s] without optimizers, data, images uint8 [b, h, w, c], function) -> what
            the method's function of that name makes of the images, [s, b, ...].
        call: (function, state of one seed, ``*arguments``) -> the method's function of that name; a
            Python int among the arguments is static.
        metric_names: the m names of ``metrics``, in the order of the phases.
    """

    init: Callable
    load: Callable
    epoch_order: Callable
    advance: Callable
    snapshot: Callable
    outputs: Callable
    call: Callable
    metric_names: tuple[str, ...]


# The arrays of the training set that have an entry an image.
_OF_IMAGES = ("images", "labels", "captions", "caption_classes")


def host_data(dataset: Dataset) -> dict[str, np.ndarray]:
    """The training set as a run sees it: uint8 images, labels, captions and the second domain's
    images where there are any, and the shift and scale of every pixel where these are arrays."""
    arrays = {"images": dataset.train.images, "labels": dataset.train.labels}
    if dataset.second is not None:
        arrays["second_images"] = dataset.second.images
    if dataset.captions is not None:
        sentences = dataset.captions.train
        arrays |= {"captions": sentences.tokens, "caption_classes": sentences.classes}
    if np.ndim(dataset.scaling.shift):
        arrays |= {
            "shift": np.asarray(dataset.scaling.shift),
            "scale": np.asarray(dataset.scaling.scale),
        }
    return arrays


def device_data(dataset: Dataset) -> dict[str, jax.Array]:
    """The same on a device."""
    return {name: jnp.asarray(array) for name, array in host_data(dataset).items()}


def is_resident(data: dict[str, np.ndarray], share: float) -> bool:
    """Whether the arrays take at most this share of a device's memory, and so may lie there."""
    return sum(array.nbytes for array in data.values()) <= share * _memory()


def streamed(
    data: dict[str, np.ndarray],
    order: dict[str, np.ndarray],
    batch_sizes: tuple[int, int],
    position: int,
    num_updates: int,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What some updates of an epoch take of a training set that stays on the host, and the epoch's
    order as places in that: every update sees what it would see of the whole set.

    Args:
        data: ``host_data``, which may be mapped from a file.
        order: ``Program.epoch_order`` on the host, [s, n] each.
        batch_sizes: unlabelled and labelled.
        position: of the first of the updates in the epoch.
        num_updates: how many.
    """
    sizes = {"images": batch_sizes[0], "labelled": batch_sizes[1], "second": batch_sizes[0]}
    chosen: dict[bool, list[np.ndarray]] = {False: [], True: []}  # by whether of the second domain
    places = {}
    for name, entries in order.items():
        size, of_second = sizes[name], name == "second"
        part = entries[:, position * size : (position + num_updates) * size]
        before = sum(map(len, chosen[of_second]))
        first = before + part.shape[1] * np.arange(len(part))[:, None] - position * size
        places[name] = (first + np.arange(entries.shape[1])).astype(entries.dtype)
        chosen[of_second].append(part.reshape(-1))
    of_images = np.concatenate(chosen[False])
    taken = {n: array[of_images] if n in _OF_IMAGES else array for n, array in data.items()}
    if "second_images" in data:
        taken["second_images"] = data["second_images"][np.concatenate(chosen[True])]
    return taken, places


def scale(images: jax.Array, data: dict[str, jax.Array], scaling: Scaling) -> jax.Array:
    """uint8 [..., h, w, c] as the networks see them: numbers of the scaling are constants of the
    program, its arrays come with the data."""
    if "shift" in data:
        scaling = scaling._replace(shift=data["shift"], scale=data["scale"])
    return scaling.forward(images)


@cache
def _compiler_options() -> dict[str, bool] | None:
    """On a CPU, XLA's copy insertion leaves some donated arrays to be copied in every update; its
    region analysis finds that they need not be."""
    options = {"xla_cpu_copy_insertion_use_region_analysis": True}
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda x: x, compiler_options=options)(0)
    except Exception:  # a version of XLA without the option
        return None
    return options


@cache
def _order_of_epoch(
    num_images: int, num_batched: int, num_labelled: int, num_second: int
) -> Callable:
    """``Program.epoch_order`` of so many images, and entries of an epoch's batches; one for all
    runs in which these are the same."""

    def permutations(key, index, needed):
        """As many permutations of ``index`` as make up ``needed`` entries."""
        passes = -(-needed // index.shape[0])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(passes))
        shuffled = jax.vmap(jax.random.permutation, (0, None))(keys, index)
        return shuffled.reshape(-1)[:needed]

    def order_of_epoch(key, epoch, labelled_index):
        """Image indices of an epoch's batches: one permutation of the unlabelled set, and as many
        permutations of the labelled subset, and of the second domain, as fill their batches."""
        key = jax.random.fold_in(named_key(key, "order"), epoch)
        images = jax.random.permutation(named_key(key, "images"), num_images)
        order = {"images": images[:num_batched]}
        if num_labelled:
            order["labelled"] = permutations(
                named_key(key, "labelled images"), labelled_index, num_labelled
            )
        if num_second:
            second = jnp.arange(num_second)
            order["second"] = permutations(named_key(key, "second images"), second, num_batched)
        return order

    return jax.jit(jax.vmap(order_of_epoch, (0, None, 0)))


@jax.jit
def _snapshot(states: State) -> tuple[State, jax.Array]:
    """``Program.snapshot``, of any method."""
    alone = not states.step.ndim
    states = jax.tree.map(lambda x: jnp.copy(x[None] if alone else x), states)
    arrays = jax.tree.leaves((states.params, states.batch_stats))
    values = jnp.concatenate([x.reshape(x.shape[0], -1) for x in arrays], axis=1)
    return states, jnp.isfinite(values).all(1)  # one reduction: compiled in a fifth of the time


def make_program(
    method: Method,
    spec: DataSpec,
    batch_sizes: tuple[int, int],
    scaling: Scaling,
    data: Mapping[str, Any],
    mesh: Mesh | None = None,
) -> Program:
    """Compile-ready functions of a run. ``batch_sizes``: unlabelled and labelled; ``data``: the
    training set, of which the shapes are looked at."""
    batch_size, labelled_batch_size = batch_sizes
    num_images = data["images"].shape[0]
    per_epoch = spec.updates_per_epoch or num_images // batch_size

    def gather(data, order, position, size, name="images"):
        index = jax.lax.dynamic_slice(order, (position * size,), (size,))
        if mesh is not None:
            index = jax.lax.with_sharding_constraint(
                index, NamedSharding(mesh, PartitionSpec("data"))
            )
        return scale(data[name][index], data, scaling), index

    def captions_of(data, index, key):
        """One of each image's sentences, and the class of what it says."""
        sentence = jax.random.randint(key, index.shape, 0, data["captions"].shape[1])
        return data["captions"][index, sentence], data["caption_classes"][index]

    metric_names: list[str] = []

    # Traced once, here below, for the names of the metrics, and taken up by ``advance``.
    @partial(jax.jit, inline=True)
    def train_step(state, batch, key):
        state, metrics = method.train_step(state, batch, key)
        # In the order of the phases: a dict that leaves a transformation is sorted.
        metric_names[:] = metrics
        return state, jnp.stack([jnp.asarray(metrics[name], jnp.float32) for name in metric_names])

    def one_update(state, data, order, key):
        position = state.step % per_epoch
        images, index = gather(data, order["images"], position, batch_size)
        batch = Batch(images)
        if labelled_batch_size:
            labelled, chosen = gather(data, order["labelled"], position, labelled_batch_size)
            batch = Batch(images, labelled, data["labels"][chosen])
        if spec.second_shape is not None:
            second, _ = gather(data, order["second"], position, batch_size, "second_images")
            batch = batch._replace(second_images=second)
        step_key = jax.random.fold_in(named_key(key, "step"), state.step)
        if spec.caption_length:
            captions, classes = captions_of(data, index, named_key(step_key, "sentences"))
            batch = batch._replace(captions=captions, caption_classes=classes)
        return train_step(state, batch, step_key)

    in_turn = jax.default_backend() == "cpu" and mesh is None
    spmd_axis = "seed" if mesh is not None else None
    update_seeds = jax.vmap(one_update, in_axes=(0, None, 0, 0), spmd_axis_name=spmd_axis)

    def chunk(state, data, order, key, num_updates, update=one_update):
        def body(state, _):
            return update(state, data, order, key)

        return jax.lax.scan(body, state, None, num_updates)

    def load(states):
        if mesh is None and states.step.shape[0] == 1:
            return jax.device_put(jax.tree.map(lambda x: x[0], states))
        return place(states, mesh, "seed")

    @partial(
        jax.jit,
        static_argnames="num_updates",
        donate_argnums=0,
        compiler_options=_compiler_options(),
    )
    def advance(states, data, order, keys, num_updates):
        if not states.step.ndim:
            order, keys = jax.tree.map(lambda x: x[0], (order, keys))
            states, metrics = chunk(states, data, order, keys, num_updates)
            return states, metrics[:, None]
        if in_turn:
            states, metrics = jax.lax.map(
                lambda seed: chunk(seed[0], data, seed[1], seed[2], num_updates),
                (states, order, keys),
            )
            return states, metrics.swapaxes(0, 1)
        return chunk(states, data, order, keys, num_updates, update_seeds)

    @partial(jax.jit, static_argnames="function")
    def outputs(states, data, images, function):
        scaled = scale(images, data, scaling)

        def of_seed(state):
            return getattr(method, function)(state, scaled)

        return jax.lax.map(of_seed, states) if in_turn else jax.vmap(of_seed)(states)

    @cache
    def compiled(function, static):
        return jax.jit(getattr(method, function), static_argnums=static)

    def call(function, state, *arguments):
        static = tuple(i for i, value in enumerate(arguments, 1) if isinstance(value, int))
        return compiled(function, static)(state, *arguments)

    start = jax.jit(method.init, inline=True)  # traced before, to look at the shapes

    def init(keys):
        return jax.vmap(lambda key: start(named_key(key, "init")))(keys)

    batch = Batch(jax.ShapeDtypeStruct((batch_size, *spec.image_shape), jnp.float32))
    if labelled_batch_size:
        batch = batch._replace(
            labelled_images=jax.ShapeDtypeStruct(
                (labelled_batch_size, *spec.image_shape), jnp.float32
            ),
            labels=jax.ShapeDtypeStruct((labelled_batch_size,), jnp.int32),
        )
    if spec.second_shape is not None:
        second = jax.ShapeDtypeStruct((batch_size, *spec.second_shape), jnp.float32)
        batch = batch._replace(second_images=second)
    if spec.caption_length:
        batch = batch._replace(
            captions=jax.ShapeDtypeStruct((batch_size, spec.caption_length), jnp.int32),
            caption_classes=jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        )
    key = jax.random.key(0)
    jax.eval_shape(train_step, jax.eval_shape(method.init, key), batch, key)
    num_second = data["second_images"].shape[0] if spec.second_shape is not None else 0
    epoch_order = _order_of_epoch(
        num_images, per_epoch * batch_size, per_epoch * labelled_batch_size, num_second
    )
    return Program(
        init=jax.jit(init),
        load=load,
        epoch_order=epoch_order,
        advance=advance,
        snapshot=_snapshot,
        outputs=outputs,
        call=call,
        metric_names=tuple(metric_names),
    )
