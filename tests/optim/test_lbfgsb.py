import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jnst.optim.lbfgsb import CONVERGED, LBFGSB, LINE_SEARCH, NOT_FINITE, RUNNING
from jnst.optim.preconditioner import Identity, Spectral

N = 90
RNG = np.random.default_rng(0)
CURVATURE = RNG.uniform(0.5, 20, N)
CENTRE = RNG.uniform(-0.5, 1.5, N)  # about half of it outside the box
START = np.full(N, 0.5)
BOX = (np.zeros(N), np.ones(N))


def quadratic(x, scale=1.0):
    return 0.5 * scale * jnp.sum(jnp.asarray(CURVATURE, x.dtype) * (x - jnp.asarray(CENTRE, x.dtype)) ** 2)


def valley(x):
    """Rosenbrock's over neighbours, stretched so that its minimum at 1 is x = 0.75."""
    z = 2 * x - 0.5
    return jnp.sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)


KERNELS = RNG.normal(size=(3, 3, 3, 4)) / 5


def style_problem(x):
    """Content and Gram losses of one random layer on a 3x8x8 image."""
    kernels = jnp.asarray(KERNELS, x.dtype)
    target = jnp.asarray(np.random.default_rng(1).uniform(size=(1, 8, 8, 3)), x.dtype)

    def maps(image):
        return jnp.tanh(
            jax.lax.conv_general_dilated(image, kernels, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        )

    def gram(f):
        return jnp.einsum("nhwi,nhwj->ij", f, f) / 64

    content = maps(jnp.clip(3 * target - 1, 0, 1))
    f = maps(x.reshape(1, 8, 8, 3))
    return jnp.sum((gram(f) - gram(maps(target))) ** 2) + 0.001 * jnp.sum((f - content) ** 2)


def run(solver, x, steps, *args, bounds=BOX):
    state = jax.jit(solver.init_state)(x, bounds, *args)
    update = jax.jit(solver.update)
    xs, states = [x], [state]
    for _ in range(steps):
        x, state = update(x, state, bounds, *args)
        xs.append(x)
        states.append(state)
    return xs, states


def start(dtype=jnp.float32):
    return jnp.asarray(START, dtype)


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
        xs, states = run(LBFGSB(fun), x0, steps, bounds=bounds)
        np.testing.assert_allclose(states[-1].value, theirs.fun, rtol=1e-6, atol=1e-12)
        if fun is not style_problem:  # which has more than one minimum of that value
            np.testing.assert_allclose(xs[-1], theirs.x, atol=1e-5)


def test_quadratic_with_known_active_set():
    with jax.enable_x64(True):
        xs, states = run(LBFGSB(quadratic), start(jnp.float64), 60)
        np.testing.assert_allclose(xs[-1], np.clip(CENTRE, 0, 1), atol=1e-7)
        np.testing.assert_allclose(states[-1].at_bound, np.mean((CENTRE <= 0) | (CENTRE >= 1)), atol=0.02)


def slow_inverse(pairs, free, h0):
    """The inverse Hessian of the free variables, written out (Nocedal and Wright, eq. 6.17), zero elsewhere."""
    mask = np.diag(free.astype(float))
    inverse = mask @ h0 @ mask
    for s, y in ((mask @ s, mask @ y) for s, y in pairs):
        v = np.eye(len(s)) - np.outer(y, s) / (s @ y)
        inverse = v.T @ inverse @ v + np.outer(s, s) / (s @ y)
    return inverse


@pytest.mark.parametrize("preconditioner", [Identity(), Spectral()])
def test_iterates_are_those_of_a_slow_twin(preconditioner):
    """Six iterations with three pairs of history, so that the ring has wrapped; steps of full length."""
    with jax.enable_x64(True):
        shape = (1, 5, 6, 3)
        solver = LBFGSB(lambda x: quadratic(x.ravel()), history_size=3, preconditioner=preconditioner)
        bounds = (jnp.zeros(shape), jnp.ones(shape))
        xs, states = run(solver, start(jnp.float64).reshape(shape), 6, bounds=bounds)
        x, pairs, shape_of_h0 = START.copy(), [], preconditioner.init(xs[0])

        def h0():
            columns = [preconditioner.apply(shape_of_h0, e.reshape(shape)).ravel() for e in np.eye(N)]
            return np.stack(columns, 1)

        gradient = CURVATURE * (x - CENTRE)
        gamma = 0.1 / np.mean(np.abs(gradient))
        for k in range(6):
            assert states[k + 1].stepsize == 1, "choose another problem: the twin has no line search"
            free = ~(((x <= 0) & (gradient > 0)) | ((x >= 1) & (gradient < 0)))
            new_x = np.clip(x - slow_inverse(pairs, free, gamma * h0()) @ gradient, 0, 1)
            new_gradient = CURVATURE * (new_x - CENTRE)
            s, y = new_x - x, new_gradient - gradient
            unit = s / np.linalg.norm(s)
            shape_of_h0 = preconditioner.update(shape_of_h0, jnp.asarray(unit.reshape(shape)), y.reshape(shape))
            pairs, gamma = [*pairs, (s, y)][-3:], (s @ y) / (y @ h0() @ y)
            x, gradient = new_x, new_gradient
            np.testing.assert_allclose(xs[k + 1].ravel(), x, atol=1e-9)


def bends_by_frequency(x):
    """A quadratic that bends up to a thousand times more along fine patterns than along the mean colour."""
    across, down = x[:, :, 1:] - x[:, :, :-1], x[:, 1:] - x[:, :-1]
    return 0.5 * jnp.sum((x - 0.3) ** 2) + 60 * (jnp.sum(across**2) + jnp.sum(down**2))


def test_the_preconditioner_is_what_speeds_up_an_image_that_bends_by_frequency():
    x0 = jnp.asarray(np.random.default_rng(3).uniform(0.2, 0.8, (1, 16, 16, 3)), jnp.float32)
    bounds = (jnp.zeros_like(x0), jnp.ones_like(x0))
    plain, spectral = (
        run(LBFGSB(bends_by_frequency, preconditioner=p), x0, 25, bounds=bounds)[1][-1].value
        for p in (Identity(), Spectral())
    )
    assert spectral < 0.2 * plain  # the minimum is 0


def test_history_in_bfloat16_finds_the_same_minimum():
    xs, states = run(LBFGSB(quadratic, history_dtype=jnp.bfloat16), start(), 40)
    assert states[-1].s_history.dtype == states[-1].y_history.dtype == jnp.bfloat16
    assert xs[-1].dtype == jnp.float32
    np.testing.assert_allclose(xs[-1], np.clip(CENTRE, 0, 1), atol=1e-2)


def test_descends_inside_the_box_with_about_one_evaluation_an_iteration():
    xs, states = run(LBFGSB(quadratic), start(), 20)
    for x, before, after in zip(xs, states, states[1:], strict=False):
        assert x.min() >= 0
        assert x.max() <= 1
        assert after.value <= before.value
    assert states[-1].num_fun_eval <= 24


@pytest.mark.parametrize("scale", [1e-6, 1e6, 1e12])
def test_iterates_do_not_depend_on_the_unit(scale):
    expected = run(LBFGSB(quadratic), start(), 12, jnp.float32(1))
    found = run(LBFGSB(quadratic), start(), 12, jnp.float32(scale))
    for a, b in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)
    assert [int(s.num_fun_eval) for s in found[1]] == [int(s.num_fun_eval) for s in expected[1]]


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_points_that_are_not_finite_are_stepped_around(bad):
    """Outside a ball the objective is not a number; the first step leads there, the minimum lies inside."""
    radius = 1.1 * np.linalg.norm(np.clip(CENTRE, 0, 1) - START)

    def fun(x):
        value, gradient = jax.value_and_grad(quadratic)(x)
        outside = jnp.linalg.norm(x - 0.5) > radius
        return jnp.where(outside, bad, value), jnp.where(outside, jnp.nan, gradient)

    xs, states = run(LBFGSB(fun, value_and_grad=True, first_step=5.0), start(), 40)
    assert states[1].num_fun_eval > 2, "choose a longer first step: it should have led outside"
    np.testing.assert_allclose(xs[-1], np.clip(CENTRE, 0, 1), atol=1e-2)
    for x, state in zip(xs, states, strict=True):
        assert np.isfinite(state.value)
        assert np.linalg.norm(x - START) <= radius * (1 + 1e-6)


