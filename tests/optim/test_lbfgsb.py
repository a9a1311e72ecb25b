import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from optim.problems import (
    CENTRE,
    CURVATURE,
    IMAGE,
    MINIMUM,
    RNG,
    START,
    N,
    bends_by_frequency,
    blank,
    quadratic,
    run,
    start,
    stepper,
    style_problem,
    valley,
)
from optim.test_two_loop import slow_inverse

from jnst.errors import InputError
from jnst.optim.base import CONVERGED, LINE_SEARCH, NOT_FINITE, RUNNING, norm, projected_gradient
from jnst.optim.lbfgsb import LBFGSB
from jnst.optim.preconditioner import Identity, Spectral

START_192 = jnp.asarray(np.random.default_rng(2).uniform(0.2, 0.8, 192), jnp.float32)
WIDE = (jnp.float32(-jnp.inf), jnp.float32(jnp.inf))


@pytest.mark.parametrize(("fun", "n", "steps"), [(quadratic, N, 60), (valley, 6, 200), (style_problem, 192, 500)])
def test_equals_scipy_on_small_bounded_problems(fun, n, steps):
    with jax.enable_x64(True):
        x0 = jnp.asarray(np.random.default_rng(2).uniform(0.2, 0.8, n))
        bounds = (jnp.zeros(n), jnp.full(n, 0.7 if fun is valley else 1.0))  # the valley's minimum is cut off
        value_and_grad = jax.jit(jax.value_and_grad(fun))

        def objective(x):
            value, gradient = value_and_grad(jnp.asarray(x))
            return float(value), np.asarray(gradient)

        theirs = scipy.optimize.minimize(
            objective, x0, jac=True, method="L-BFGS-B", bounds=list(zip(*bounds, strict=True)),
            options={"maxcor": 10, "maxiter": 5000, "maxfun": 9999, "ftol": 0, "gtol": 1e-12},
        )  # fmt: skip
        xs, states = run(LBFGSB(), fun, x0, steps, bounds=bounds)
        np.testing.assert_allclose(states[-1].value, theirs.fun, rtol=1e-6, atol=1e-12)
        if fun is not style_problem:  # which has more than one minimum of that value
            np.testing.assert_allclose(xs[-1], theirs.x, atol=1e-5)


def test_quadratic_with_known_active_set():
    with jax.enable_x64(True):
        xs, _ = run(LBFGSB(), quadratic, start(jnp.float64), 60)
        np.testing.assert_allclose(xs[-1], MINIMUM, atol=1e-7)
        np.testing.assert_array_equal((xs[-1] <= 0) | (xs[-1] >= 1), (CENTRE <= 0) | (CENTRE >= 1))


@pytest.mark.parametrize("preconditioner", [Identity(), pytest.param(Spectral(), marks=pytest.mark.thorough)])
def test_iterates_are_those_of_a_slow_twin(preconditioner):
    """Six iterations with three pairs of history, so that the ring has wrapped; steps of full length."""
    with jax.enable_x64(True):
        shape = IMAGE
        solver = LBFGSB(history_size=3, preconditioner=preconditioner)
        xs, states = run(solver, quadratic, start(jnp.float64).reshape(shape), 6)
        x, pairs, shape_of_h0 = START.copy(), [], preconditioner.init(xs[0])

        def h0():
            columns = [preconditioner.precondition(shape_of_h0, e.reshape(shape)).ravel() for e in np.eye(N)]
            return np.stack(columns, 1)

        gradient = CURVATURE * (x - CENTRE)
        gamma = 0.1 / np.mean(np.abs(gradient))
        for k in range(6):
            assert states[k + 1].evaluations == k + 2, "choose another problem: the twin has no line search"
            free = ~(((x <= 0) & (gradient > 0)) | ((x >= 1) & (gradient < 0)))
            new_x = np.clip(x - slow_inverse(pairs, free, gamma * h0()) @ gradient, 0, 1)
            new_gradient = CURVATURE * (new_x - CENTRE)
            s, y = new_x - x, new_gradient - gradient
            unit = s / np.linalg.norm(s)
            shape_of_h0 = preconditioner.update(shape_of_h0, jnp.asarray(unit.reshape(shape)), y.reshape(shape))
            pairs, gamma = [*pairs, (s, y)][-3:], (s @ y) / (y @ h0() @ y)
            x, gradient = new_x, new_gradient
            np.testing.assert_allclose(xs[k + 1].ravel(), x, atol=1e-9)


