"""Counts evaluations on CUTEst's bounded problems (package `sif2jax`): jnst's L-BFGS against SciPy's L-BFGS-B.

python -m benchmarks.cutest --output cutest.json
python -m benchmarks.cutest --problems HS45 TORSION1 --max-seconds 60

Both in float64, with 10 pairs, from the same start, until the largest component of the projected gradient is 1e-5
(the only stop both know; SciPy's `ftol` is 0) or `--max-evaluations`. A solver has reached the better of the two values
where it is within 1e-6 max(1, |value|) of it. The table has the evaluations until then, and jnst's over SciPy's.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
import scipy.optimize
import sif2jax  # pyright: ignore[reportMissingImports] (extra: bench)
from jax.flatten_util import ravel_pytree

from jnst.optim.base import RUNNING, STOP_REASONS
from jnst.optim.lbfgsb import LBFGSB

TOLERANCE = 1e-5
ACCURACY = 1e-6
HISTORY_SIZE = 10
CHUNK = 50  # evaluations in one call of the compiled program


class Problem(NamedTuple):
    """A bounded problem over a vector."""

    name: str
    value_and_grad: Callable
    x0: jax.Array
    lower: jax.Array
    upper: jax.Array


class Curve(NamedTuple):
    """The lowest value seen after each evaluation, and why the run ended."""

    values: list[float]
    stop: str
    seconds: float


class OutOfTimeError(Exception):
    """Ends SciPy's run."""


def load(problem: Any) -> Problem:
    """Turns a problem of sif2jax into one over a vector, with its start inside its bounds."""
    x0, unravel = ravel_pytree(jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), problem.y0))

    def flat(side: Any) -> jax.Array:
        full = jax.tree.map(lambda a, bound: jnp.broadcast_to(bound, jnp.shape(a)), problem.y0, side)
        return ravel_pytree(full)[0].astype(jnp.float64)

    lower, upper = map(flat, problem.bounds)
    fun = jax.value_and_grad(lambda x: problem.objective(unravel(x), problem.args))
    return Problem(problem.name, fun, jnp.clip(x0, lower, upper), lower, upper)


def jnsts(problem: Problem, *, max_evaluations: int, max_seconds: float, solver: LBFGSB | None = None) -> Curve:
    """Runs jnst's solver."""
    solver = solver or LBFGSB(history_size=HISTORY_SIZE, atol=TOLERANCE)
    bounds = problem.lower, problem.upper

    @jax.jit
    def advance(x: jax.Array, state: Any) -> tuple[jax.Array, Any, jax.Array]:
        def step(carry: tuple[jax.Array, Any], _: None) -> tuple[tuple[jax.Array, Any], jax.Array]:
            x, state = carry
            value, gradient = problem.value_and_grad(solver.point(x, state, bounds))
            return solver.update(x, state, bounds, value, gradient, None), value

        (x, state), values = jax.lax.scan(step, (x, state), None, CHUNK)
        return x, state, values

    x, state = problem.x0, solver.init(problem.x0, None)
    compiled = advance.lower(x, state).compile()
    values: list[float] = []
    begin = time.perf_counter()
    while state.status == RUNNING and len(values) < max_evaluations and time.perf_counter() - begin < max_seconds:
        x, state, chunk = compiled(x, state)
        values += chunk.tolist()
    seconds = time.perf_counter() - begin
    stop = "out of time" if state.status == RUNNING and seconds >= max_seconds else STOP_REASONS[int(state.status)]
    return Curve(lowest(values[: int(state.evaluations)]), stop, seconds)


