"""The engine on toy objectives over the pixels alone, which need no network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst import engine
from jnst.engine import MAX_TICKS, Problem, Program
from jnst.losses import objective as objectives
from jnst.losses.objective import Objective
from jnst.losses.terms import custom
from jnst.optim.base import STOP_REASONS
from jnst.optim.first_order import adam
from jnst.optim.lbfgsb import LBFGSB
from jnst.optim.stock import Stock

SIDE = 4
START = jnp.linspace(0.1, 0.9, SIDE * SIDE * 3).reshape(1, SIDE, SIDE, 3)
FAR = 2**31 - 1


def pixels(maps, weights):
    return maps[0]


def wavy(x, target):
    return jnp.sum((x - 0.3) ** 2 + 0.1 * jnp.sin(20 * x), (1, 2, 3))


def bowl(x, target):
    return jnp.sum((x - 0.3) ** 2, (1, 2, 3))


def cliff(x, target):
    """Not a number beyond 0.92, and downhill that way."""
    return jnp.where(jnp.max(x, (1, 2, 3)) > 0.92, jnp.nan, -jnp.sum(x, (1, 2, 3)))


@jax.custom_jvp
def liar(x, target):
    """0 at the start, above it everywhere else, and a gradient that tells of a way down."""
    return jnp.sum(jnp.abs(x - START), (1, 2, 3))


@liar.defjvp
def _(primals, tangents):
    return liar(*primals), -jnp.sum(tangents[0], (1, 2, 3))


def program(compare, solver):
    return Program(
        (SIDE, SIDE), False, Objective((custom("toy", ("pixels",), pixels, compare=compare, target=None),)), solver
    )


def problem(of, limit, count=1):
    weights = jax.tree.map(lambda w: jnp.full(count, w, jnp.float32), objectives.default_weights(of.objective))
    return Problem(objectives.join_targets({}), weights, jnp.full((count, 2), SIDE), jnp.full(count, limit))


def advance(of, chunks, *, limit=FAR, start=START):
    """The run after chunks of so many ticks, and the losses of iteration 0 and on."""
    run, rows = engine.start(of, start), []
    assert int(run.state.iterations[0]) == -1
    for ticks in chunks:
        run, records = engine.run_chunk(of, None, {}, problem(of, limit), run, jnp.int32(ticks), jnp.int32(FAR))
        rows += [float(v) for v in records.losses.total[0, : int(records.rows[0])]]
    return run, rows


WAVY = program(wavy, LBFGSB(history_size=4))
ADAM = program(wavy, adam(0.05))


@pytest.mark.parametrize("solver", [LBFGSB(), adam(0.1), Stock()], ids=["lbfgsb", "adam", "jaxopt"])
def test_a_program_is_traced_once(solver):
    """A start and what comes back from a chunk have the same types, weak ones included."""
    traced = []

    def compare(x, target):
        traced.append(x)
        return bowl(x, target)

    of = program(compare, solver)
    advance(of, [1])
    once = len(traced)
    advance(of, [1, 2, 3])
    assert len(traced) == once > 0


@pytest.mark.parametrize("of", [WAVY, ADAM], ids=["lbfgsb", "adam"])
def test_chunks_change_nothing(of):
    whole, rows = advance(of, [13])
    parts, part_rows = advance(of, [1, 0, 5, 7])
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    assert rows == part_rows
    assert int(whole.state.evaluations[0]) == 13


def test_the_best_iterate_is_kept():
    run, rows = advance(program(wavy, adam(0.5)), [21])  # jumps about
    assert rows[-1] > min(rows), "choose a wilder step: the last iterate should not be the best"
    np.testing.assert_allclose(run.best[0], min(rows), rtol=1e-6)
    np.testing.assert_allclose(wavy(run.best_x, None)[0], min(rows), rtol=1e-5)


def test_a_run_stops_at_its_limit_and_at_the_pause():
    run, rows = advance(WAVY, [30], limit=5)
    assert int(run.state.iterations[0]) == 5
    assert len(rows) == 6
    run = engine.start(WAVY, START)
    run, records = engine.run_chunk(WAVY, None, {}, problem(WAVY, 5), run, jnp.int32(30), jnp.int32(3))
    assert int(run.state.iterations[0]) == 3
    assert int(records.rows[0]) == 4


def test_a_start_at_the_optimum_has_converged():
    run, rows = advance(program(bowl, LBFGSB(history_size=3)), [5], start=jnp.full_like(START, 0.3))
    assert STOP_REASONS[int(run.state.status[0])] == "converged"
    assert rows == [0]


def test_infinity_stops_the_run_and_the_best_iterate_stays_finite():
    run, rows = advance(program(cliff, adam(0.01)), [30])
    assert STOP_REASONS[int(run.state.status[0])] == "not_finite"
    assert np.isnan(rows[-1])
    assert len(rows) < 30
    assert np.isfinite(run.best[0])
    assert np.isfinite(run.best_x).all()


def test_a_search_that_finds_nothing_lower_ends_the_run():
    """The gradient points the wrong way: no step of the line search descends."""
    run, _ = advance(program(liar, LBFGSB(history_size=3)), [40])
    assert STOP_REASONS[int(run.state.status[0])] == "line_search"
    np.testing.assert_array_equal(run.best_x, START)


def test_records_have_one_row_an_iteration():
    run = engine.start(ADAM, START)
    run, records = engine.run_chunk(ADAM, None, {}, problem(ADAM, FAR), run, jnp.int32(3), jnp.int32(FAR))
    assert records.losses.total.shape == (1, MAX_TICKS)
    np.testing.assert_array_equal(records.evaluations[0, :4], [1, 2, 3, 0])
    np.testing.assert_allclose(records.losses.terms["toy"][0, 2], wavy(run.x, None)[0], rtol=1e-6)


@pytest.mark.parametrize("of", [WAVY, ADAM], ids=["lbfgsb", "adam"])
def test_neighbours_change_nothing(of):
    """Three runs side by side, with limits of their own and an empty place, are what each is alone."""
    starts, limits = [START, START[:, ::-1], 1 - START], [9, 4, 12]  # before rounding tells them apart
    one = problem(of, 0), engine.start(of, START)
    places, runs = engine.empty(one, 4)
    places = places._replace(limit=places.limit - 1)
    for k, (start, limit) in enumerate(zip(starts, limits, strict=True)):
        places, runs = engine.fill((places, runs), jnp.int32(k), (problem(of, limit), engine.start(of, start)))
    runs, _ = engine.run_chunk(of, None, {}, places, runs, jnp.int32(40), jnp.int32(FAR))
    assert int(runs.state.evaluations[3]) == 0
    for k, (start, limit) in enumerate(zip(starts, limits, strict=True)):
        alone, _ = advance(of, [40], limit=limit, start=start)
        assert int(runs.state.iterations[k]) == int(alone.state.iterations[0]) <= limit
        np.testing.assert_allclose(runs.best[k], alone.best[0], rtol=1e-5)
        np.testing.assert_allclose(runs.best_x[k], alone.best_x[0], atol=1e-4)
