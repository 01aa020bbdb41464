"""update(): what it trains, what it keeps, and how it averages over a data axis."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax.core import Phase, create_state, update

PARAMS = {"f": {"w": jnp.array([1.0, -2.0])}, "g": {"w": jnp.array([3.0, 0.5])}}
STATS = {"f": {"mean": jnp.zeros(2)}, "g": {}}


def product_loss(params, stats):
    """d/df = g and d/dg = f; the pass would move f's statistics to 7."""
    loss = jnp.sum(params["f"]["w"] * params["g"]["w"])
    return loss, {**stats, "f": {"mean": jnp.full(2, 7.0)}}


def test_trains_the_networks_of_the_phase_and_no_other():
    phase = Phase("p", ("f",), optax.sgd(0.1))
    state, metrics = update(create_state(PARAMS, STATS, (phase,)), phase, product_loss)
    np.testing.assert_allclose(state.params["f"]["w"], [1.0 - 0.3, -2.0 - 0.05], rtol=1e-6)
    np.testing.assert_array_equal(state.params["g"]["w"], PARAMS["g"]["w"])
    assert metrics.keys() == {"p/loss"}
    assert metrics["p/loss"] == pytest.approx(1 * 3 - 2 * 0.5)  # the loss before the step
    assert state.step == 0


def test_trains_two_networks_together():
    phase = Phase("p", ("f", "g"), optax.sgd(1.0))
    state, _ = update(create_state(PARAMS, STATS, (phase,)), phase, product_loss)
    np.testing.assert_allclose(state.params["f"]["w"], [-2.0, -2.5])
    np.testing.assert_allclose(state.params["g"]["w"], [2.0, 2.5])


@pytest.mark.parametrize("commits", [False, True])
def test_statistics_are_kept_only_by_a_phase_that_commits_them(commits):
    phase = Phase("p", ("f",), optax.sgd(0.1), commits_batch_stats=commits)
    state, _ = update(create_state(PARAMS, STATS, (phase,)), phase, product_loss)
    np.testing.assert_array_equal(state.batch_stats["f"]["mean"], [7.0 * commits] * 2)


def test_commits_no_statistics_unless_asked_to():
    assert not Phase("p", ("f",), optax.sgd(0.1)).commits_batch_stats


def test_two_phases_on_one_network_have_two_momenta():
    first, second = (Phase(name, ("f",), optax.sgd(1.0, momentum=0.5)) for name in "ab")
    state = create_state(PARAMS, STATS, (first, second))
    assert state.opt_state.keys() == {"a", "b"}
    for _ in range(2):
        state, _ = update(state, first, product_loss)
    # Steps g and 1.5 g; the second phase has moved nothing yet and must start without momentum.
    g = np.array([3.0, 0.5])
    np.testing.assert_allclose(state.params["f"]["w"], np.array([1.0, -2.0]) - 2.5 * g)
    state, _ = update(state, second, product_loss)
    np.testing.assert_allclose(state.params["f"]["w"], np.array([1.0, -2.0]) - 3.5 * g)
    np.testing.assert_allclose(state.opt_state["a"][0].trace["f"]["w"], 1.5 * g)
    np.testing.assert_allclose(state.opt_state["b"][0].trace["f"]["w"], g)


def test_averages_gradients_and_losses_over_the_data_axis():
    phase = Phase("p", ("f",), optax.sgd(0.1))
    x = jnp.array([[1.0, 0.0], [3.0, 4.0]])

    def step(x):
        def loss(params, stats):
            return jnp.sum(params["f"]["w"] * x), stats

        return update(create_state(PARAMS, STATS, (phase,)), phase, loss, axis_name="data")

    state, metrics = jax.vmap(step, axis_name="data")(x)
    expected = np.array([1.0, -2.0]) - 0.1 * np.array([2.0, 2.0])
    np.testing.assert_allclose(state.params["f"]["w"], [expected, expected], rtol=1e-6)
    np.testing.assert_allclose(metrics["p/loss"], [(1.0 - 5.0) / 2] * 2)


def test_a_state_is_arrays_only():
    phase = Phase("p", ("f", "g"), optax.sgd(0.1, momentum=0.9))
    leaves = jax.tree.leaves(create_state(PARAMS, STATS, (phase,)))
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
