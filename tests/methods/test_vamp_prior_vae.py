"""The VAE with a VampPrior: updates against NumPy, samples of its prior, what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from flax import linen as nn

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.methods import vamp_prior_vae
from aae_jax.optimizers import sgd
from tests.methods import tiny_parts
from tests.methods.numpy_reference import dense, moved_off_zero, np_tree, np_updates

SPEC = methods.DataSpec(
    tiny_parts.SHAPE, labelled=False, scaling="symmetric", updates_per_epoch=2, num_images=10
)
RATES = {"elbo": (0.01, 0.5)}
TRAINED = ("encoder", "decoder", "pseudo_inputs")


class Encoder(nn.Module):
    """One dense layer to means and log standard deviations of two entries."""

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(4)(images.reshape(images.shape[0], -1))


def tiny(spec=SPEC, **changes):
    config = methods.default_config("vamp_prior_vae")
    small = {"num_pseudo_inputs": 3, "code_dim": 2, "warm_up": 2.0, "pixel_std": 0.5}
    features = {"encoder.features": (2,), "decoder.features": (2,)}
    config.update_from_flattened_dict({**small, **features, **changes})
    with config.unlocked():
        config.optimizers.elbo = sgd(*RATES["elbo"])
    parts = {"encoder": Encoder(), "decoder": tiny_parts.Generator()}
    return methods.build("vamp_prior_vae", config, spec=spec, parts=parts)


def np_posterior(params, x):
    outputs = dense(params["encoder"]["Dense_0"], x.reshape(len(x), -1))
    return outputs[:, :2], outputs[:, 2:]


def np_log_prior(params, z):
    u = np.clip(params["pseudo_inputs"]["images"], -1, 1)
    of_components = [
        scipy.stats.norm(mean, np.exp(log_std)).logpdf(z).sum(axis=1)
        for mean, log_std in zip(*np_posterior(params, u))
    ]
    return scipy.special.logsumexp(of_components, axis=0) - np.log(len(u))


def test_the_bound_rises_to_its_weight_and_trains_all_three(draws):
    method = tiny(pseudo_std=0.5)  # some of whose pixels are clipped
    state = method.init(jax.random.key(3))
    state = state._replace(params=moved_off_zero(state.params), step=jnp.int32(1))
    params, velocity = np_tree(state.params), {}
    assert 0 < (np.abs(params["pseudo_inputs"]["images"]) > 1).mean() < 1
    rng = np.random.default_rng(0)
    for update in range(2):
        images = jnp.asarray(rng.uniform(-1, 1, (5, *tiny_parts.SHAPE)), jnp.float32)
        draws.clear()
        state, metrics = method.train_step(state, Batch(images), jax.random.key(update))
        (noise,), x = map(np.float64, draws), np.float64(images)

        def bound(p, x=x, noise=noise):
            mean, log_std = np_posterior(p, x)
            z = mean + np.exp(log_std) * noise
            errors = tiny_parts.np_generator(p["decoder"], z) - x
            cost = 0.5 * np.square(errors).sum(axis=(1, 2, 3)).mean() / 0.5**2
            log_q = scipy.stats.norm(mean, np.exp(log_std)).logpdf(z).sum(axis=1)
            return cost, (log_q - np_log_prior(p, z)).mean()

        # Two epochs of two updates: a quarter more of the KL divergence an update.
        weight = (1 + update) / 4
        cost, kl = bound(params)
        losses = {"elbo": lambda p, bound=bound, weight=weight: np.dot(bound(p), (1, weight))}
        expected = np_updates(losses, params, velocity, {"elbo": TRAINED}, RATES)
        expected |= {"elbo/reconstruction": cost, "elbo/kl": kl}
        assert set(metrics) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
        jax.tree.map(
            lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-4, atol=5e-5),
            state.params,
            params,
        )
    for network in TRAINED:  # what is clipped has no gradient, and all else has
        largest = [np.abs(v).max() for v in jax.tree.leaves(velocity["elbo"][network])]
        assert max(largest) > 1e-3, network


def test_samples_are_of_pseudo_inputs_posteriors_in_equal_parts():
    method = tiny()
    state = method.init(jax.random.key(0))
    # Pseudo-inputs of three brightnesses, which are their posteriors' means, and hardly any spread.
    levels = jnp.array([-0.9, 0.0, 0.9])
    images = jnp.broadcast_to(levels[:, None, None, None], (3, *tiny_parts.SHAPE))
    kernel = jnp.zeros((8, 4)).at[:, :2].set(1 / 8)
    codes = {"kernel": kernel, "bias": jnp.array([0.0, 0.0, -9.0, -9.0])}
    decoder = {"kernel": jnp.ones((2, 8)) / 2, "bias": jnp.zeros(8)}
    params = {"encoder": {"Dense_0": codes}, "decoder": {"Dense_0": decoder}}
    state = state._replace(params={**params, "pseudo_inputs": {"images": images}})
    samples = np.asarray(method.sample(state, jax.random.key(1), 3000))[:, 0, 0, 0]
    nearest = np.abs(np.arctanh(samples)[:, None] - np.asarray(levels)).argmin(axis=1)
    np.testing.assert_allclose(np.arctanh(samples), np.asarray(levels)[nearest], atol=0.01)
    np.testing.assert_allclose(np.bincount(nearest) / 3000, 1 / 3, atol=0.04)


def test_pseudo_inputs_start_around_their_mean_in_the_datas_range():
    spec = SPEC._replace(image_shape=(16, 16, 1))
    for scaling, mean, std in (("symmetric", -0.2, 0.1), ("unit", 0.4, 0.05)):
        changes = {"decoder.output": "linear", "num_pseudo_inputs": 10}
        config = methods.default_config("vamp_prior_vae")
        config.update_from_flattened_dict(changes)
        made = vamp_prior_vae.networks(config, spec._replace(scaling=scaling)).pseudo_inputs
        images = made.init(jax.random.key(0))[0]["images"]
        assert images.shape == (10, 16, 16, 1)
        np.testing.assert_allclose([images.mean(), images.std()], [mean, std], rtol=0.1)


def test_without_an_epochs_length_the_bound_counts_in_full():
    method = tiny(SPEC._replace(updates_per_epoch=None))
    state = method.init(jax.random.key(0))
    images = jnp.full((2, *tiny_parts.SHAPE), 0.5)
    _, metrics = jax.jit(method.train_step)(state, Batch(images), jax.random.key(1))
    total = metrics["elbo/reconstruction"] + metrics["elbo/kl"]
    np.testing.assert_allclose(metrics["elbo/loss"], total, rtol=1e-6)


def test_more_pseudo_inputs_than_training_images_are_refused():
    with pytest.raises(UserError, match="num_pseudo_inputs is 11, more than the 10 training"):
        tiny(num_pseudo_inputs=11)
    tiny(SPEC._replace(num_images=None), num_pseudo_inputs=11)
