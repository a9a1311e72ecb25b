import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optim.problems import BOX, CENTRE, CURVATURE, MINIMUM, START, N, blank, quadratic, run, start, stepper

from jnst.optim.base import CONVERGED, NOT_FINITE, RUNNING
from jnst.optim.first_order import Projected, adam


@pytest.mark.parametrize("solver", [adam(0.05), Projected(optax.sgd(0.05, momentum=0.5))])
def test_finds_the_minimum_in_the_box_and_never_leaves_it(solver):
    xs, states = run(solver, quadratic, start(), 200)
    np.testing.assert_allclose(xs[-1], MINIMUM, atol=1e-2)
    assert all(x.min() >= 0 and x.max() <= 1 for x in xs)
    assert states[-1].optimality < 0.05 * states[0].optimality
    for x, state in zip(xs, states, strict=True):
        np.testing.assert_allclose(state.value, quadratic(x), rtol=1e-5)
        np.testing.assert_allclose(state.aux["sum"], jnp.sum(x), rtol=1e-5)
        assert state.evaluations == state.iterations + 1


def test_adam_is_kingma_and_bas_algorithm_1_projected():
    x, m, v = START.copy(), np.zeros(N), np.zeros(N)
    for t in range(1, 6):
        gradient = CURVATURE * (x - CENTRE)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        x = np.clip(x - 0.05 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), 0, 1)
    xs, _ = run(adam(0.05), quadratic, start(), 5)
    np.testing.assert_array_equal(xs[0], START)
    np.testing.assert_allclose(xs[-1], x, atol=1e-5)


def test_equal_rates_are_one_solver_for_jit():
    assert adam(0.05) == adam(0.05)
    assert hash(adam(0.05)) == hash(adam(0.05))
    assert adam(0.05) != adam(0.06)


def test_converged_and_not_finite_are_told_apart_and_end_the_run():
    x, state = start(), blank(adam(0.1), start())
    for fun, status in ((lambda x: jnp.sum((x - 0.5) ** 2), CONVERGED), (lambda x: jnp.sum(x) * jnp.nan, NOT_FINITE)):
        step = stepper(adam(0.1), fun)
        x_1, state_1 = step(x, state)
        assert state_1.status == status
        x_2, state_2 = step(x_1, state_1)
        assert not state_2.moved
        jax.tree.map(np.testing.assert_array_equal, (x_2, state_2._replace(moved=state_1.moved)), (x_1, state_1))


def test_a_transformation_that_takes_the_value_gets_it():
    solver = Projected(optax.chain(optax.sgd(0.05), optax.contrib.reduce_on_plateau(patience=2)))
    _, states = run(solver, quadratic, start(), 60)
    assert states[-1].transformation[1].scale < 1 == states[0].transformation[1].scale


def test_vmap_equals_single_runs():
    solver, x0 = adam(0.05), jnp.asarray(np.random.default_rng(1).uniform(size=(2, N)), jnp.float32)
    step = jax.jit(jax.vmap(stepper(solver, quadratic, bounds=tuple(map(jnp.asarray, BOX)))))
    x, state = x0, jax.vmap(lambda x: blank(solver, x))(x0)
    for _ in range(6):
        x, state = step(x, state)
    for k in range(2):
        np.testing.assert_allclose(x[k], run(solver, quadratic, x0[k], 5)[0][-1], atol=1e-6)
    assert state.status.tolist() == [RUNNING, RUNNING]
