import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jnst import solver

SHAPE = (1, 6, 5, 3)
RNG = np.random.default_rng(0)
CURVATURE = jnp.asarray(RNG.uniform(0.5, 20, SHAPE), jnp.float32)
CENTRE = jnp.asarray(RNG.uniform(-0.5, 1.5, SHAPE), jnp.float32)  # about half of it outside the box
START = jnp.full(SHAPE, 0.5)


def quadratic(x, scale=1.0):
    """Minimum in the box: the centre, clipped."""
    value = 0.5 * scale * jnp.sum(CURVATURE * (x - CENTRE) ** 2)
    return (value, {"square": jnp.sum(x**2)}), scale * CURVATURE * (x - CENTRE)


def valley(x):
    """Rosenbrock's, over neighbours in the flattened image; ill-conditioned and not convex."""

    def value(x):
        flat = 2 * x.ravel() - 0.5
        return jnp.sum(100 * (flat[1:] - flat[:-1] ** 2) ** 2 + (1 - flat[:-1]) ** 2)

    found, gradient = jax.value_and_grad(value)(x)
    return (found, None), gradient


def run(program, x, args, steps):
    state = jax.jit(program.init)(x, args)
    step = jax.jit(program.step)
    xs, states = [x], [state]
    for _ in range(steps):
        x, state = step(x, state, args)
        xs.append(x)
        states.append(state)
    return xs, states


lbfgsb = partial(solver.lbfgsb, history_size=10)
adam = partial(solver.adam, learning_rate=0.05)


@pytest.mark.parametrize(("make", "steps", "accuracy"), [(lbfgsb, 40, 1e-3), (adam, 200, 1e-2)])
def test_finds_the_minimum_in_the_box_and_never_leaves_it(make, steps, accuracy):
    xs, states = run(make(quadratic), START, (), steps)
    np.testing.assert_allclose(xs[-1], jnp.clip(CENTRE, 0, 1), atol=accuracy)
    for x in xs:
        assert x.min() >= 0
        assert x.max() <= 1
    assert states[-1].projected_gradient < 0.05 * states[0].projected_gradient


@pytest.mark.parametrize("make", [lbfgsb, adam])
def test_state_tells_value_aux_and_evaluations_of_its_x(make):
    xs, states = run(make(quadratic), START, (), 5)
    for k, (x, state) in enumerate(zip(xs, states, strict=True)):
        (value, aux), _ = quadratic(x)
        np.testing.assert_allclose(state.value, value, rtol=1e-5)
        np.testing.assert_allclose(state.aux["square"], aux["square"], rtol=1e-5)
        assert state.evaluations >= k + 1


def test_lbfgsb_decreases_and_takes_about_one_evaluation_an_iteration():
    _, states = run(lbfgsb(quadratic), START, (), 20)
    values = [float(state.value) for state in states]
    assert all(b <= a * (1 + 1e-6) for a, b in itertools.pairwise(values))
    assert states[-1].evaluations <= 30


def test_lbfgsb_does_not_depend_on_the_unit_of_the_objective():
    images = [run(lbfgsb(quadratic), START, (jnp.float32(scale),), 6)[0][-1] for scale in (1e-6, 1.0, 1e6, 1e12)]
    for image in images[1:]:
        np.testing.assert_allclose(image, images[0], atol=2e-3)


def test_lbfgsb_comes_near_scipy_in_a_curved_valley():
    def fun(flat):
        (value, _), gradient = valley(jnp.asarray(flat, jnp.float32).reshape(SHAPE))
        return float(value), np.asarray(gradient, np.float64).ravel()

    start = jnp.asarray(RNG.uniform(0.2, 0.8, SHAPE), jnp.float32)
    theirs = scipy.optimize.minimize(
        fun, np.asarray(start).ravel(), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * start.size,
        options={"maxcor": 10, "maxfun": 60},
    )  # fmt: skip
    _, states = run(lbfgsb(valley), start, (), 60)
    assert min(float(s.value) for s in states if s.evaluations <= theirs.nfev) < 1.5 * theirs.fun


def test_the_subspace_step_is_the_dense_one_projected():
    """Byrd, Lu, Nocedal, Zhu 1995, section 5, with B = theta I - W M W^T written out; then Morales and Nocedal 2011."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(3)
        n, m, theta = 12, 3, 2.5
        s, y = rng.normal(size=(m, n)), np.zeros((m, n))
        y = s @ np.diag(rng.uniform(1, 4, n))
        w = np.concatenate([y, theta * s]).T
        lower_tril = np.tril(s @ y.T, -1)
        middle = np.linalg.inv(
            np.block([[-np.diag(np.diag(s @ y.T)), lower_tril.T], [lower_tril, theta * s @ s.T]])
        )  # eq. 3.4
        hessian = theta * np.eye(n) - w @ middle @ w.T  # eq. 3.2

        x, gradient = rng.uniform(0.1, 0.9, n), rng.normal(size=n)
        free = rng.random(n) < 0.7
        cauchy = np.where(free, np.clip(x - 0.05 * gradient, 0, 1), np.where(gradient > 0, 0.0, 1.0))
        c = w.T @ (cauchy - x)
        lower, upper = jnp.zeros(n), jnp.ones(n)
        ours = jax.jit(solver._minimize_subspace)(x, gradient, lower, upper, cauchy, c, theta, w, middle, free)

        reduced = (gradient + hessian @ (cauchy - x))[free]  # eq. 5.4
        step = np.zeros(n)
        step[free] = -np.linalg.solve(hessian[np.ix_(free, free)], reduced)  # eq. 5.7
        projected = np.where(free, np.clip(cauchy + step, 0, 1), cauchy)
        assert (projected - x) @ gradient < 0
        np.testing.assert_allclose(ours, projected, atol=1e-10)


def test_adam_is_kingma_and_bas_algorithm_1_projected():
    x, m, v = np.asarray(START, np.float64), np.zeros(SHAPE), np.zeros(SHAPE)
    for t in range(1, 6):
        gradient = np.asarray(CURVATURE * (x - CENTRE), np.float64)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = 0.05 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        x = np.clip(x - step, 0, 1)
    xs, _ = run(adam(quadratic), START, (), 5)
    np.testing.assert_allclose(xs[-1], x, atol=1e-5)


def test_make_knows_both_names():
    for name in ("lbfgsb", "adam"):
        program = solver.make(quadratic, name, history_size=3, learning_rate=0.1)
        _, state = jax.jit(program.step)(START, jax.jit(program.init)(START, ()), ())
        assert state.value < quadratic(START)[0][0]
