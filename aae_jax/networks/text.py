"""Sentences to embeddings, and a DCGAN's networks that are conditioned on them (survey's slides,
"Generative Adversarial Text to Image Synthesis", their figure 2)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax.networks.common import initializer
from aae_jax.networks.conv import Conv
from aae_jax.networks.dcgan import DcganDecoder

TEXT_ENCODERS = ("recurrent", "convolutional")
SLOPE = 0.2  # of the leaky ReLUs


class TextEncoder(nn.Module):
    """The words of a sentence to its embedding ψ(t): word vectors, a layer that sees them in their
    order, the mean over the sentence, and a linear map.

    "recurrent" is a GRU (Cho et al. 2014) from the first word to the last; "convolutional" two
    layers over windows of three words. What fills sentences up counts for nothing. Call: tokens
    int [b, t] -> [b, dim].

    Attributes:
        vocabulary_size: words that there are, the 0 that fills up among them.
        width: of the word vectors and the layers.
        dim: of the embedding.
        kind: one of ``TEXT_ENCODERS``.
        standardised: whether an embedding is brought to mean 0 and variance 1 over its dimensions.
            What a joint embedding ends with is about a tenth as large as a GAN's noise, and
            networks that see both hardly hear it.
    """

    vocabulary_size: int
    width: int
    dim: int
    kind: str = "recurrent"
    standardised: bool = False

    @nn.compact
    def __call__(self, tokens: jax.Array, *, train: bool) -> jax.Array:
        said = (tokens > 0)[..., None].astype(jnp.float32)
        x = said * nn.Embed(self.vocabulary_size, self.width)(tokens)
        if self.kind == "recurrent":
            # Words follow one another from the first on: what fills up changes no state before it.
            x = jnp.asarray(nn.RNN(nn.GRUCell(self.width))(x))
        else:
            for _ in range(2):
                before, after = jnp.pad(x, ((0, 0), (1, 1), (0, 0))), x.shape[1]
                windows = [before[:, i : i + after] for i in range(3)]
                x = said * nn.relu(nn.Dense(self.width)(jnp.concatenate(windows, axis=-1)))
        mean = (said * x).sum(axis=1) / jnp.maximum(said.sum(axis=1), 1.0)
        embedding = nn.Dense(self.dim)(mean)
        if not self.standardised:
            return embedding
        return nn.LayerNorm(use_bias=False, use_scale=False)(embedding)


class TextGenerator(nn.Module):
    """G(z, φ(t)): the embedding through a dense layer of leaky ReLUs, then with the noise into a
    ``DcganDecoder``. Call: noise [b, d], embeddings [b, k] -> images [b, h, w, c].

    Attributes:
        text_dim: what the embedding is compressed to.
        dense, features, image_shape, output, kernel_size, batch_norm: of the decoder.
    """

    text_dim: int
    dense: Sequence[int]
    features: Sequence[int]
    image_shape: Sequence[int]
    output: str = "tanh"
    kernel_size: int = 4
    batch_norm: str = "before_relu"
    weight_init: str = "normal_0.02"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, noise: jax.Array, embeddings: jax.Array, *, train: bool) -> jax.Array:
        init = initializer(self.weight_init)
        compressed = nn.Dense(self.text_dim, kernel_init=init, name="text")(embeddings)
        compressed = nn.leaky_relu(compressed, SLOPE)
        decoder = DcganDecoder(
            self.dense,
            self.features,
            self.image_shape,
            self.output,
            self.kernel_size,
            self.batch_norm,
            self.weight_init,
            self.axis_name,
        )
        return decoder(noise, compressed, train=train)


class TextDiscriminator(nn.Module):
    """D(x, φ(t)): strided convolutions of the image, beside each place of what they end in the
    compressed embedding, a 1x1 convolution over both, and the logit.

    Convolutions but the first have batch norm, so that real and fake images as one batch are not
    what they are apart; what follows the embedding has none. Images are looked at once for all the
    sentences that they are given with. Call: images [b, h, w, c], embeddings [b, k]... -> a tuple
    of logits [b], one for each of the embeddings.

    Attributes:
        text_dim: what the embedding is compressed to.
        features: channels of the convolutions; each halves height and width.
        dense: widths of dense layers between the 1x1 convolution and the logit, for images so
            small that the convolutions do not see the whole of them; the paper has none.
        kernel_size: of the convolutions.
    """

    text_dim: int
    features: Sequence[int]
    dense: Sequence[int] = ()
    kernel_size: int = 4
    weight_init: str = "normal_0.02"
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, images: jax.Array, *embeddings: jax.Array, train: bool
    ) -> tuple[jax.Array, ...]:
        init, window = initializer(self.weight_init), (self.kernel_size, self.kernel_size)
        x = images
        for i, features in enumerate(self.features):
            x = Conv(features, window, strides=2, kernel_init=init)(x)
            if i:
                x = nn.BatchNorm(
                    use_running_average=not train, momentum=0.9, axis_name=self.axis_name
                )(x)
            x = nn.leaky_relu(x, SLOPE)
        compress = nn.Dense(self.text_dim, kernel_init=init, name="text")
        mix = nn.Dense(x.shape[-1], kernel_init=init, name="mix")  # at each place: 1x1
        hidden = [nn.Dense(width, kernel_init=init) for width in self.dense]
        head = nn.Dense(1, kernel_init=init, name="head")

        def logits(embedding: jax.Array) -> jax.Array:
            said = nn.leaky_relu(compress(embedding), SLOPE)[:, None, None]
            said = jnp.broadcast_to(said, (*x.shape[:-1], self.text_dim))
            mixed = nn.leaky_relu(mix(jnp.concatenate([x, said], axis=-1)), SLOPE)
            joint = mixed.reshape(len(mixed), -1)
            for layer in hidden:
                joint = nn.leaky_relu(layer(joint), SLOPE)
            return head(joint)[:, 0]

        return tuple(logits(embedding) for embedding in embeddings)