def test_not_finite_at_the_start_or_everywhere_else_stops_with_that_reason():
    _, states = run(LBFGSB(lambda x: jnp.sum(x) * jnp.nan), start(), 2)
    assert states[0].stop == NOT_FINITE
    assert states[-1].num_fun_eval == 1

    xs, states = run(LBFGSB(lambda x: jnp.where(jnp.all(x == 0.5), 1.0, jnp.nan) + 0 * x[0] + jnp.sum(x)), start(), 3)
    assert states[-1].stop == NOT_FINITE
    np.testing.assert_array_equal(xs[-1], START)


def test_a_gradient_that_lies_drops_the_history_then_stops():
    def uphill(x):
        value, gradient = jax.value_and_grad(quadratic)(x)
        return value, -gradient

    xs, states = run(LBFGSB(uphill, value_and_grad=True), start(), 4)
    assert states[-1].stop == LINE_SEARCH
    np.testing.assert_allclose(xs[-1], START, atol=1e-6)  # a step of one rounding may count as no rise


def test_a_search_without_descent_drops_all_that_was_learnt_before_it_ends_the_run():
    solver = LBFGSB(lambda x, scale: quadratic(x.ravel(), scale), preconditioner=Spectral())
    x0 = start().reshape(1, 5, 6, 3)
    bounds = (jnp.zeros_like(x0), jnp.ones_like(x0))
    xs, states = run(solver, x0, 3, jnp.float32(1), bounds=bounds)
    x, state, seen = xs[-1], states[-1], []
    update = jax.jit(solver.update)
    for _ in range(3):  # from here on the objective is not a number anywhere
        x, state = update(x, state, bounds, jnp.float32(jnp.nan))
        seen.append((int(state.num_updates), int(state.stop)))
    assert int(states[-1].num_updates) == 3
    assert states[-1].preconditioner.s.sum() > 0
    assert seen == [(0, RUNNING), (0, NOT_FINITE), (0, NOT_FINITE)]
    np.testing.assert_array_equal(state.preconditioner.s, 0)
    np.testing.assert_allclose(state.gamma, 0.1)
    np.testing.assert_array_equal(x, xs[-1])

    dropped = state._replace(stop=jnp.int32(RUNNING))
    assert np.abs(dropped.s_history).max() > 0  # the rows are still there, and must not be used
    forgotten = dropped._replace(s_history=0 * dropped.s_history, y_history=0 * dropped.y_history)
    following = [update(x, s, bounds, jnp.float32(1))[0] for s in (dropped, forgotten)]
    np.testing.assert_array_equal(*following)
    assert np.any(following[0] != x)