def scipys(problem: Problem, *, max_evaluations: int, max_seconds: float) -> Curve:
    """Runs SciPy's L-BFGS-B."""
    function = jax.jit(problem.value_and_grad).lower(problem.x0).compile()
    values: list[float] = []
    begin = time.perf_counter()

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        if time.perf_counter() - begin > max_seconds:
            raise OutOfTimeError
        value, gradient = function(jnp.asarray(x))
        values.append(float(value))
        return float(value), np.asarray(gradient)

    bounds = scipy.optimize.Bounds(np.asarray(problem.lower), np.asarray(problem.upper))  # pyright: ignore
    options = {
        "maxcor": HISTORY_SIZE, "ftol": 0, "gtol": TOLERANCE, "maxiter": max_evaluations, "maxfun": max_evaluations
    }  # fmt: skip
    try:
        outcome = scipy.optimize.minimize(
            fun, np.asarray(problem.x0), jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
        stop = str(outcome.message)
    except OutOfTimeError:
        stop = "out of time"
    return Curve(lowest(values), stop, time.perf_counter() - begin)


def lowest(values: list[float]) -> list[float]:
    """The lowest finite value after each evaluation."""
    finite = np.where(np.isfinite(values), values, np.inf)
    return np.minimum.accumulate(finite).tolist() if values else []


def until(values: list[float], goal: float) -> int | None:
    """Evaluations until the goal is reached; None where it is not."""
    return next((k + 1 for k, value in enumerate(values) if value <= goal), None)


def compare(ours: Curve, theirs: Curve) -> dict[str, Any]:
    """One row of the table."""
    best = min(ours.values[-1], theirs.values[-1])
    goal = best + ACCURACY * max(1.0, abs(best))
    counts = until(ours.values, goal), until(theirs.values, goal)
    ratio = counts[0] / counts[1] if counts[0] and counts[1] else None
    return {
        "value": ours.values[-1], "value_scipy": theirs.values[-1], "evaluations": counts[0],
        "evaluations_scipy": counts[1], "ratio": ratio, "all": len(ours.values), "all_scipy": len(theirs.values),
        "stop": ours.stop, "stop_scipy": theirs.stop, "seconds": ours.seconds, "seconds_scipy": theirs.seconds,
    }  # fmt: skip


def row(name: str, size: int, result: dict[str, Any]) -> str:
    """One line of the table."""
    ratio = f"{result['ratio']:.2f}" if result["ratio"] else "-"
    return (
        f"{name:12} {size:7} {result['value']:16.9g} {result['value_scipy']:16.9g} {result['evaluations'] or '-':>7}"
        f" {result['evaluations_scipy'] or '-':>7} {ratio:>6}  {result['stop'][:12]:12} {result['stop_scipy'][:40]}"
    )


def summary(results: dict[str, dict[str, Any]]) -> str:
    """Median and worst ratio, and how often each reaches the better value."""
    ratios = {name: result["ratio"] for name, result in results.items() if result["ratio"]}
    if not ratios:
        return "no problem on which both reach the better value"
    worst = sorted(ratios, key=ratios.__getitem__, reverse=True)[:8]
    return "\n".join([
        f"reached the better value: jnst {sum(bool(r['evaluations']) for r in results.values())},"
        f" SciPy {sum(bool(r['evaluations_scipy']) for r in results.values())} of {len(results)}",
        f"evaluations, jnst over SciPy, {len(ratios)} problems: median {statistics.median(ratios.values()):.2f},"
        f" geometric mean {statistics.geometric_mean(ratios.values()):.2f}, worst {max(ratios.values()):.2f}"
        f" ({', '.join(f'{name} {ratios[name]:.2f}' for name in worst)})",
    ])  # fmt: skip


def main() -> None:
    """Runs the problems that are asked for and prints the table."""
    jax.config.update("jax_enable_x64", True)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="*", help="names; without, all bounded problems")
    parser.add_argument("--max-seconds", type=float, default=60, help="of one solver on one problem; compiling beside")
    parser.add_argument("--max-evaluations", type=int, default=10000)
    parser.add_argument("--max-variables", type=int, default=20000, help="larger problems are skipped, and named")
    parser.add_argument("--output", type=Path, help="all rows as JSON")
    options = parser.parse_args()
    limits = {"max_evaluations": options.max_evaluations, "max_seconds": options.max_seconds}
    versions = f"jax {jax.__version__}, SciPy {scipy.__version__}, {platform.machine()}"
    print(versions)
    print(f"{'problem':12} {'n':>7} {'jnst':>16} {'SciPy':>16} {'evals':>7} {'SciPy':>7} {'ratio':>6}  stops")
    results: dict[str, dict[str, Any]] = {}
    skipped: list[str] = []
    for entry in sorted(sif2jax.bounded_minimisation_problems, key=lambda p: p.name):
        if options.problems and entry.name not in options.problems:
            continue
        size = int(entry.num_variables())
        if size > options.max_variables:
            skipped.append(f"{entry.name} ({size} variables)")
            continue
        problem = load(entry)
        ours, theirs = jnsts(problem, **limits), scipys(problem, **limits)
        if not ours.values or not theirs.values or "out of time" in (ours.stop, theirs.stop):
            skipped.append(f"{entry.name} (out of time)")
            continue
        results[entry.name] = compare(ours, theirs)
        print(row(entry.name, size, results[entry.name]), flush=True)
        jax.clear_caches()
    print(summary(results))
    if skipped:
        print(f"skipped: {', '.join(skipped)}")
    if options.output:
        options.output.write_text(json.dumps({"versions": versions, "skipped": skipped, "results": results}, indent=1))


if __name__ == "__main__":
    main()
