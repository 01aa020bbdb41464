"""The structured joint embedding of images and sentences (survey's slides, equations 3 to 5)."""

import jax
import jax.numpy as jnp


def structured_matching_loss(scores: jax.Array, classes: jax.Array) -> jax.Array:
    """One side of a surrogate for equation 3, for the 0-1 loss Δ; [b, b], [b] -> [b].

    Equation 4 gives an image the class y of which the expected score E_{t ~ T(y)}[φ(v)ᵀψ(t)] is
    largest, and so has no gradient; its surrogate (Reed et al. 2016, "Learning deep representations
    of fine-grained visual descriptions", section 3, after Akata et al. 2015) is

        max(0, max_y Δ(y_n, y) + E_{t ~ T(y)}[φ(v_n)ᵀψ(t)] - φ(v_n)ᵀψ(t_n))

    with the classes of the batch for y, and its sentences of a class for T(y).

    Args:
        scores: φ(v_n)ᵀψ(t_m), images down and sentences across; transposed for equation 5.
        classes: y_n of the n-th image and its sentence.
    """
    same = (classes[:, None] == classes).astype(scores.dtype)
    expected = scores @ same / same.sum(axis=0)  # of the m-th sentence's class
    margins = (1.0 - same) + expected - jnp.diagonal(scores)[:, None]
    # Not max, whose gradient is 0/0 wherever a compiler rounds the margins anew to compare them.
    worst = jnp.take_along_axis(margins, margins.argmax(axis=1)[:, None], axis=1)[:, 0]
    return jnp.maximum(0.0, worst)


def joint_embedding_loss(
    image_codes: jax.Array, text_codes: jax.Array, classes: jax.Array
) -> jax.Array:
    """Equation 3's sum of both sides, φ(v) and ψ(t) [b, d], y [b] -> [b]."""
    scores = image_codes @ text_codes.T
    return structured_matching_loss(scores, classes) + structured_matching_loss(scores.T, classes)