def test_the_preconditioner_is_what_speeds_up_an_image_that_bends_by_frequency():
    x0 = jnp.asarray(np.random.default_rng(3).uniform(0.2, 0.8, (1, 16, 16, 3)), jnp.float32)
    plain, spectral = (
        run(LBFGSB(preconditioner=p), bends_by_frequency, x0, 25)[1][-1].value for p in (Identity(), Spectral())
    )
    assert spectral < 0.2 * plain  # the minimum is 0


def test_history_in_bfloat16_finds_the_same_minimum():
    xs, states = run(LBFGSB(history_dtype="bfloat16"), quadratic, start(), 40)
    assert states[-1].history.s.dtype == states[-1].history.y.dtype == jnp.bfloat16
    assert xs[-1].dtype == jnp.float32
    np.testing.assert_allclose(xs[-1], MINIMUM, atol=1e-2)


def test_descends_inside_the_box_with_about_one_evaluation_an_iteration():
    xs, states = run(LBFGSB(), quadratic, start(), 20)
    for x, before, after in zip(xs, states, states[1:], strict=False):
        assert x.min() >= 0
        assert x.max() <= 1
        assert after.value <= before.value
    assert states[-1].evaluations <= 24


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("preconditioner", [Identity(), Spectral()])
def test_iterates_do_not_depend_on_the_unit(factor, preconditioner):
    solver, x0 = LBFGSB(rtol=1e-4, preconditioner=preconditioner), start().reshape(IMAGE)
    expected = run(solver, quadratic, x0, 12, jnp.float32(1))
    scaled = run(solver, quadratic, x0, 12, jnp.float32(factor))
    for a, b in zip(scaled[0], expected[0], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert [int(s.evaluations) for s in scaled[1]] == [int(s.evaluations) for s in expected[1]]
    assert scaled[1][-1].status == expected[1][-1].status
    np.testing.assert_allclose(scaled[1][3].optimality, factor * expected[1][3].optimality, rtol=1e-3)


@pytest.mark.parametrize("factor", [2.0**-60, 2.0**60])
def test_a_power_of_two_changes_nothing(factor):
    """But roundings: the two are different programs, and XLA of JAX 0.12 joins their operations differently."""
    expected, scaled = (
        run(LBFGSB(), style_problem, START_192, 25)[0],
        run(LBFGSB(), lambda x: factor * style_problem(x), START_192, 25)[0],
    )
    for a, b in zip(scaled, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-4)  # an underflow made it 3e-3


def test_the_projected_gradient_underflows_nowhere_and_is_scipys():
    x, g = jnp.float32([0.0, 0.0, 0.5, 1.0, 0.5]), jnp.float32([1e-20, -1e-20, 1e-20, 1e-20, 3.0])
    expected = np.float32([0, -1e-20, 1e-20, 1e-20, 0.5])  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(projected_gradient(x, g, jnp.zeros(5), jnp.ones(5)), expected)
    np.testing.assert_allclose(norm(g[:2]), np.sqrt(2) * 1e-20, rtol=1e-6)
    np.testing.assert_allclose(norm(jnp.float32([3e30, 4e30])), 5e30, rtol=1e-6)


def test_rtol_and_atol_end_the_run():
    _, states = run(LBFGSB(rtol=1e-2), quadratic, start(), 40)
    assert states[-1].status == CONVERGED
    assert states[-1].optimality <= 1e-2 * states[0].optimality < states[-2].optimality
    xs, states = run(LBFGSB(atol=1e-3), quadratic, start(), 40)
    assert states[-1].status == CONVERGED
    largest = [np.abs(x - np.clip(x - CURVATURE * (x - CENTRE), 0, 1)).max() for x in xs]
    assert largest[-1] <= 1.001e-3
    assert min(largest[:-1]) > 1e-3


def test_equal_settings_hash_alike_and_others_are_refused():
    assert LBFGSB(preconditioner=Spectral()) == LBFGSB(preconditioner=Spectral())
    assert len({LBFGSB(), LBFGSB(), LBFGSB(history_size=3)}) == 2
    with pytest.raises(InputError, match="history_size must be at least 1, got 0"):
        LBFGSB(history_size=0)
    with pytest.raises(InputError, match=r"history_dtype must be one of None, .*'bfloat16', got 'int8'"):
        LBFGSB(history_dtype="int8")


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_points_that_are_not_finite_are_stepped_around(bad):
    """Outside a ball the objective is not a number; the first step leads there, the minimum lies inside."""
    radius = 1.1 * np.linalg.norm(np.clip(CENTRE, 0, 1) - START)

    def fun(x):
        value, gradient = jax.value_and_grad(quadratic)(x)
        outside = jnp.linalg.norm(x - 0.5) > radius
        return jnp.where(outside, bad, value), jnp.where(outside, jnp.nan, gradient)

    xs, states = run(LBFGSB(first_step=5.0), fun, start(), 40, value_and_grad=True)
    assert states[1].evaluations > 2, "choose a longer first step: it should have led outside"
    np.testing.assert_allclose(xs[-1], MINIMUM, atol=1e-2)
    for x, state in zip(xs, states, strict=True):
        assert np.isfinite(state.value)
        assert np.linalg.norm(x - START) <= radius * (1 + 1e-6)


def test_not_finite_at_the_start_or_everywhere_else_stops_with_that_reason():
    _, states = run(LBFGSB(), lambda x: jnp.sum(x) * jnp.nan, start(), 2)
    assert states[0].status == NOT_FINITE
    assert states[-1].evaluations == 1

    xs, states = run(LBFGSB(), lambda x: jnp.where(jnp.all(x == 0.5), 1.0, jnp.nan) + 0 * x[0] + jnp.sum(x), start(), 3)
    assert states[-1].status == NOT_FINITE
    np.testing.assert_array_equal(xs[-1], START)


def test_a_gradient_that_lies_drops_the_history_then_stops():
    def uphill(x):
        value, gradient = jax.value_and_grad(quadratic)(x)
        return value, -gradient

    xs, states = run(LBFGSB(), uphill, start(), 4, value_and_grad=True)
    assert states[-1].status == LINE_SEARCH
    np.testing.assert_allclose(xs[-1], START, atol=1e-6)  # a step of one rounding may count as no rise


def test_a_search_without_descent_drops_all_that_was_learnt_before_it_ends_the_run():
    solver, x0 = LBFGSB(preconditioner=Spectral()), start().reshape(IMAGE)
    step = stepper(solver, quadratic)
    xs, states = run(solver, quadratic, x0, 3, jnp.float32(1))
    x, state, seen = xs[-1], states[-1], []
    while len(seen) < 3:  # from here on the objective is not a number anywhere
        x, state = step(x, state, jnp.float32(jnp.nan))
        if state.moved or state.status != RUNNING:
            seen.append((int(state.history.stored), int(state.status), bool(state.moved)))
    assert int(states[-1].history.stored) == 3
    assert states[-1].preconditioner.s.sum() > 0
    assert seen == [(0, RUNNING, True), (0, NOT_FINITE, True), (0, NOT_FINITE, False)]
    assert state.evaluations == states[-1].evaluations + 2 * solver.max_line_search
    np.testing.assert_array_equal(state.preconditioner.s, 0)
    np.testing.assert_allclose(state.gamma, 0.1)
    np.testing.assert_array_equal(x, xs[-1])
    assert np.abs(state.history.s).max() > 0  # the rows are still there, and are not used (test_two_loop)


class Coupled(Identity):
    """Two variables that move against each other."""

    def precondition(self, state, v):
        return jnp.array([[1, -0.99], [-0.99, 1]]) @ v


def test_where_the_projection_leaves_no_descent_the_step_goes_down_the_gradient():
    """The first variable wants to fall and drag the second one up, and has hardly any room."""
    x = jnp.array([0.001, 0.5])
    xs, states = run(LBFGSB(preconditioner=Coupled()), lambda x: x[0] + 0.5 * x[1], x, 1)
    assert xs[1][1] < 0.5
    assert states[1].evaluations == 2


def test_a_stationary_start_has_converged():
    _, states = run(LBFGSB(), quadratic, jnp.asarray(MINIMUM, jnp.float32), 2)
    assert states[0].optimality < 1e-5
    flat = run(LBFGSB(), lambda x: jnp.sum((x - 0.5) ** 2), start(), 3)[1]
    assert flat[0].status == CONVERGED
    assert flat[-1].evaluations == 1


def test_pairs_without_curvature_are_left_out():
    """A plane bends nowhere: no pair tells anything, and still the corner is found."""
    slope = jnp.asarray(RNG.normal(size=(1, 5, 6, 3)), jnp.float32)
    x0 = start().reshape(slope.shape)
    xs, states = run(LBFGSB(preconditioner=Spectral()), lambda x: jnp.vdot(slope, x), x0, 20)
    assert states[-1].history.stored == 0
    np.testing.assert_array_equal(states[-1].history.s, 0)
    np.testing.assert_array_equal(states[-1].preconditioner.y, 0)
    np.testing.assert_array_equal(xs[-1], np.where(slope > 0, 0, 1))
    assert states[-1].status == CONVERGED


@pytest.mark.parametrize(
    ("solver", "fun", "shape"),
    [(LBFGSB(), valley, (20,)), (LBFGSB(preconditioner=Spectral()), bends_by_frequency, (1, 16, 16, 3))],
)
def test_stop_and_go_on_is_bit_for_bit_the_same(solver, fun, shape):
    x0 = jnp.asarray(np.random.default_rng(4).uniform(0.2, 0.8, shape), jnp.float32)
    step = stepper(solver, fun, bounds=WIDE)
    x, state, trace = x0, blank(solver, x0), []
    for _ in range(16):
        x, state = step(x, state)
        trace.append((x, state))
    leaves, tree = jax.tree.flatten(jax.device_get(trace[6]))
    x, state = jax.tree.unflatten(tree, [jnp.asarray(leaf) for leaf in leaves])
    for _ in range(9):
        x, state = step(x, state)
    jax.tree.map(np.testing.assert_array_equal, (x, state), trace[15])


@pytest.mark.parametrize("preconditioner", [Identity(), Spectral()])
def test_vmap_of_three_equals_three_single_runs(preconditioner):
    solver = LBFGSB(preconditioner=preconditioner)
    x0 = jnp.asarray(np.random.default_rng(5).uniform(size=(3, *IMAGE)), jnp.float32)
    x0 = x0.at[1].set(jnp.asarray(MINIMUM.reshape(IMAGE), jnp.float32))  # one that is done at once, or nearly
    scales = jnp.array([1.0, 1.0, 1e6])
    single = stepper(solver, quadratic)
    step = jax.jit(jax.vmap(single))
    x, state = x0, jax.vmap(lambda x: blank(solver, x))(x0)
    for _ in range(11):
        x, state = step(x, state, scales)
    for k in range(3):
        one_x, one = x0[k], blank(solver, x0[k])
        for _ in range(11):
            one_x, one = single(one_x, one, scales[k])
        np.testing.assert_allclose(x[k], one_x, atol=1e-4)
        np.testing.assert_allclose(state.value[k], one.value, rtol=1e-4)


def test_an_element_that_has_stopped_no_longer_changes():
    solver, centres = LBFGSB(), jnp.array([0.5, 0.9])
    step = jax.jit(jax.vmap(stepper(solver, lambda x, c: jnp.sum((x - c) ** 4))))
    x = jnp.full((2, N), 0.5)
    x, first = step(x, jax.vmap(lambda x: blank(solver, x))(x), centres)
    assert first.status.tolist() == [CONVERGED, RUNNING]
    state = first
    for _ in range(5):
        x, state = step(x, state, centres)
    assert state.evaluations[0] == 1
    assert state.iterations.tolist() == [0, 5]
    assert state.moved.tolist() == [False, True]
    np.testing.assert_array_equal(x[0], 0.5)
    one = jax.tree.map(lambda a: a[0], (first, state._replace(moved=first.moved)))
    jax.tree.map(np.testing.assert_array_equal, *one)


def test_the_state_holds_no_more_than_the_gradient_the_direction_and_the_history():
    state = jax.eval_shape(lambda x: blank(LBFGSB(history_size=4), x), start())
    assert sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.size >= N) == (2 + 2 * 4) * N


def test_a_start_outside_the_bounds_is_taken_inside():
    xs, _ = run(LBFGSB(), quadratic, start() + 3, 30)
    np.testing.assert_array_equal(xs[0], 1)
    np.testing.assert_allclose(xs[-1], MINIMUM, atol=1e-3)
