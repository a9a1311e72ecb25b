"""jnst behind jaxopt's interface, on the problems of jaxopt's own tests of its LBFGSB (tests/lbfgsb_test.py)."""

import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from optim.problems import BOX, CENTRE, CURVATURE, MINIMUM, START, N, quadratic, start

from jnst.errors import InputError
from jnst.optim.base import CONVERGED
from jnst.optim.jaxopt_api import LBFGSB
from jnst.optim.preconditioner import Spectral

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(50, 5)), jnp.float32)
LABELS = jnp.asarray(RNG.integers(0, 2, 50), jnp.float32)
TARGETS = jnp.asarray(np.asarray(X) @ [1, -2, 0.5, 3, -1] + 0.1 * RNG.normal(size=50), jnp.float32)


def logistic(w, l2, data):
    x, labels = data
    logits = x @ w
    return jnp.mean(jnp.logaddexp(0, logits) - labels * logits) + 0.5 * l2 * jnp.sum(w**2)


def ridge(w, l2, data):
    x, targets = data
    return 0.5 * jnp.mean((x @ w - targets) ** 2) + 0.5 * l2 * jnp.sum(w**2)


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def scipys(fun, x0, bounds, *args):
    value_and_grad = jax.jit(jax.value_and_grad(fun))

    def both(x):
        value, gradient = value_and_grad(jnp.asarray(x), *args)
        return float(value), np.asarray(gradient)

    limits = None if bounds is None else scipy.optimize.Bounds(*map(np.asarray, bounds))  # pyright: ignore[reportArgumentType]
    return scipy.optimize.minimize(both, x0, jac=True, method="L-BFGS-B", bounds=limits, options={"ftol": 0}).x


def test_rosenbrock_without_and_within_bounds_equals_scipy():
    with jax.enable_x64(True):
        x0 = jnp.zeros(2)
        for bounds in (None, (jnp.full(2, -2.0), jnp.array([0.8, 2.0])), (jnp.full(2, 1.2), jnp.full(2, 2.0))):
            params, state = LBFGSB(rosenbrock, maxiter=200, atol=1e-8).run(x0, bounds)
            np.testing.assert_allclose(params, scipys(rosenbrock, x0, bounds), atol=1e-4)
            assert state.status == CONVERGED
            np.testing.assert_allclose(state.value, rosenbrock(params))


@pytest.mark.parametrize("upper", [None, 0.1])
def test_binary_logistic_regression_is_scipys(upper):
    with jax.enable_x64(True):
        data = (jnp.asarray(X, jnp.float64), jnp.asarray(LABELS, jnp.float64))
        bounds = None if upper is None else (jnp.full(5, -upper), jnp.full(5, upper))
        solver = LBFGSB(logistic, maxiter=100, atol=1e-7)
        w, _ = solver.run(jnp.zeros(5), bounds, 0.01, data)
        assert solver.l2_optimality_error(w, bounds, 0.01, data) < 1e-6
        np.testing.assert_allclose(w, scipys(logistic, jnp.zeros(5), bounds, 0.01, data), atol=1e-5)
        by_name, _ = solver.run(jnp.zeros(5), bounds=bounds, l2=0.01, data=data)
        np.testing.assert_allclose(by_name, w, atol=1e-12)


def test_ridge_regression_is_solved_and_differentiated():
    """The derivative of the closed solution with respect to the penalty."""
    data = (X, TARGETS)

    def closed(l2):
        return jnp.linalg.solve(X.T @ X / len(X) + l2 * jnp.eye(5), X.T @ TARGETS / len(X))

    def solution(l2):
        return LBFGSB(ridge, maxiter=100, tol=1e-6).run(jnp.zeros(5), None, l2, data).params

    np.testing.assert_allclose(solution(0.1), closed(0.1), atol=1e-4)
    np.testing.assert_allclose(jax.jacrev(solution)(0.1), jax.jacfwd(closed)(0.1), atol=1e-3)


