"""Schedules in epochs, and the optimizers they drive."""

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.errors import UserError
from aae_jax.optimizers import adam, optimizer, ramp, rising_sgd, schedule, sgd, spans_run

STEPS = ml_collections.ConfigDict({"name": "steps", "epochs": (50, 1000), "factor": 0.1})


def test_the_papers_schedule_drops_tenfold_after_epochs_50_and_1000():
    factor = schedule(methods.default_config("semi_supervised_aae").schedule, 600, 5000)
    values = [float(factor(jnp.int32(s))) for s in (0, 29_999, 30_000, 599_999, 600_000, 2_999_999)]
    np.testing.assert_allclose(values, [1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)


def test_a_schedule_counts_epochs_whatever_their_length():
    factor = schedule(STEPS, 24, 5000)
    values = [float(factor(jnp.int32(s))) for s in (1_199, 1_200, 23_999, 24_000)]
    np.testing.assert_allclose(values, [1, 0.1, 0.1, 0.01], rtol=1e-6)


def factors(steps, **config):
    factor = schedule(ml_collections.ConfigDict(config), 10, 4)
    return [float(factor(jnp.int32(step))) for step in steps]


def test_cosine_falls_to_zero_over_the_run_and_constant_stays():
    expected = [1, 0.5 * (1 + np.cos(np.pi / 4)), 0.5, 0]
    falling = factors((0, 10, 20, 40), name="cosine", constant_fraction=0.0)
    np.testing.assert_allclose(falling, expected, atol=1e-6)
    assert factors((0, 10**6), name="constant") == [1, 1]


def test_cosine_may_begin_constant():
    late = factors((0, 29, 30, 35, 40), name="cosine", constant_fraction=0.75)
    np.testing.assert_allclose(late, [1, 1, 1, 0.5, 0], atol=1e-6)


def test_a_constant_fraction_of_a_whole_run_is_no_defect():
    with pytest.raises(UserError, match="constant_fraction"):
        factors((0,), name="cosine", constant_fraction=1.5)
    try:
        assert factors((0, 39), name="cosine", constant_fraction=1.0) == [1, 1]
    except UserError as error:
        assert "constant_fraction" in str(error)


def test_sgd_with_momentum_by_hand_under_a_schedule():
    config = ml_collections.ConfigDict({"name": "steps", "epochs": (2,), "factor": 0.1})
    transform = optimizer(sgd(0.5, 0.9), schedule(config, 1, 10))
    params = jnp.array([1.0])
    state = transform.init(params)
    moved = []
    for step in range(4):
        update, state = transform.update(jnp.array([2.0]), state, params, step=step)
        moved.append(float(update[0]))
    velocity = np.array([1, 1.9, 2.71, 3.439]) * 2.0
    np.testing.assert_allclose(moved, -np.array([0.5, 0.5, 0.05, 0.05]) * velocity, rtol=1e-6)


def test_a_rising_momentum_by_hand():
    transform = optimizer(rising_sgd(0.5, 0.5, 0.7, 2), lambda count: 1.0)
    params = jnp.array([1.0])
    state = transform.init(params)
    moved = []
    for step in range(4):
        update, state = transform.update(jnp.array([2.0]), state, params, step=step)
        moved.append(float(update[0]))
    velocity = [2.0]
    for momentum in (0.6, 0.7, 0.7):
        velocity.append(2.0 + momentum * velocity[-1])
    np.testing.assert_allclose(moved, -0.5 * np.array(velocity), rtol=1e-6)
    with pytest.raises(UserError, match="momentum_updates is 0"):
        optimizer(rising_sgd(0.5, 0.5, 0.7, 0), lambda count: 1.0)


def test_an_exponential_schedule_falls_to_its_lowest():
    found = factors((0, 1, 2, 50), name="exponential", factor=0.5, lowest=0.01)
    np.testing.assert_allclose(found, [1, 0.5, 0.25, 0.01], rtol=1e-6)
    with pytest.raises(UserError, match=r"factor is 1.5"):
        factors((0,), name="exponential", factor=1.5)


def test_adams_first_step_has_the_size_of_the_learning_rate():
    config = ml_collections.ConfigDict({"name": "adam", "learning_rate": 0.01, "momentum": 0.5})
    transform = optimizer(config, lambda count: 1.0)
    params = jnp.array([1.0, 1.0])
    update, _ = transform.update(jnp.array([3.0, -0.2]), transform.init(params), params, step=0)
    np.testing.assert_allclose(update, [-0.01, 0.01], rtol=1e-4)


def test_adams_steps_shrink_with_gradients_far_below_epsilon():
    config = adam(0.01, 0.5, epsilon=1e-3)
    transform = optimizer(config, lambda count: 1.0)
    gradients, params = jnp.array([3.0, 1e-3, 1e-5]), jnp.ones(3)
    update, _ = transform.update(gradients, transform.init(params), params, step=0)
    np.testing.assert_allclose(update, -0.01 * gradients / (gradients + 1e-3), rtol=1e-4)


def test_adams_mean_square_forgets_at_its_own_rate():
    transform = optimizer(adam(0.01, 0.0, second_momentum=0.5), lambda count: 1.0)
    state, params = transform.init(jnp.ones(1)), jnp.ones(1)
    for gradient in (1.0, 2.0):
        update, state = transform.update(jnp.array([gradient]), state, params, step=0)
    # Means of squares of 0.5 and 2.25, the latter of which 3/4 has come in.
    np.testing.assert_allclose(update, [-0.01 * 2 / np.sqrt(2.25 / 0.75)], rtol=1e-5)


def test_a_linear_schedule_is_constant_and_then_falls_to_zero():
    config = ml_collections.ConfigDict({"name": "linear", "constant_fraction": 0.5})
    rates = [float(schedule(config, 10, 2)(step)) for step in (0, 10, 15, 20, 30)]
    np.testing.assert_allclose(rates, [1.0, 1.0, 0.5, 0.0, 0.0])


def test_an_epsilon_that_is_not_positive_is_refused():
    with pytest.raises(UserError, match="it must be positive"):
        optimizer(adam(0.01, epsilon=0.0), lambda count: 1.0)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(UserError, match="'sgdd': choose sgd, adam or rmsprop"):
        optimizer(
            ml_collections.ConfigDict({"name": "sgdd", "learning_rate": 1.0, "momentum": 0.0}),
            lambda count: 1.0,
        )
    with pytest.raises(UserError, match="'line': choose steps, cosine, linear, exponential"):
        schedule(ml_collections.ConfigDict({"name": "line"}), 1, 1)


def test_a_ramp_goes_by_a_constant_factor_and_stays():
    up, down = ramp(2.0, 8.0, 10), ramp(0.6, 0.15, 10)
    np.testing.assert_allclose([up(s) for s in (0, 5, 10, 99)], [2, 4, 8, 8], rtol=1e-6)
    np.testing.assert_allclose([down(s) for s in (0, 5, 10, 99)], [0.6, 0.3, 0.15, 0.15], rtol=1e-6)
    assert ramp(3.0, 3.0, 10)(4) == 3.0


def test_which_configs_span_the_run():
    config = methods.default_config("semi_supervised_aae")
    assert not spans_run(config)  # steps, at epochs of their own
    for name in ("cosine", "linear"):
        config.schedule.name = name
        assert spans_run(config)
    config = methods.default_config("pixelgan")
    config.schedule.name = "constant"
    assert not spans_run(config)
    config.decoder_alone = 0.1
    assert spans_run(config)
    config.decoder_alone, config.head_scale.name = 0.0, "ramp"
    assert spans_run(config)
    config = methods.default_config("dimension_reduction_aae")  # whose head_scale is a number
    assert not spans_run(config)


@pytest.mark.parametrize(
    ("name", "known"), [("cosine", {}), ("cosine", {"per_epoch": 10}), ("steps", {})]
)
def test_a_length_that_nobody_named_ends_no_training(name, known):
    config = ml_collections.ConfigDict(
        {"name": name, "epochs": (1,), "factor": 0.1, "constant_fraction": 0.0}
    )
    assert float(schedule(config, known.get("per_epoch"), None)(10**9)) == 1.0
