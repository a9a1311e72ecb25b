from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst.optim import base as solver

SHAPE = (1, 6, 5, 3)
RNG = np.random.default_rng(0)
CURVATURE = jnp.asarray(RNG.uniform(0.5, 20, SHAPE), jnp.float32)
CENTRE = jnp.asarray(RNG.uniform(-0.5, 1.5, SHAPE), jnp.float32)  # about half of it outside the box
START = jnp.full(SHAPE, 0.5)


def quadratic(x, scale=1.0):
    """Minimum in the box: the centre, clipped."""
    value = 0.5 * scale * jnp.sum(CURVATURE * (x - CENTRE) ** 2)
    return (value, {"square": jnp.sum(x**2)}), scale * CURVATURE * (x - CENTRE)


def run(program, x, args, steps):
    state = jax.jit(program.init)(x, args)
    assert state.evaluations == 0
    step = jax.jit(program.step)
    x, state = step(x, state, args)  # the first one evaluates the start
    np.testing.assert_array_equal(x, START)
    assert state.evaluations == 1
    xs, states = [x], [state]
    for _ in range(steps):
        x, state = step(x, state, args)
        xs.append(x)
        states.append(state)
    return xs, states


lbfgsb = partial(solver.lbfgsb, history_size=10)
stock = partial(solver.stock, history_size=10)
adam = partial(solver.adam, learning_rate=0.05)


@pytest.mark.parametrize(("make", "steps", "accuracy"), [(lbfgsb, 40, 1e-3), (stock, 60, 1e-2), (adam, 200, 1e-2)])
def test_finds_the_minimum_in_the_box_and_never_leaves_it(make, steps, accuracy):
    xs, states = run(make(quadratic), START, (), steps)
    np.testing.assert_allclose(xs[-1], jnp.clip(CENTRE, 0, 1), atol=accuracy)
    for x in xs:
        assert x.min() >= 0
        assert x.max() <= 1
    assert states[-1].projected_gradient < 0.05 * states[0].projected_gradient


@pytest.mark.parametrize("make", [lbfgsb, stock, adam])
def test_state_tells_value_aux_and_evaluations_of_its_x(make):
    xs, states = run(make(quadratic), START, (), 5)
    for k, (x, state) in enumerate(zip(xs, states, strict=True)):
        (value, aux), _ = quadratic(x)
        np.testing.assert_allclose(state.value, value, rtol=1e-5)
        np.testing.assert_allclose(state.aux["square"], aux["square"], rtol=1e-5)
        assert state.evaluations >= k + 1


def test_adam_is_kingma_and_bas_algorithm_1_projected():
    x, m, v = np.asarray(START, np.float64), np.zeros(SHAPE), np.zeros(SHAPE)
    for t in range(1, 6):
        gradient = np.asarray(CURVATURE * (x - CENTRE), np.float64)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = 0.05 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        x = np.clip(x - step, 0, 1)
    xs, _ = run(adam(quadratic), START, (), 5)
    np.testing.assert_allclose(xs[-1], x, atol=1e-5)


def test_make_knows_all_names():
    for name in ("lbfgsb", "adam", "jaxopt"):
        program = solver.make(quadratic, name, history_size=3, learning_rate=0.1)
        _, (_, state) = run(program, START, (), 1)
        assert state.value < quadratic(START)[0][0]


def test_history_has_the_number_format_that_was_chosen():
    for dtype in ("float32", "bfloat16"):
        program = solver.make(quadratic, "lbfgsb", history_size=3, learning_rate=0.1, history_dtype=dtype)
        state = jax.eval_shape(program.init, START, ())
        assert state.inner.s_history.dtype == state.inner.y_history.dtype == dtype
