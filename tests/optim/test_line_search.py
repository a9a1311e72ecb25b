import jax.numpy as jnp
import numpy as np
import pytest

from jnst.optim.line_search import ARMIJO, CAREFUL_TRIALS, shorten, start_search, sufficient_decrease

ZERO = jnp.float32(0)


def search(slope=-2.0):
    return start_search(jnp.float32(slope))


def test_the_first_trial_is_the_full_step():
    assert search().stepsize == 1
    assert search().trials == 0


def test_armijo_wants_a_share_of_the_slope():
    assert sufficient_decrease(search(), ZERO, jnp.float32(-2 * ARMIJO))
    assert not sufficient_decrease(search(), ZERO, jnp.float32(-1.9 * ARMIJO))
    assert not sufficient_decrease(search(0.5), ZERO, jnp.float32(-1.0)), "no direction of descent"
    halved = search()._replace(stepsize=jnp.float32(0.5))
    assert sufficient_decrease(halved, ZERO, jnp.float32(-1.0 * ARMIJO))


@pytest.mark.parametrize("trial_value", [jnp.nan, jnp.inf, -jnp.inf])
@pytest.mark.parametrize("trial_slope", [1.0, jnp.nan])
def test_values_that_are_not_finite_are_refused_and_shorten_by_ten(trial_value, trial_slope):
    assert not sufficient_decrease(search(), ZERO, jnp.float32(trial_value))
    after = shorten(search(), ZERO, jnp.float32(trial_value), jnp.float32(trial_slope))
    np.testing.assert_allclose(after.stepsize, 0.1)
    assert not after.finite
    assert not shorten(after, ZERO, jnp.float32(1.0), ZERO).finite, "once not finite, the search remembers"


@pytest.mark.parametrize(("bend", "expected"), [(2.5, 0.4), (3.0, 1 / 3), (100.0, 0.1), (1.05, 0.9)])
def test_the_next_step_is_the_parabolas_minimum_within_a_tenth_and_nine_tenths(bend, expected):
    """Along phi(t) = -2 t + bend t^2 the minimum is t = 1 / bend; a slope that is not finite is not used."""
    t = jnp.float32(1.0)
    after = shorten(search(), ZERO, -2 * t + bend * t**2, jnp.float32(jnp.nan))
    np.testing.assert_allclose(after.stepsize, expected, rtol=1e-6)
    assert after.trials == 1
    assert after.finite


def test_an_exact_parabola_and_an_exact_cubic_are_found_from_any_step():
    t = jnp.float32(0.5)
    halved = search()._replace(stepsize=t)
    after = shorten(halved, ZERO, -2 * t + 5 * t**2, -2 + 10 * t)
    np.testing.assert_allclose(after.stepsize, 0.2, rtol=1e-6)
    # phi(t) = -2 t + t^2 + 7 t^3 has its minimum where 21 t^2 + 2 t = 2
    after = shorten(halved, ZERO, -2 * t + t**2 + 7 * t**3, -2 + 2 * t + 21 * t**2)
    np.testing.assert_allclose(after.stepsize, (-2 + (4 + 8 * 21) ** 0.5) / 42, rtol=1e-6)


def test_after_some_trials_no_step_is_longer_than_half_the_last():
    """Or twenty trials would not make a step small. Here the parabola's minimum lies at twice each rejected step."""
    after, steps = search(), []
    for _ in range(CAREFUL_TRIALS + 2):
        t = after.stepsize
        after = shorten(after, ZERO, -1.5 * t, jnp.float32(jnp.nan))
        steps.append(float(after.stepsize / t))
    np.testing.assert_allclose(steps, [0.9] * CAREFUL_TRIALS + [0.5] * 2, rtol=1e-6)


def test_a_step_of_equal_value_is_taken_where_the_decrease_asked_for_is_below_a_rounding():
    value = jnp.float32(1000)
    assert sufficient_decrease(search(-0.1), value, value)
    assert not sufficient_decrease(search(-0.1), value, jnp.nextafter(value, jnp.float32(2000)))
    assert not sufficient_decrease(search(-10.0), value, value)