class Coupled(Identity):
    """Two variables that move against each other."""

    def apply(self, state, v):
        return jnp.array([[1, -0.99], [-0.99, 1]]) @ v


def test_where_the_projection_leaves_no_descent_the_step_goes_down_the_gradient():
    """The first variable wants to fall and drag the second one up, and has hardly any room."""
    x = jnp.array([0.001, 0.5])
    solver = LBFGSB(lambda x: x[0] + 0.5 * x[1], preconditioner=Coupled())
    box = (jnp.zeros(2), jnp.ones(2))
    xs, states = run(solver, x, 1, bounds=box)
    assert xs[1][1] < 0.5
    assert states[1].num_fun_eval == 2


def test_a_stationary_start_has_converged():
    _, states = run(LBFGSB(quadratic), jnp.asarray(np.clip(CENTRE, 0, 1), jnp.float32), 2)
    assert states[0].error < 1e-5
    flat = run(LBFGSB(lambda x: jnp.sum((x - 0.5) ** 2)), start(), 3)[1]
    assert flat[0].stop == CONVERGED
    assert flat[-1].num_fun_eval == 1


def test_pairs_without_curvature_are_left_out():
    """A plane bends nowhere: no pair tells anything, and still the corner is found."""
    slope = jnp.asarray(RNG.normal(size=(1, 5, 6, 3)), jnp.float32)
    x0 = start().reshape(slope.shape)
    solver = LBFGSB(lambda x: jnp.vdot(slope, x), preconditioner=Spectral())
    xs, states = run(solver, x0, 20, bounds=(jnp.zeros_like(x0), jnp.ones_like(x0)))
    assert states[-1].num_updates == 0
    np.testing.assert_array_equal(states[-1].s_history, 0)
    np.testing.assert_array_equal(states[-1].preconditioner.y, 0)
    np.testing.assert_array_equal(xs[-1], np.where(slope > 0, 0, 1))
    assert states[-1].stop == CONVERGED


