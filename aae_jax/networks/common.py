"""What all networks share: initialisation, input corruption, and apply functions by name."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax.core import BatchStats, Params, named_key
from aae_jax.errors import UserError

# Where a module sows what lies beneath its heads; kept only by who asks (``Network.hidden``).
INTERMEDIATES, HIDDEN = "intermediates", "hidden"

_INITIALIZERS = {
    "normal_0.01": nn.initializers.normal(0.01),  # AAE, A.1: Gaussian with std 0.01
    "normal_0.02": nn.initializers.normal(0.02),  # Radford et al. 2016 (DCGAN), section 4
    "lecun_normal": nn.initializers.lecun_normal(),
    "he_normal": nn.initializers.he_normal(),
    "glorot_uniform": nn.initializers.glorot_uniform(),
}


def initializer(name: str) -> nn.initializers.Initializer:
    """Weight initializer by name.

    Raises:
        UserError: for an unknown name; the message lists the known ones.
    """
    check_choice("weight init", name, tuple(_INITIALIZERS))
    return _INITIALIZERS[name]


def check_choice(field: str, value: str, choices: Sequence[str]) -> None:
    """Refuse what is not among ``choices``.

    Raises:
        UserError: naming the field and its choices.
    """
    if value not in choices:
        raise UserError(f"unknown {field} {value!r}: choose one of {', '.join(map(repr, choices))}")


class Network(NamedTuple):
    """A linen module under the name by which a State keeps its parameters.

    The module is called as ``module(*inputs, train=...)``; its random streams in training are
    "dropout" and "noise". Calling the network applies the module in training mode and returns the
    outputs together with the batch statistics of all networks, its own advanced by this pass;
    ``evaluate`` applies it with the running statistics and without dropout.
    """

    name: str
    module: nn.Module

    def init(self, key: jax.Array, *inputs: Any) -> tuple[Any, Any]:
        """(parameters, batch statistics) of this network for inputs of these shapes."""
        variables = self.module.init({"params": key}, *inputs, train=False)
        return variables["params"], variables.get("batch_stats", {})

    def __call__(
        self, params: Params, batch_stats: BatchStats, *inputs: Any, key: jax.Array | None = None
    ) -> tuple[Any, BatchStats]:
        variables = {"params": params[self.name], "batch_stats": batch_stats[self.name]}
        rngs = None if key is None else {"dropout": key, "noise": key}
        outputs, changed = self.module.apply(
            variables, *inputs, train=True, rngs=rngs, mutable=["batch_stats"]
        )
        stats = changed.get("batch_stats", batch_stats[self.name])
        return outputs, {**batch_stats, self.name: stats}

    def evaluate(self, params: Params, batch_stats: BatchStats, *inputs: Any) -> Any:
        """Outputs with running batch-norm statistics and no dropout."""
        variables = {"params": params[self.name], "batch_stats": batch_stats[self.name]}
        return self.module.apply(variables, *inputs, train=False)

    def hidden(self, params: Params, batch_stats: BatchStats, *inputs: Any) -> jax.Array:
        """What lies beneath the heads, [b, d], of a module that sows it; as ``evaluate``."""
        variables = {"params": params[self.name], "batch_stats": batch_stats[self.name]}
        _, sown = self.module.apply(variables, *inputs, train=False, mutable=[INTERMEDIATES])
        return sown[INTERMEDIATES][HIDDEN][0]


def init_networks(
    key: jax.Array, networks: dict[Network, tuple[Any, ...]]
) -> tuple[Params, BatchStats]:
    """Initialise every network on example inputs, each from a key of its own, which follows its
    name: another network beside it changes nothing."""
    params, batch_stats = {}, {}
    for network, inputs in networks.items():
        params[network.name], batch_stats[network.name] = network.init(
            named_key(key, network.name), *inputs
        )
    return params, batch_stats


def zeros_of(network: Network, key: jax.Array, *inputs: Any) -> Any:
    """Zeros of the shapes of a network's outputs, which the next one is initialised on; nothing is
    computed."""
    shapes = jax.eval_shape(
        lambda: network.module.init_with_output({"params": key}, *inputs, train=False)[0]
    )
    return jax.tree.map(lambda output: jnp.zeros(output.shape), shapes)


def moved(key: jax.Array, images: jax.Array, pixels: int, mirrored: bool) -> jax.Array:
    """Images [b, h, w, c], each shifted up and down and to the sides by up to ``pixels`` of its
    own, zeros coming in, and, if ``mirrored``, left and right exchanged in about half of them;
    training time only."""
    num, height, width, channels = images.shape
    if mirrored:
        mirror = jax.random.bernoulli(named_key(key, "mirror"), 0.5, (num, 1, 1, 1))
        images = jnp.where(mirror, images[:, :, ::-1], images)
    if pixels:
        room = (pixels, pixels)
        padded = jnp.pad(images, ((0, 0), room, room, (0, 0)))
        corners = jax.random.randint(named_key(key, "shift"), (num, 2), 0, 2 * pixels + 1)
        images = jax.vmap(
            lambda image, corner: jax.lax.dynamic_slice(
                image, (corner[0], corner[1], 0), (height, width, channels)
            )
        )(padded, corners)
    return images


def corrupt(
    key: jax.Array, images: jax.Array, noise_std: float = 0.0, dropout_rate: float = 0.0
) -> jax.Array:
    """Additive Gaussian noise (AAE, A.2.1) and input dropout (A.2.2, A.3), training time only.

    Dropout zeroes each value with probability ``dropout_rate`` and scales the others by
    ``1 / (1 - dropout_rate)``. Shape and dtype of ``images`` are kept.
    """
    if noise_std > 0.0:
        noise = jax.random.normal(named_key(key, "noise"), images.shape, images.dtype)
        images = images + noise_std * noise
    if dropout_rate > 0.0:
        kept = jax.random.bernoulli(named_key(key, "dropout"), 1.0 - dropout_rate, images.shape)
        images = jnp.where(kept, images / (1.0 - dropout_rate), 0.0)
    return images
