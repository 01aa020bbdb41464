"""The structured joint embedding by hand."""

import jax.numpy as jnp
import numpy as np

from aae_jax.objectives.matching import joint_embedding_loss, structured_matching_loss


def test_a_side_by_hand():
    scores = jnp.asarray([[2.0, 1.5, 0.0], [0.0, 1.0, 0.5], [1.0, 3.0, 4.0]])
    # Every pair a class of its own: 1 + the best other score - the own.
    np.testing.assert_allclose(
        structured_matching_loss(scores, jnp.arange(3)), [0.5, 0.5, 0.0], atol=1e-6
    )
    # The first two of one class: its expected score is the mean of their sentences'.
    found = structured_matching_loss(scores, jnp.asarray([7, 7, 2]))
    # 1: max(own class 1.75 - 2, 1 + 0 - 2) < 0; 2: max(0.5 - 1, 1 + 0.5 - 1); 3: 1 + 2 - 4 < 0.
    np.testing.assert_allclose(found, [0.0, 0.5, 0.0], atol=1e-6)


def test_both_sides_are_added():
    rng = np.random.default_rng(0)
    v, t, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), np.array([0, 1, 0, 2, 1])

    def side(codes, others):
        losses = []
        for n in range(5):
            own = codes[n] @ others[n]
            over = [
                (y[n] != k) + np.mean([codes[n] @ others[m] for m in range(5) if y[m] == k]) - own
                for k in range(3)
            ]
            losses.append(max(0.0, *over))
        return np.array(losses)

    found = joint_embedding_loss(*map(jnp.asarray, (v, t, y)))
    np.testing.assert_allclose(found, side(v, t) + side(t, v), rtol=1e-5)
