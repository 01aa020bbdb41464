"""The adversarial contract: what a phase trains and keeps, phases in turn and together, keys."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax.core import (
    Phase,
    create_state,
    named_key,
    play,
    play_together,
    real_and_fake,
    step_keys,
    update,
)
from aae_jax.errors import UserError
from aae_jax.optimizers import scale_by_rate

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
    phase = Phase("p", ("f",), optax.sgd(0.1), commits=("f",) * commits)
    state, _ = update(create_state(PARAMS, STATS, (phase,)), phase, product_loss)
    np.testing.assert_array_equal(state.batch_stats["f"]["mean"], [7.0 * commits] * 2)


def test_commits_no_statistics_unless_asked_to():
    assert Phase("p", ("f",), optax.sgd(0.1)).commits == ()


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


def test_phases_play_in_turn_each_at_the_state_the_one_before_left():
    first, second = Phase("a", ("f",), optax.sgd(0.1)), Phase("b", ("g",), optax.sgd(1.0))
    state = create_state(PARAMS, STATS, (first, second))
    state, metrics = play(state, (first, product_loss), (second, product_loss))
    f = np.array([1.0 - 0.3, -2.0 - 0.05])
    np.testing.assert_allclose(state.params["f"]["w"], f, rtol=1e-6)
    np.testing.assert_allclose(state.params["g"]["w"], np.array([3.0, 0.5]) - f, rtol=1e-6)
    np.testing.assert_allclose(metrics["b/loss"], f @ np.array([3.0, 0.5]), rtol=1e-6)
    assert list(metrics) == ["a/loss", "b/loss"]
    assert state.step == 1


def two_losses(params, stats):
    product = jnp.sum(params["f"]["w"] * params["g"]["w"])
    norm = 0.5 * jnp.sum(jnp.square(params["f"]["w"]))
    after = {**stats, "f": {"mean": jnp.full(2, 7.0)}}
    return {"product": product, "norm": norm}, after, {"largest": params["g"]["w"].max()}


def test_phases_play_together_at_one_state_each_on_its_own_sum_of_losses():
    first = Phase("a", ("f",), optax.sgd(0.1), commits=("f",))
    second = Phase("b", ("g", "f"), optax.sgd(1.0))
    state = create_state(PARAMS, STATS, (first, second))
    after, metrics = play_together(
        state,
        two_losses,
        (first, {"product": 2.0, "norm": -1.0}),
        (second, {"product": 0.5}),
    )
    f, g = np.array([1.0, -2.0]), np.array([3.0, 0.5])
    # Both gradients are taken before either is applied; f, which both train, moves by both.
    np.testing.assert_allclose(after.params["f"]["w"], f - 0.1 * (2 * g - f) - 0.5 * g, rtol=1e-6)
    np.testing.assert_allclose(after.params["g"]["w"], g - 0.5 * f, rtol=1e-6)
    np.testing.assert_array_equal(after.batch_stats["f"]["mean"], [7.0, 7.0])
    assert after.step == 1
    expected = {"a/loss": 2 * 2 - 2.5, "b/loss": 1.0, "product": 2.0, "norm": 2.5, "largest": 3.0}
    assert {name: float(value) for name, value in metrics.items()} == pytest.approx(expected)


def test_playing_together_runs_the_shared_forward_pass_once():
    size = 64
    params = {"f": {"w": jnp.ones((size, size))}, "g": {"w": jnp.ones((size, size))}}
    x = jnp.ones((size, size))

    def forward(params):
        return jnp.tanh(x @ params["f"]["w"]) @ params["g"]["w"]

    def losses(params, stats):
        y = forward(params)
        return {"square": jnp.square(y).mean(), "sum": y.mean()}, stats

    phases = Phase("a", ("f",), optax.sgd(0.1)), Phase("b", ("g",), optax.sgd(0.1))
    state = create_state(params, {"f": {}, "g": {}}, phases)

    def dots(step):
        return jax.jit(step).lower(state).compile().as_text().count(" dot(")

    def together(state):
        return play_together(
            state, losses, (phases[0], {"square": 1.0}), (phases[1], {"square": 1.0, "sum": 1.0})
        )

    # Two products forward; back, two for f (through g) and one for g.
    assert dots(together) <= 5


def test_a_weight_of_no_loss_and_a_phase_of_no_network_are_refused():
    phase = Phase("a", ("f",), optax.sgd(0.1))
    state = create_state(PARAMS, STATS, (phase,))
    with pytest.raises(UserError, match="'a' weighs a loss 'prodct': there are 'product', 'norm'"):
        play_together(state, two_losses, (phase, {"prodct": 1.0}))
    for wrong in (Phase("a", ("h",), optax.sgd(0.1)), Phase("a", ("f",), optax.sgd(0.1), ("h",))):
        with pytest.raises(UserError, match="names a network 'h': there are 'f', 'g'"):
            create_state(PARAMS, STATS, (wrong,))
    with pytest.raises(UserError, match="names of their own"):
        create_state(PARAMS, STATS, (phase, phase))


def test_a_loss_may_return_more_to_follow():
    def loss(params, stats):
        value, stats = product_loss(params, stats)
        return value, stats, {"D(x)": jnp.float32(0.7)}

    phase = Phase("p", ("f",), optax.sgd(0.1))
    _, metrics = play(create_state(PARAMS, STATS, (phase,)), (phase, loss))
    assert float(metrics["p/D(x)"]) == pytest.approx(0.7)


def test_rates_follow_the_update_and_not_the_passes_within_it():
    """Five critic passes an update decay as fast as one."""
    halving = scale_by_rate(lambda step: 0.1 * 0.5**step)
    critic, generator = Phase("c", ("f",), halving), Phase("g", ("g",), halving)
    state = create_state(PARAMS, STATS, (critic, generator))
    moved = []
    for _ in range(3):
        before = state
        state, _ = play(
            state, *[(critic, constant_slope("f"))] * 5, (generator, constant_slope("g"))
        )
        moved.append([float((before.params[n]["w"] - state.params[n]["w"])[0]) for n in "fg"])
    np.testing.assert_allclose(moved, [[0.5, 0.1], [0.25, 0.05], [0.125, 0.025]], rtol=1e-5)


def constant_slope(name):
    return lambda params, stats: (params[name]["w"].sum(), stats)


def test_any_optax_chain_does_as_an_optimizer():
    chain = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.constant_schedule(0.1)))
    phase = Phase("p", ("f",), chain)
    state, _ = play(create_state(PARAMS, STATS, (phase,)), (phase, product_loss))
    np.testing.assert_allclose(state.params["f"]["w"], [0.9, -2.1], rtol=1e-5)


def test_a_key_follows_the_purpose_and_not_its_place():
    key = jax.random.key(0)
    keys = step_keys(key)
    one, other = (jax.random.key_data(keys(name)) for name in ("prior", "input noise"))
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, jax.random.key_data(named_key(key, "prior")))
    over_devices = jax.vmap(
        lambda _: jax.random.key_data(step_keys(key, "data")("prior")), axis_name="data"
    )(jnp.arange(2))
    assert not np.array_equal(*over_devices)


@pytest.mark.parametrize("one_batch", [True, False])
def test_batch_norm_sees_real_and_fake_as_one_batch_or_as_two(one_batch):
    def centred(params, stats, x, y, key=None):
        """A discriminator that is batch norm without its scale: the trap itself."""
        assert y.shape == x.shape
        return (x - x.mean(axis=0))[:, 0], {**stats, "passes": stats["passes"] + 1}

    real, fake = (jnp.full((3, 1), 5.0), jnp.zeros((3, 1))), (jnp.ones((2, 1)), jnp.zeros((2, 1)))
    d_real, d_fake, stats = real_and_fake(
        centred, {}, {"passes": 0}, real, fake, one_batch=one_batch
    )
    assert d_real.shape == (3,)
    assert d_fake.shape == (2,)
    assert stats["passes"] == (1 if one_batch else 2)
    gap = float(d_real.mean() - d_fake.mean())
    assert gap == pytest.approx(4.0 if one_batch else 0.0)