def test_implicit_derivatives_are_those_of_finite_differences_on_free_and_bound_variables():
    with jax.enable_x64(True):
        data = (jnp.asarray(X, jnp.float64), jnp.asarray(TARGETS, jnp.float64))

        def solution(l2, upper):
            solver = LBFGSB(ridge, maxiter=300, atol=1e-12)
            return solver.run(jnp.zeros(5), (-upper, upper), l2, data).params

        upper = jnp.array([0.5, 1.0, 3.0, 1.5, 3.0])
        w = solution(0.1, upper)
        active = np.abs(w) >= upper
        assert 0 < active.sum() < 5
        by_l2, by_upper = jax.jacrev(solution, (0, 1))(0.1, upper)
        h = 1e-5
        np.testing.assert_allclose(by_l2, (solution(0.1 + h, upper) - solution(0.1 - h, upper)) / (2 * h), atol=1e-5)
        np.testing.assert_array_equal(by_l2[active], 0)
        h = 1e-3  # the solution is linear in the bounds, and known to 1e-9 only
        for k in range(5):
            step = h * jnp.eye(5)[k]
            difference = (solution(0.1, upper + step) - solution(0.1, upper - step)) / (2 * h)
            np.testing.assert_allclose(by_upper[:, k], difference, atol=1e-5)


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e12])
def test_the_jacobian_of_optimality_is_minus_hessian_on_the_free_and_minus_identity_on_the_bound(factor):
    solver = LBFGSB(lambda x, s: s * quadratic(x))
    box = tuple(jnp.asarray(side, jnp.float32) for side in BOX)
    minimum, s = jnp.asarray(MINIMUM, jnp.float32), jnp.float32(factor)
    jacobian = jax.jacrev(solver.optimality_fun)(minimum, box, s)
    active = (CENTRE < 0) | (CENTRE > 1)
    np.testing.assert_allclose(jacobian, -np.diag(np.where(active, 1, factor * CURVATURE)), rtol=1e-5)


@jax.custom_vjp
def square(x):
    return x**2


square.defvjp(lambda x: (x**2, x), lambda x, ct: (2 * x * ct,))


def test_functions_whose_rules_forbid_forward_mode_are_differentiated():
    """Reverse over reverse only, as of the network's convolutions."""

    def fun(x, weight):
        return jnp.sum(square(square(x - 0.25)) + weight * square(x - 0.75))

    with jax.enable_x64(True):
        x0 = jnp.full(3, 0.5)

        def solution(weight):
            return LBFGSB(fun, maxiter=200, atol=1e-10).run(x0, (jnp.zeros(3), jnp.ones(3)), weight).params

        by_weight = jax.jit(jax.jacrev(solution))(0.3)
        difference = (solution(0.3 + 1e-5) - solution(0.3 - 1e-5)) / 2e-5
        np.testing.assert_allclose(by_weight, difference, rtol=1e-4)


def test_another_linear_solver_is_taken():
    from jaxopt import linear_solve

    solve = partial(linear_solve.solve_normal_cg, ridge=0.0)
    solver = LBFGSB(ridge, maxiter=100, tol=1e-6, implicit_diff_solve=solve)
    assert solver.implicit_diff_solve is solve
    gradient = jax.grad(lambda l2: jnp.sum(solver.run(jnp.zeros(5), None, l2, (X, TARGETS)).params))(0.1)
    default = LBFGSB(ridge, maxiter=100, tol=1e-6)
    expected = jax.grad(lambda l2: jnp.sum(default.run(jnp.zeros(5), None, l2, (X, TARGETS)).params))(0.1)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3)


def test_without_implicit_diff_the_result_cannot_be_differentiated_and_unrolling_is_refused():
    solver = LBFGSB(ridge, implicit_diff=False, maxiter=3)
    with pytest.raises(ValueError, match="Reverse-mode differentiation"):
        jax.grad(lambda l2: jnp.sum(solver.run(jnp.zeros(5), None, l2, (X, TARGETS)).params))(0.1)
    with pytest.raises(InputError, match="unroll must be 'auto' or False"):
        LBFGSB(quadratic, unroll=True)
    with pytest.raises(InputError, match="history_size"):
        LBFGSB(quadratic, history_size=0)


