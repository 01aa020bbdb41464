"""Output heads of autoregressive decoders: what the outputs at a pixel say about its levels.

Pixels are integer levels, 0 to ``num_levels`` - 1; ``quantize`` and ``to_images`` convert from and
to images in [0, 1], which is what networks see.
"""

from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, log_softmax

from aae_jax.errors import UserError
from aae_jax.networks.common import check_choice

_MIN_LOG_SCALE = -7.0  # PixelCNN++'s


class Head(Protocol):
    """What a decoder and its sampler need to know of the output distribution.

    Attributes:
        channels: channels of the image.
        num_levels: grey levels per channel.
        num_outputs: outputs of the network per pixel.
        ordered_channels: whether the network itself makes a channel depend on those before it (by
            its masks); otherwise the head does, or there is one channel.
    """

    @property
    def channels(self) -> int: ...
    @property
    def num_levels(self) -> int: ...
    @property
    def num_outputs(self) -> int: ...
    @property
    def ordered_channels(self) -> bool: ...

    def log_prob(self, outputs: jax.Array, levels: jax.Array) -> jax.Array:
        """log p(pixel) in nats: outputs [..., num_outputs], levels [..., channels] -> [...]."""

    def sample(self, key: jax.Array, outputs: jax.Array) -> jax.Array:
        """Outputs [..., num_outputs] -> levels [..., channels], int32.

        With ``ordered_channels`` a channel's draw means something only if the outputs were
        computed from the channels before it.
        """


@dataclass(frozen=True)
class Bernoulli:
    """One channel of two levels: images binarised at 0.5. One output, the logit of level 1."""

    channels = 1
    num_levels = 2
    num_outputs = 1
    ordered_channels = False

    def log_prob(self, outputs: jax.Array, levels: jax.Array) -> jax.Array:
        return log_sigmoid(jnp.where(levels == 1, outputs, -outputs))[..., 0]

    def sample(self, key: jax.Array, outputs: jax.Array) -> jax.Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(outputs)).astype(jnp.int32)


@dataclass(frozen=True)
class Categorical:
    """A softmax over the levels of each channel (PixelRNN, section 3.3).

    A channel depends on those before it through the network's masks.
    """

    num_levels: int
    channels: int = 1

    @property
    def num_outputs(self) -> int:
        return self.channels * self.num_levels

    @property
    def ordered_channels(self) -> bool:
        return self.channels > 1

    def _logits(self, outputs: jax.Array) -> jax.Array:
        return outputs.reshape(*outputs.shape[:-1], self.channels, self.num_levels)

    def log_prob(self, outputs: jax.Array, levels: jax.Array) -> jax.Array:
        log_probs = log_softmax(self._logits(outputs))
        return jnp.take_along_axis(log_probs, levels[..., None], axis=-1).sum(axis=(-2, -1))

    def sample(self, key: jax.Array, outputs: jax.Array) -> jax.Array:
        return jax.random.categorical(key, self._logits(outputs)).astype(jnp.int32)