@pytest.mark.parametrize(
    ("solver", "shape"),
    [(LBFGSB(valley), (20,)), (LBFGSB(bends_by_frequency, preconditioner=Spectral()), (1, 16, 16, 3))],
)
def test_stop_and_go_on_is_bit_for_bit_the_same(solver, shape):
    x0 = jnp.asarray(np.random.default_rng(4).uniform(0.2, 0.8, shape), jnp.float32)
    xs, states = run(solver, x0, 15, bounds=None)
    leaves, tree = jax.tree.flatten(jax.device_get((xs[6], states[6])))
    x, state = jax.tree.unflatten(tree, [jnp.asarray(leaf) for leaf in leaves])
    update = jax.jit(solver.update)
    for _ in range(9):
        x, state = update(x, state, None)
    jax.tree.map(np.testing.assert_array_equal, (x, state), (xs[15], states[15]))


@pytest.mark.parametrize("preconditioner", [Identity(), Spectral()])
def test_vmap_of_three_equals_three_single_runs(preconditioner):
    shape = (1, 5, 6, 3)
    solver = LBFGSB(lambda x, scale: quadratic(x.ravel(), scale), preconditioner=preconditioner)
    bounds = (jnp.zeros(shape), jnp.ones(shape))
    x0 = jnp.asarray(np.random.default_rng(5).uniform(size=(3, *shape)), jnp.float32)
    done = np.clip(CENTRE, 0, 1).reshape(shape)
    x0 = x0.at[1].set(jnp.asarray(done, jnp.float32))  # one that is done at once, or nearly
    scales = jnp.array([1.0, 1.0, 1e6])
    state = jax.vmap(lambda x, scale: solver.init_state(x, bounds, scale))(x0, scales)
    update = jax.jit(jax.vmap(lambda x, state, scale: solver.update(x, state, bounds, scale)))
    x = x0
    for _ in range(10):
        x, state = update(x, state, scales)
    for k in range(3):
        xs, states = run(solver, x0[k], 10, scales[k], bounds=bounds)
        np.testing.assert_allclose(x[k], xs[-1], atol=1e-4)
        np.testing.assert_allclose(state.value[k], states[-1].value, rtol=1e-4)


def test_an_element_that_has_stopped_no_longer_changes():
    solver = LBFGSB(lambda x, c: jnp.sum((x - c) ** 4))
    centres = jnp.array([0.5, 0.9])
    x = jnp.full((2, N), 0.5)
    state = jax.vmap(lambda x, c: solver.init_state(x, BOX, c))(x, centres)
    assert state.stop.tolist() == [CONVERGED, RUNNING]
    update = jax.jit(jax.vmap(lambda x, state, c: solver.update(x, state, BOX, c)))
    for _ in range(5):
        x, state = update(x, state, centres)
    assert state.num_fun_eval[0] == 1
    assert state.iter_num.tolist() == [0, 5]
    np.testing.assert_array_equal(x[0], 0.5)


def test_one_update_holds_one_evaluation():
    calls = []

    def counted(x):
        calls.append(1)
        return quadratic(x)

    solver = LBFGSB(counted)
    state = solver.blank_state(start())
    calls.clear()
    jax.make_jaxpr(solver.update)(start(), state, BOX)
    assert len(calls) == 1


def test_run_and_the_other_forms_of_jaxopts_interface():
    tree = {"a": jnp.full((3, 4), 0.5), "b": jnp.full(2, 0.5)}

    def fun(tree, target):
        return jnp.sum((tree["a"] - target) ** 2) + jnp.sum((tree["b"] + 1) ** 2), {"mean": jnp.mean(tree["a"])}

    bounds = ({"a": jnp.zeros((3, 4)), "b": jnp.zeros(2)}, {"a": jnp.ones((3, 4)), "b": jnp.ones(2)})
    solver = LBFGSB(fun, has_aux=True, maxiter=30, tol=1e-5)
    params, state = solver.run(tree, bounds, jnp.float32(0.25))
    np.testing.assert_allclose(params["a"], 0.25, atol=1e-4)
    np.testing.assert_array_equal(params["b"], 0)
    np.testing.assert_allclose(state.aux["mean"], 0.25, atol=1e-4)
    assert state.stop == CONVERGED
    assert state.iter_num < 30
    residual = solver.optimality_fun(params, bounds, jnp.float32(0.25))
    assert np.abs(residual["a"]).max() < 1e-3
    free, _ = LBFGSB(lambda x: jnp.sum((x - 3) ** 2), maxiter=30).run(jnp.zeros(4))
    np.testing.assert_allclose(free, 3, atol=1e-4)