@pytest.mark.parametrize("implicit_diff", [True, False])
def test_the_lowered_run_holds_one_copy_of_the_objective(implicit_diff):
    def fun(x):
        return jnp.sum(jnp.exp(x - 0.3) + jnp.exp(0.3 - x))

    once = jax.jit(jax.value_and_grad(fun)).lower(start()).as_text().count("stablehlo.exponential")
    solver = LBFGSB(fun, maxiter=7, implicit_diff=implicit_diff)
    text = jax.jit(lambda x: solver.run(x, (jnp.zeros(N), jnp.ones(N))).params).lower(start()).as_text()
    assert once > 0
    assert text.count("stablehlo.exponential") == once


def test_verbose_prints_a_line_an_iteration(capfd):
    _, state = LBFGSB(quadratic, maxiter=3, verbose=True).run(start(), BOX)
    jax.effects_barrier()
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("INFO: jaxopt.LBFGSB: Iter:")]
    assert len(lines) == int(state.iter_num) + 1 == 4


@pytest.mark.thorough
def test_update_by_update_is_run_and_aux_and_value_and_grad_are_taken():
    curvature = jnp.asarray(CURVATURE, jnp.float32)

    def both(x, centre):
        difference = x - centre
        return (0.5 * jnp.sum(curvature * difference**2), {"mean": x.mean()}), curvature * difference

    centre = jnp.asarray(CENTRE, jnp.float32)
    solver = LBFGSB(both, value_and_grad=True, has_aux=True, maxiter=8)
    params, state = start(), solver.init_state(start(), BOX, centre)
    assert (state.iter_num, state.num_fun_eval) == (0, 1)
    np.testing.assert_allclose(state.grad, curvature * (START - centre), rtol=1e-4)
    for _ in range(8):
        params, state = solver.update(params, state, BOX, centre)
    end = solver.run(start(), BOX, centre)
    np.testing.assert_allclose(end.params, params, atol=1e-6)
    np.testing.assert_allclose(end.state.aux["mean"], jnp.mean(end.params), rtol=1e-5)
    assert end.state.iter_num == state.iter_num == 8
    assert end.state.error < 0.1 * solver.init_state(start(), BOX, centre).error
    separately = LBFGSB(quadratic, value_and_grad=jax.value_and_grad(quadratic), maxiter=8).run(start(), BOX)
    np.testing.assert_allclose(separately.params, params, atol=1e-4)


@pytest.mark.thorough
def test_parameters_are_any_pytree_and_a_start_may_be_an_earlier_end():
    tree = {"a": jnp.full((3, 4), 0.5), "b": jnp.full(2, 0.5)}

    def fun(tree, target):
        return jnp.sum((tree["a"] - target) ** 2) + jnp.sum((tree["b"] + 1) ** 2)

    bounds = ({"a": 0.0, "b": jnp.zeros(2)}, {"a": 1.0, "b": jnp.ones(2)})
    solver = LBFGSB(fun, maxiter=30, tol=1e-5)
    end = solver.run(tree, bounds, jnp.float32(0.25))
    np.testing.assert_allclose(end.params["a"], 0.25, atol=1e-4)
    np.testing.assert_array_equal(end.params["b"], 0)
    assert end.state.status == CONVERGED
    again = solver.run(end, bounds, jnp.float32(0.25))
    np.testing.assert_allclose(again.params["a"], 0.25, atol=1e-4)
    image = LBFGSB(lambda x: jnp.sum((x - 0.4) ** 2), maxiter=5, preconditioner=Spectral(), jit=False)
    np.testing.assert_allclose(image.run(jnp.zeros((1, 4, 4, 3))).params, 0.4, atol=1e-3)


def test_vmap_over_problems():
    solver = LBFGSB(lambda x, c: jnp.sum((x - c) ** 2), maxiter=10)
    x = jax.vmap(lambda c: solver.run(jnp.zeros(4), (jnp.zeros(4), jnp.ones(4)), c).params)(jnp.array([0.3, 2.0]))
    np.testing.assert_allclose(x, np.repeat([[0.3], [1.0]], 4, 1), atol=1e-4)


def test_imports_under_python_w_error():
    subprocess.run([sys.executable, "-W", "error", "-c", "import jnst.optim.jaxopt_api"], check=True)
