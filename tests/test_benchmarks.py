"""What a benchmark sets against our own code fits the networks that it measures."""

import jax

from aae_jax.networks import conv, pixelcnn
from benchmarks import pixelgan_worker


def test_laxs_side_of_the_pixelgan_step_has_the_same_networks(monkeypatch):
    def shapes():
        method, _ = pixelgan_worker.make_step()
        return jax.eval_shape(method.init, jax.random.key(0))

    ours = shapes()
    monkeypatch.setattr(pixelcnn, "MaskedConv", pixelgan_worker._LaxsMaskedConv)
    monkeypatch.setattr(conv, "own_gradients", lambda: False)
    assert shapes() == ours