@dataclass(frozen=True)
class LogisticMixture:
    """Mixture of logistics, integrated over each level's interval (PixelCNN++, section 2.1).

    The channels share the mixture component, and the means of the second and third channel depend
    linearly on the channels before them (section 2.2). The lowest and the highest level take the
    tails. Outputs: for each component a logit, ``channels`` means and log scales, and a
    coefficient for each pair of channels.
    """

    channels: int = 3
    num_levels: int = 256
    components: int = 10
    ordered_channels = False

    @property
    def num_outputs(self) -> int:
        pairs = self.channels * (self.channels - 1) // 2
        return self.components * (1 + 2 * self.channels + pairs)

    def _split(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Logits [..., m], then means, log scales and coefficients [..., m, size]."""
        outputs = outputs.reshape(*outputs.shape[:-1], self.components, -1)
        c = self.channels
        logits, means, log_scales, coefficients = jnp.split(outputs, (1, 1 + c, 1 + 2 * c), axis=-1)
        log_scales = jnp.maximum(log_scales, _MIN_LOG_SCALE)
        return logits[..., 0], means, log_scales, jnp.tanh(coefficients)

    def _mean(
        self, channel: int, means: jax.Array, coefficients: jax.Array, values: list[jax.Array]
    ) -> jax.Array:
        """Mean of a channel, given the values in [-1, 1] of those before it."""
        first = channel * (channel - 1) // 2
        return means[..., channel] + sum(
            coefficients[..., first + i] * values[i] for i in range(channel)
        )

    def log_prob(self, outputs: jax.Array, levels: jax.Array) -> jax.Array:
        logits, means, log_scales, coefficients = self._split(outputs)
        levels = levels[..., None, :]
        x = 2 * to_images(levels, self.num_levels) - 1
        values = [x[..., i] for i in range(self.channels)]
        total = log_softmax(logits)
        for i in range(self.channels):
            centred = values[i] - self._mean(i, means, coefficients, values)
            inverse_scale = jnp.exp(-log_scales[..., i])
            half = 1 / (self.num_levels - 1)
            above = inverse_scale * (centred + half)
            below = inverse_scale * (centred - half)
            is_lowest = levels[..., i] == 0
            is_highest = levels[..., i] == self.num_levels - 1
            # log(σ(above) - σ(below)), exact however far the level lies from the mean:
            # σ(a) - σ(b) = σ(a) σ(-b) (1 - exp(b - a)).
            inside = jnp.log(-jnp.expm1(-2 * half * inverse_scale))
            total += jnp.where(is_highest, 0, log_sigmoid(above))
            total += jnp.where(is_lowest, 0, log_sigmoid(-below))
            total += jnp.where(is_lowest | is_highest, 0, inside)
        return jax.nn.logsumexp(total, axis=-1)

    def sample(self, key: jax.Array, outputs: jax.Array) -> jax.Array:
        logits, means, log_scales, coefficients = self._split(outputs)
        component_key, key = jax.random.split(key)
        component = jax.random.categorical(component_key, logits)[..., None, None]
        means, log_scales, coefficients = (
            jnp.take_along_axis(parameters, component, axis=-2)[..., 0, :]
            for parameters in (means, log_scales, coefficients)
        )
        noise = jnp.exp(log_scales) * jax.random.logistic(key, means.shape)
        levels: list[jax.Array] = []
        values: list[jax.Array] = []
        for i in range(self.channels):
            x = self._mean(i, means, coefficients, values) + noise[..., i]
            # The next channel sees the level, not the sample itself: as in log_prob.
            level = jnp.round((jnp.clip(x, -1, 1) + 1) / 2 * (self.num_levels - 1))
            levels.append(level.astype(jnp.int32))
            values.append(2 * to_images(levels[i], self.num_levels) - 1)
        return jnp.stack(levels, axis=-1)


HEADS = ("bernoulli", "categorical", "logistic_mixture")


def make_head(
    name: str, channels: int, data_levels: int, *, num_levels: int = 0, components: int = 10
) -> Head:
    """The head called ``name`` for images with ``channels`` channels of ``data_levels`` levels.

    ``num_levels`` is the number of levels to model, by default the data's own (Bernoulli: two);
    ``components`` is the logistic mixture's.

    Raises:
        UserError: an unknown name, a head that does not do so many channels, or levels that the
            data do not have.
    """
    check_choice("head", name, HEADS)
    if name == "bernoulli":
        if channels != 1 or num_levels not in (0, 2):
            asked = f"{channels} channels" if channels != 1 else f"{num_levels} levels"
            raise UserError(
                f"the bernoulli head has one channel of two levels, not {asked}: use 'categorical'"
            )
        return Bernoulli()
    num_levels = num_levels or data_levels
    if not 2 <= num_levels <= data_levels:
        raise UserError(
            f"the {name} head cannot have {num_levels} levels on data of {data_levels}: choose 2 "
            f"to {data_levels}"
        )
    if name == "categorical":
        return Categorical(num_levels, channels)
    if channels not in (1, 3):
        raise UserError(
            f"the logistic_mixture head has 1 or 3 channels, not {channels}: use 'categorical'"
        )
    return LogisticMixture(channels, num_levels, components)


def quantize(images: jax.Array, num_levels: int) -> jax.Array:
    """Images in [0, 1] -> levels, int32: equal intervals, so two levels binarise at 0.5.

    Data of just ``num_levels`` levels keep them: it inverts ``to_images``.
    """
    return jnp.clip(jnp.floor(images * num_levels), 0, num_levels - 1).astype(jnp.int32)


def to_images(levels: jax.Array, num_levels: int) -> jax.Array:
    """Levels -> images in [0, 1], float32: the lowest is 0, the highest 1."""
    return levels.astype(jnp.float32) / (num_levels - 1)
