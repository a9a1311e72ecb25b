"""Loss against evaluations for jnst's solvers and for jaxopt.LBFGSB as it comes, on one problem, as a table.

python scripts/bench_solver.py examples/cat.png examples/swirls.jpg --image-size 128
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jaxopt

from jnst import image, objective, report, solver, transfer, weights
from jnst.config import Config

MARKS = (15, 30, 60, 100, 150)


def stock(search: str, *, scaled: bool) -> Callable[[solver.Objective], solver.Solver]:
    """jaxopt.LBFGSB with one of its own line searches; `scaled`: our scaling of the objective to the first step."""

    def make(fun: solver.Objective) -> solver.Solver:
        def multiplied(x: Any, scale: Any, *args: Any) -> Any:
            (value, aux), gradient = fun(x, *args)
            return (scale * value, (value, aux)), scale * gradient

        program = jaxopt.LBFGSB(
            multiplied, value_and_grad=True, has_aux=True, implicit_diff=False, history_size=10, linesearch=search
        )

        def view(state: Any, scale: Any) -> solver.SolverState:
            value, aux = state.aux
            return solver.SolverState(value, aux, state.num_fun_eval, state.error, jnp.zeros((), bool), (state, scale))

        def init(x: Any, args: tuple) -> solver.SolverState:
            _, gradient = fun(x, *args)
            scale = solver.FIRST_STEP / jnp.mean(jnp.abs(gradient)) if scaled else jnp.ones(())
            return view(program.init_state(x, (jnp.zeros_like(x), jnp.ones_like(x)), scale, *args), scale)

        def step(x: Any, state: solver.SolverState, args: tuple) -> tuple[Any, solver.SolverState]:
            inner, scale = state.inner
            x, inner = program.update(x, inner, (jnp.zeros_like(x), jnp.ones_like(x)), scale, *args)
            return x, view(inner, scale)

        return solver.Solver(init, step)

    return make


CANDIDATES: dict[str, Callable[[solver.Objective], solver.Solver]] = {
    "lbfgsb": lambda fun: solver.lbfgsb(fun, history_size=10),
    "adam 0.02": lambda fun: solver.adam(fun, learning_rate=0.02),
    "adam 0.05": lambda fun: solver.adam(fun, learning_rate=0.05),
    "jaxopt zoom": stock("zoom", scaled=False),
    "jaxopt zoom, scaled": stock("zoom", scaled=True),
    "jaxopt backtracking, scaled": stock("backtracking", scaled=True),
}


def curve(program: solver.Solver, x: Any, args: tuple) -> tuple[list[float], int, float]:
    """Best loss at each mark of evaluations, iterations, seconds."""
    init, step = jax.jit(program.init), jax.jit(program.step)
    state = jax.block_until_ready(init(x, args))
    jax.block_until_ready(step(x, state, args))  # compiles
    began, best, at_marks, iterations = time.perf_counter(), float(state.value), [], 0
    while len(at_marks) < len(MARKS):
        x, state = step(x, state, args)
        iterations += 1
        while len(at_marks) < len(MARKS) and state.evaluations > MARKS[len(at_marks)]:
            at_marks.append(best)  # what was reached within the mark
        best = min(best, float(state.value))
    return at_marks, iterations, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--weights", help="a weight file (default: searched for)")
    options = parser.parse_args()

    content = image.load(options.content, image_size=options.image_size)
    style = image.load(options.style, image_size=max(content.shape[1:3]))
    found = weights.find(path=options.weights, notify=lambda message: print(message, file=sys.stderr))
    params, config = jax.device_put(found.params), Config()
    spec = transfer.spec_of(config)
    target = objective.targets(params, jnp.asarray(content), jnp.asarray(style), spec=spec)
    args = (params, target, transfer.loss_weights(config, target))

    def fun(x: Any, params: Any, target: Any, loss_weights: Any) -> Any:
        losses, gradient = objective.value_and_grad(params, x, target, loss_weights, spec=spec)
        return (losses.total[0], losses), gradient

    print(
        f"{options.content} x {options.style}, {content.shape[2]}x{content.shape[1]}, {found.architecture}, defaults;"
    )
    print(f"{platform.processor() or platform.machine()}, {jax.devices()[0].device_kind}, {report.versions()}\n")
    print("| solver | " + " | ".join(f"loss at {mark}" for mark in MARKS) + " | iterations | s |")
    print("| --- |" + " --- |" * (len(MARKS) + 2))
    for name, make in CANDIDATES.items():
        values, iterations, seconds = curve(make(fun), jnp.asarray(content), args)
        print(
            f"| {name} | " + " | ".join(f"{v:.4f}" for v in values) + f" | {iterations} | {seconds:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
