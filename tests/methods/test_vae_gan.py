"""VAE/GAN: an update against NumPy, which loss reaches which network, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    conv,
    dense,
    moved_off_zero,
    normalised,
    np_gradient,
    np_tree,
    sigmoid,
    softplus,
    transposed_conv,
)

SPEC = methods.DataSpec((4, 2, 1))
GAMMA = 0.3
RATES = {"encoder": (0.05, 0.5), "decoder": (0.04, 0.3), "discriminator": (0.06, 0.1)}
WEIGHTS = {
    "vae_gan": {
        "encoder": {"prior": 1.0, "feature": 1.0},
        "decoder": {"feature": GAMMA, "generator": 1 - GAMMA},
        "discriminator": {"discriminator": 1.0},
    },
    "vae": {"encoder": {"prior": 1.0, "pixel": 1.0}, "decoder": {"pixel": 1.0}},
    "gan": {"decoder": {"generator": 1.0}, "discriminator": {"discriminator": 1.0}},
}


def tiny(system="vae_gan", **changes):
    config = methods.default_config("vae_gan")
    config.update_from_flattened_dict(
        {
            "system": system,
            "code_dim": 2,
            "gamma": GAMMA,
            "encoder.features": (2,),
            "encoder.dense": (4,),
            "encoder.kernel_size": 4,
            "decoder.features": (3,),
            "decoder.kernel_size": 4,
            "discriminator.features": (3,),
            "discriminator.dense": (4,),
            "discriminator.layer": 1,
            "discriminator.slope": 0.2,
            "discriminator.kernel_size": 4,
        }
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return methods.build("vae_gan", config, spec=SPEC)


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).uniform(size=(8, 4, 2, 1)), jnp.float32)


def np_encoder(params, x):
    """Mean and log standard deviation [b, 2] each."""
    x = conv(params["Conv_0"], x)
    x = np.maximum(normalised(params["_Activation_0"]["BatchNorm_0"], x), 0)
    x = dense(params["Dense_0"], x.reshape(len(x), -1))
    x = np.maximum(normalised(params["_Activation_1"]["BatchNorm_0"], x), 0)
    return np.split(dense(params["Dense_1"], x), 2, axis=1)


def np_decoder(params, z):
    x = dense(params["Dense_0"], z)
    x = np.maximum(normalised(params["_Activation_0"]["BatchNorm_0"], x), 0)
    return sigmoid(transposed_conv(params["ConvTranspose_0"], x.reshape(len(x), 2, 1, 3)))


def np_discriminator(params, x):
    """Logits [b] and the second hidden layer [b, 4]; batch norm is not in the first."""

    def leaky(x):
        return np.where(x > 0, x, 0.2 * x)

    x = leaky(conv(params["Conv_0"], x))
    x = dense(params["Dense_0"], x.reshape(len(x), -1))
    hidden = leaky(normalised(params["BatchNorm_0"], x))
    return dense(params["Dense_1"], hidden)[:, 0], hidden


def np_losses(system, x, drawn, game):
    """All losses of one update by name, functions of the parameters."""

    def losses(p):
        found, fakes, draws = {}, [], list(drawn)
        if system != "gan":
            mean, log_std = np_encoder(p["encoder"], x)
            made = np_decoder(p["decoder"], mean + np.exp(log_std) * draws.pop(0))
            kl = 0.5 * (np.exp(2 * log_std) + mean**2 - 1) - log_std
            found["prior"] = kl.sum(axis=1).mean()
            found["pixel"] = 0.5 * np.square(made - x).reshape(len(x), -1).sum(axis=1).mean()
            fakes.append(made)
        if system != "vae":
            fakes.append(np_decoder(p["decoder"], draws.pop(0)))
            logits, hidden = np_discriminator(p["discriminator"], np.concatenate([x, *fakes]))
            d_real, *d_fakes = np.split(logits, 1 + len(fakes))
            if system == "vae_gan":
                of_x, of_made, _ = np.split(hidden, 3)
                found["feature"] = 0.5 * np.square(of_x - of_made).sum(axis=1).mean()
            found["discriminator"] = softplus(-d_real).mean() + sum(
                softplus(d).mean() for d in d_fakes
            )
            side = {"minimax": lambda d: -softplus(d), "non_saturating": lambda d: softplus(-d)}
            found["generator"] = sum(side[game](d).mean() for d in d_fakes)
        assert not draws
        return found

    return losses


@pytest.mark.parametrize(
    ("system", "game"),
    [("vae_gan", "minimax"), ("vae_gan", "non_saturating"), ("vae", "minimax"), ("gan", "minimax")],
)
def test_an_update_matches_numpy(system, game, draws, images):
    method = tiny(system, game=game)
    state = method.init(jax.random.key(1))
    assert set(state.params) == set(WEIGHTS[system])
    state = state._replace(params=moved_off_zero(state.params))
    params = np_tree(state.params)
    draws.clear()
    after, metrics = method.train_step(state, Batch(images), jax.random.key(0))
    # Each network's gradient is traced anew, on the same draws.
    num = len(draws) // len(WEIGHTS[system])
    drawn = [np.array(array, np.float64) for array in draws[:num]]
    for i, array in enumerate(draws):
        np.testing.assert_array_equal(array, drawn[i % num].astype(np.float32))
    losses = np_losses(system, np.float64(images), drawn, game)
    for name, value in losses(params).items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
    for network, weights in WEIGHTS[system].items():

        def total(p, weights=weights):
            found = losses(p)
            return sum(weight * found[name] for name, weight in weights.items())

        np.testing.assert_allclose(metrics[f"{network}/loss"], total(params), rtol=1e-4)
        # All at the parameters before the update.
        gradient = np_gradient(total, params, (network,))[network]
        assert max(np.abs(g).max() for g in jax.tree.leaves(gradient)) > 1e-3
        rate = RATES[network][0]
        expected = jax.tree.map(lambda p, g, r=rate: p - r * g, params[network], gradient)
        jax.tree.map(
            lambda a, e, n=network: np.testing.assert_allclose(
                a, e, rtol=1e-4, atol=2e-5, err_msg=n
            ),
            after.params[network],
            expected,
        )


def test_the_encoder_never_sees_the_gan_and_the_discriminator_never_the_likelihood(images):
    """With γ at its two ends: what changes in the decoder's sum changes nothing elsewhere."""
    only_game, only_likelihood = (tiny(gamma=gamma) for gamma in (0.0, 1.0))
    state = only_game.init(jax.random.key(0))
    first, second = (
        jax.jit(method.train_step)(state, Batch(images), jax.random.key(1))[0].params
        for method in (only_game, only_likelihood)
    )
    for name in ("encoder", "discriminator"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
            first[name],
            second[name],
        )
    kernels = [p["decoder"]["Dense_0"]["kernel"] for p in (first, second)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-4


@pytest.mark.parametrize(("below", "rests"), [(0.0, False), (100.0, True)])
def test_a_discriminator_rests_while_its_costs_are_low(below, rests, images):
    method = tiny(rest_below=below)
    state = method.init(jax.random.key(0))
    after, _ = jax.jit(method.train_step)(state, Batch(images), jax.random.key(1))
    same = jax.tree.map(
        jnp.array_equal, state.params["discriminator"], after.params["discriminator"]
    )
    assert all(jax.tree.leaves(same)) == rests
    kernels = (s.params["decoder"]["Dense_0"]["kernel"] for s in (state, after))
    assert not jnp.array_equal(*kernels)


def test_what_a_system_has():
    has = {
        system: {
            name
            for name in ("encode", "decode", "sample", "evaluate", "discriminate", "features")
            if getattr(tiny(system), name) is not None
        }
        for system in WEIGHTS
    }
    assert has["vae_gan"] - has["vae"] == {"discriminate", "features"}
    assert has["vae_gan"] - has["gan"] == {"encode"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system": "aae"}, "unknown model.system 'aae'"),
        ({"game": "wasserstein"}, "unknown model.game"),
        ({"gamma": 1.5}, r"model.gamma is 1.5; it must lie in \[0, 1\]"),
        ({"code_dim": 0}, "code_dim is 0"),
        ({"discriminator.layer": 2}, "layer is 2, and its hidden layers are 0 to 1"),
        ({"encoder.features": (2, 2, 2)}, "model.encoder.features has 3 convolutions"),
        ({"decoder.output": "tanh"}, "set it to 'sigmoid'"),
    ],
)
def test_bad_settings_are_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        tiny(**changes)
    assert "\n" not in str(error.value)
