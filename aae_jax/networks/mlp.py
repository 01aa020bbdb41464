"""The AAE's fully connected networks: two hidden ReLU layers each (AAE, appendix A)."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax.errors import UserError
from aae_jax.networks.common import HIDDEN, INTERMEDIATES, initializer


class Layer(nn.Module):
    """Dense, then batch norm if asked for. Under ``pmap`` batch norm needs the data axis' name."""

    features: int
    batch_norm: bool = False
    weight_init: str = "normal_0.01"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        # Batch norm has a bias of its own.
        x = nn.Dense(
            self.features, use_bias=not self.batch_norm, kernel_init=initializer(self.weight_init)
        )(x)
        if self.batch_norm:
            # Decay of the running statistics: the papers are silent.
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(
                x
            )
        return x


class Maxout(nn.Module):
    """The largest of ``pieces`` linear maps, for each feature (Goodfellow et al. 2013).

    Call: inputs [b, d]... -> [b, features]; several inputs are concatenated.
    """

    features: int
    pieces: int
    weight_init: str = "normal_0.01"

    @nn.compact
    def __call__(self, *inputs: jax.Array) -> jax.Array:
        x = jnp.concatenate(inputs, axis=-1)
        x = nn.Dense(self.features * self.pieces, kernel_init=initializer(self.weight_init))(x)
        return x.reshape(-1, self.features, self.pieces).max(axis=-1)


def check_pieces(pieces: int) -> None:
    """Refuse a number of linear maps that no maxout unit can have.

    Raises:
        UserError: fewer than two, but for 0, which is no maxout.
    """
    if pieces < 0 or pieces == 1:
        raise UserError(
            f"model.maxout_pieces is {pieces}; a maxout unit has at least 2, and 0 is ReLU"
        )


class Trunk(nn.Module):
    """Hidden layers: Dense, batch norm, Gaussian noise, ReLU, dropout; noise while training."""

    hidden: Sequence[int]
    batch_norm: bool = False
    noise: float = 0.0
    dropout_rate: float = 0.0
    weight_init: str = "normal_0.01"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        for width in self.hidden:
            x = Layer(width, self.batch_norm, self.weight_init, self.axis_name)(x, train=train)
            if train and self.noise > 0.0:
                x = x + self.noise * jax.random.normal(self.make_rng("noise"), x.shape)
            x = nn.relu(x)
            x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        return x


class Encoder(nn.Module):
    """Images to one linear head per code, over a shared trunk (AAE, figure 8 and A.2.1).

    ``batch_norm`` is "" (none), "hidden", or "all": the heads too (AAE, A.2.2 and A.3).
    ``hidden_noise`` is the std of Gaussian noise on the hidden layers' inputs to ReLU, and
    ``dropout_rate`` the dropout after it. Call: images [b, h, w, c] -> tuple of [b, size], one
    for each entry of ``heads``. What lies beneath the heads is sown.
    """

    hidden: Sequence[int]
    heads: Sequence[int]
    batch_norm: str = ""
    hidden_noise: float = 0.0
    dropout_rate: float = 0.0
    weight_init: str = "normal_0.01"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, ...]:
        x = images.reshape(images.shape[0], -1)
        x = Trunk(
            self.hidden,
            batch_norm=self.batch_norm in ("hidden", "all"),
            noise=self.hidden_noise,
            dropout_rate=self.dropout_rate,
            weight_init=self.weight_init,
            axis_name=self.axis_name,
        )(x, train=train)
        self.sow(INTERMEDIATES, HIDDEN, x)
        return tuple(
            Layer(size, self.batch_norm == "all", self.weight_init, self.axis_name)(x, train=train)
            for size in self.heads
        )


class Decoder(nn.Module):
    """Codes, concatenated, to images.

    With ``batch_norm`` every layer has it, the output too (AAE, A.2.2). ``output`` is "sigmoid"
    (pixels in [0, 1]) or "linear". Call: codes [b, d_i]... -> images [b, h, w, c].
    """

    hidden: Sequence[int]
    image_shape: tuple[int, ...]
    output: str = "sigmoid"
    batch_norm: bool = False
    weight_init: str = "normal_0.01"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, *codes: jax.Array, train: bool) -> jax.Array:
        x = jnp.concatenate(codes, axis=-1)
        x = Trunk(
            self.hidden,
            batch_norm=self.batch_norm,
            weight_init=self.weight_init,
            axis_name=self.axis_name,
        )(x, train=train)
        x = Layer(math.prod(self.image_shape), self.batch_norm, self.weight_init, self.axis_name)(
            x, train=train
        )
        x = nn.sigmoid(x) if self.output == "sigmoid" else x
        return x.reshape(-1, *self.image_shape)


class Discriminator(nn.Module):
    """Codes or images to the logit of "came from the prior" (of "is real").

    ``dropout_rate`` acts on the hidden layers, which are of maxout units where ``pieces`` is not
    0. Call: inputs [b, ...]..., flattened and concatenated -> logits [b].
    """

    hidden: Sequence[int]
    weight_init: str = "normal_0.01"
    dropout_rate: float = 0.0
    pieces: int = 0

    @nn.compact
    def __call__(self, *inputs: jax.Array, train: bool) -> jax.Array:
        x = jnp.concatenate([part.reshape(part.shape[0], -1) for part in inputs], axis=-1)
        if self.pieces:
            for width in self.hidden:
                x = Maxout(width, self.pieces, self.weight_init)(x)
                x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
            return Layer(1, weight_init=self.weight_init)(x, train=train)[:, 0]
        x = Trunk(self.hidden, dropout_rate=self.dropout_rate, weight_init=self.weight_init)(
            x, train=train
        )
        return Layer(1, weight_init=self.weight_init)(x, train=train)[:, 0]


class ClusterHeads(nn.Module):
    """Label probabilities to the weighted mean of the cluster heads W_C (AAE, section 7).

    The heads start at N(0, 1) (paper silent), or at ``identity_scale`` times the identity if that
    is not zero. Call: y [b, num] -> [b, dim]; the parameter ``heads`` is [num, dim].
    """

    num: int
    dim: int
    identity_scale: float = 0.0

    @nn.compact
    def __call__(self, y: jax.Array, *, train: bool) -> jax.Array:
        def identity(_, shape):
            return self.identity_scale * jnp.eye(*shape)

        start = identity if self.identity_scale else nn.initializers.normal(1.0)
        return y @ self.param("heads", start, (self.num, self.dim))
