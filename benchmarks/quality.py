"""Figures `quality` and `precision` of benchmarks.speed: what a number of seconds buys, in one process."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jnst
from benchmarks import problem as problems
from benchmarks.evaluation import HAS_TORCH, interleaved, torch_objectives
from benchmarks.problem import ONE_SIZE


def quality(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 3: PyTorch's LBFGS in its faster layout, then jnst until it has PyTorch's loss."""
    for size in options.quality_sizes if HAS_TORCH else ():
        yield from quality_at(options, size)


def quality_at(options: argparse.Namespace, size: int) -> Iterator[dict[str, Any]]:
    """The two rows of one size."""
    from benchmarks.baselines_torch import lbfgs

    weights = problems.load_params(options.weights)
    problem = problems.load_problem(options.images, weights.params, size)
    objectives = torch_objectives(problem, weights.params, compiled=options.torch_compile)
    rivals = {name: lambda o=o: o.value_and_grad(o.image(problem.content)) for name, o in objectives.items()}
    seconds = interleaved(rivals, 3)
    fastest = min(seconds, key=lambda name: seconds[name])
    pixels, rival_seconds = lbfgs(objectives[fastest], problem.content, options.evaluations)
    goal = problems.evaluate(problem, pixels).total
    config = replace(ONE_SIZE, iterations=options.evaluations)
    result = jnst.stylize(
        problem.content, problem.style, config, weights, callback=lambda progress: progress.best_loss <= goal
    )
    reached = next((row for row in result.history if row.loss <= goal), result.history[-1])
    first = {"size": problem.size, "contender": fastest, "loss": goal, "evaluations": options.evaluations}
    yield {**first, "seconds": rival_seconds, "with compiling": rival_seconds, "ratio": 1.0}
    iterating = reached.seconds - result.compile_seconds
    yield {
        "size": problem.size, "contender": "jnst", "loss": reached.loss, "evaluations": reached.evaluations,
        "seconds": iterating, "with compiling": reached.seconds, "ratio": iterating / rival_seconds,
    }  # fmt: skip


def precision(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 5: the same run in each precision, its result judged in float32, beside PyTorch's LBFGS."""
    weights = problems.load_params(options.weights)
    for size in options.precision_sizes:
        problem = problems.load_problem(options.images, weights.params, size)
        rows = []
        for name in ("float32", "tensorfloat32", "bfloat16"):
            config = replace(ONE_SIZE, iterations=options.iterations, precision=name)
            result = jnst.stylize(problem.content, problem.style, config, weights)
            loss = problems.evaluate(problem, result.image).total
            rows.append((f"jnst, {name}", result.compile_seconds, result.seconds - result.compile_seconds, loss))
        for name, rival in torch_objectives(problem, weights.params, compiled=options.torch_compile).items():
            from benchmarks.baselines_torch import lbfgs

            pixels, seconds = lbfgs(rival, problem.content, options.iterations + 1)
            rows.append((name, None, seconds, float(rival.loss(rival.image(pixels)))))
        for name, compiling, seconds, loss in rows:
            yield {
                "size": problem.size, "contender": name, "compiling": "" if compiling is None else compiling,
                "seconds": seconds, "iterations a second": options.iterations / seconds,
                "images an hour": 3600 / seconds, "loss in float32": loss, "over float32": loss / rows[0][3],
            }  # fmt: skip
