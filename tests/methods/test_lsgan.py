"""LSGAN: an update against NumPy."""

import jax.numpy as jnp
import numpy as np

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.optimizers import sgd
from tests.methods import tiny_parts
from tests.methods.numpy_reference import check_updates

SPEC = methods.DataSpec(tiny_parts.SHAPE, labelled=False, scaling="symmetric")
RATES = {"discriminator": (0.1, 0.1), "generator": (0.2, 0.3)}


def test_targets_are_one_zero_and_one(draws):
    config = methods.default_config("lsgan")
    config.update_from_flattened_dict(
        {"noise_dim": 2, "generator.features": (2,), "discriminator.features": (2,)}
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    parts = {"generator": tiny_parts.Generator(), "discriminator": tiny_parts.Critic()}
    method = methods.build("lsgan", config, spec=SPEC, parts=parts)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(-1, 1, (2, 5, *tiny_parts.SHAPE)), jnp.float32)

    def losses(batch, drawn):
        x = np.float64(batch.images)

        def output(p, z):
            fake = tiny_parts.np_generator(p["generator"], z)
            return tiny_parts.np_critic(p["discriminator"], fake)

        def discriminator(p):
            of_real = np.square(tiny_parts.np_critic(p["discriminator"], x) - 1)
            return 0.5 * (of_real + np.square(output(p, drawn[0]))).mean()

        def generator(p):
            return 0.5 * np.square(output(p, drawn[1]) - 1).mean()

        return {"discriminator": discriminator, "generator": generator}

    trains = {phase: (phase,) for phase in RATES}
    state, params = check_updates(method, [*map(Batch, images)], draws, losses, trains, RATES)
    np.testing.assert_allclose(
        method.evaluate(state, images[0])[:, 0],
        0.5 * np.square(tiny_parts.np_critic(params["discriminator"], np.float64(images[0])) - 1),
        rtol=1e-3,
    )
