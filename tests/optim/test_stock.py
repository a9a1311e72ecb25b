import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optim.problems import MINIMUM, START, box, evaluation, quadratic, start

from jnst.optim.base import CONVERGED, RUNNING
from jnst.optim.stock import Stock


def run(fun, x, steps):
    solver = Stock(history_size=10)
    state = solver.init(x, {"sum": jax.ShapeDtypeStruct((), x.dtype)})
    step = jax.jit(lambda x, state: solver.step(lambda p: evaluation(fun, p), x, state, box(x)))
    xs, states = [], [state]
    for _ in range(steps):
        x, state = step(x, state)
        xs.append(x)
        states.append(state)
    return xs, states


@pytest.mark.thorough
def test_finds_the_minimum_in_the_box_and_stays_there_when_done():
    xs, (blank, first, *_, last) = run(quadratic, start(), 60)
    assert (blank.iterations, blank.evaluations, blank.value) == (-1, 0, np.inf)
    np.testing.assert_array_equal(xs[0], START)
    assert (first.iterations, first.evaluations, bool(first.moved)) == (0, 1, True)
    np.testing.assert_allclose(xs[-1], MINIMUM, atol=1e-2)
    np.testing.assert_allclose(last.value, quadratic(xs[-1]), rtol=1e-5)
    np.testing.assert_allclose(last.aux["sum"], jnp.sum(xs[-1]), rtol=1e-5)
    assert last.evaluations > last.iterations
    assert all(x.min() >= 0 and x.max() <= 1 for x in xs)

    _, states = run(lambda x: jnp.sum((x - 0.5) ** 2), start(), 2)
    assert [int(state.status) for state in states] == [RUNNING, CONVERGED, CONVERGED]
    assert [bool(state.moved) for state in states] == [False, True, False]
    assert states[-1].evaluations == 1


def test_imports_under_python_w_error():
    subprocess.run([sys.executable, "-W", "error", "-c", "import jnst.optim.stock"], check=True)
