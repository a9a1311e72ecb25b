import jax
import jax.numpy as jnp
import numpy as np

from jnst import minimize
from jnst.optim import base as solver

START = jnp.linspace(0.1, 0.9, 48).reshape(1, 4, 4, 3)


def objective(x, centre):
    value = jnp.sum((x - centre) ** 2) + 0.1 * jnp.sum(jnp.sin(20 * x))
    return (value, {"mean": jnp.mean(x)}), 2 * (x - centre) + 2 * jnp.cos(20 * x)


LBFGSB = solver.lbfgsb(objective, history_size=4)
ADAM = solver.adam(objective, learning_rate=0.05)
ARGS = (jnp.float32(0.3),)


def run(program, chunks, args=ARGS, start=START):
    """The run after these chunks, and the values of iteration 0 and on."""
    state = minimize.start(program, start, args)
    assert int(state.iteration) == -1
    rows = []
    for count in chunks:
        before = int(state.iteration)
        state, records = minimize.advance(program, state, args, jnp.int32(count))
        rows += [float(v) for v in records.value[: int(state.iteration) - before]]
    return state, rows


def test_chunks_change_nothing():
    for program in (LBFGSB, ADAM):
        whole, rows = run(program, [13])
        parts, part_rows = run(program, [1, 0, 5, 7])
        jax.tree.map(np.testing.assert_array_equal, whole, parts)
        assert rows == part_rows
        assert int(whole.iteration) == 12


def test_the_best_iterate_is_kept():
    fast = solver.adam(objective, learning_rate=0.5)  # jumps about
    end, rows = run(fast, [21])
    np.testing.assert_allclose(rows[0], objective(START, *ARGS)[0][0], rtol=1e-6)
    assert rows[-1] > min(rows), "choose a wilder step: the last iterate should not be the best"
    np.testing.assert_allclose(end.best.value, min(rows), rtol=1e-6)
    np.testing.assert_allclose(objective(end.best_x, *ARGS)[0][0], min(rows), rtol=1e-5)


def test_a_start_at_the_optimum_has_converged():
    flat = solver.lbfgsb(lambda x, c: ((jnp.sum((x - c) ** 2), None), 2 * (x - c)), history_size=3)
    end, rows = run(flat, [5], start=jnp.full((1, 4, 4, 3), 0.3))
    assert minimize.STOP_REASONS[int(end.state.stop)] == "converged"
    assert rows == [0]


def test_infinity_stops_the_run_and_the_best_iterate_stays_finite():
    """Beyond 0.6 the objective is not a number; Adam steps over the edge."""

    def edge(x, c):
        (value, aux), gradient = objective(x, c)
        return (jnp.where(jnp.max(x) > 0.92, jnp.nan, value), aux), -jnp.ones_like(gradient)

    end, rows = run(solver.adam(edge, learning_rate=0.01), [30])
    assert minimize.STOP_REASONS[int(end.state.stop)] == "not_finite"
    assert np.isnan(rows[-1])
    assert len(rows) < 30
    assert np.isfinite(end.best.value)
    assert np.isfinite(end.best_x).all()


def test_a_search_that_finds_nothing_lower_ends_the_run():
    """The gradient points the wrong way: no step of the line search descends."""
    uphill = solver.lbfgsb(lambda x, c: ((jnp.sum((x - c) ** 2), None), -2 * (x - c)), history_size=3)
    end, _ = run(uphill, [40])
    assert minimize.STOP_REASONS[int(end.state.stop)] == "line_search"
    np.testing.assert_array_equal(end.best_x, START)


def test_records_have_one_row_an_iteration():
    state = minimize.start(ADAM, START, ARGS)
    state, records = minimize.advance(ADAM, state, ARGS, jnp.int32(3))
    assert records.value.shape == (minimize.CHUNK,)
    np.testing.assert_array_equal(records.evaluations[:4], [1, 2, 3, 0])
    np.testing.assert_allclose(records.aux["mean"][2], jnp.mean(state.x), rtol=1e-6)
