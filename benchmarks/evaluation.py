"""Figure `evaluation` of benchmarks.speed: one value and gradient, one iteration, and the gradient's error."""

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import problem as problems
from benchmarks.problem import Problem
from jnst.network.architecture import block_of, kernel_shapes, layer_names

HAS_TORCH = importlib.util.find_spec("torch") is not None
POINTS = 48  # at which the gradient's error is measured: where no ReLU switches it is rounding, where one does, more


def noisy_points(problem: Problem) -> Iterator[jax.Array]:
    """The content under more and more noise."""
    for k in range(POINTS):
        noise = jax.random.normal(jax.random.key(k), problem.content.shape)
        yield jnp.clip(0.05 + 0.9 * problem.content + 0.03 * k * noise, 0, 1)


def operations(problem: Problem, architecture: str) -> float:
    """Floating-point operations of direct convolutions, forward and back: 2 x 9 x Cin x Cout a position each."""
    names, shapes = layer_names(architecture), kernel_shapes(architecture)
    names = names[: names.index("conv5_1") + 1]
    height, width = problem.content.shape[1:3]
    positions = {name: (height >> (block_of(name) - 1)) * (width >> (block_of(name) - 1)) for name in names}
    return 4.0 * sum(positions[name] * int(np.prod(shapes[name])) for name in names)


def interleaved(contenders: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, float]:
    """Median seconds of each, called in turn after one call that does not count (it compiles)."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(repetitions):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def torch_objectives(problem: Problem, params: Any, *, compiled: bool = False) -> dict[str, Any]:
    """PyTorch's contenders, those that run here; `params` as `jnst.io.weights.load` gives them."""
    if not HAS_TORCH:
        return {}
    import torch  # pyright: ignore[reportMissingImports]

    from benchmarks.baselines_torch import Objective

    device = "cuda" if torch.cuda.is_available() else "cpu"
    arguments = (params, problem.content, problem.style)
    objectives = {
        "PyTorch": Objective(*arguments, device=device),
        "PyTorch, channels last": Objective(*arguments, device=device, channels_last=True),
    }
    if compiled:
        objective = Objective(*arguments, device=device)
        objective.loss = torch.compile(objective.loss)
        try:
            objective.value_and_grad(objective.image(problem.content))
            objectives["PyTorch, compiled"] = objective
        except Exception as error:  # whatever its compilers say
            print(f"torch.compile does not work here: {str(error).splitlines()[0]}", file=sys.stderr)
    return objectives


def nhwc(tensor: Any) -> np.ndarray:
    """A tensor (n, c, h, w) as an array (n, h, w, c)."""
    return np.moveaxis(tensor.cpu().numpy(), 1, -1)


def gradient_errors(problem: Problem, params: Any, gradients: dict[str, Callable[[Any], np.ndarray]]) -> dict[str, str]:
    """Quartiles and maximum of each gradient's relative error; the truth is PyTorch's in float64."""
    import torch  # pyright: ignore[reportMissingImports]

    from benchmarks.baselines_torch import Objective

    exact = Objective(params, problem.content, problem.style, dtype=torch.float64)
    errors: dict[str, list[float]] = {name: [] for name in gradients}
    for x in noisy_points(problem):
        reference = nhwc(exact.value_and_grad(exact.image(np.asarray(x)))[1])
        for name, gradient in gradients.items():
            errors[name].append(float(np.linalg.norm(gradient(x) - reference) / np.linalg.norm(reference)))
    return {
        name: ", ".join(f"{quantile:.1e}" for quantile in np.quantile(values, (0.25, 0.5, 0.75, 1)))
        for name, values in errors.items()
    }


def solver_iteration(problem: Problem, x: jax.Array) -> Callable[[], None]:
    """A function that makes one iteration, of a run that is past its first line searches."""
    solver = problems.make_solver(problem.function, "lbfgsb")
    run = problems.advance(solver, problems.start(solver, x, problem.args), problem.args, 4)[0]

    def iterate() -> None:
        nonlocal run
        run = problems.advance(solver, run, problem.args, 1)[0]

    return iterate


def evaluation(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 1: seconds, share of the matrix-product peak, error of the gradient."""
    weights = problems.load_params(options.weights)
    matrix = jnp.ones((2048, 2048))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    for size in options.sizes:
        problem = problems.load_problem(options.images, weights.params, size)
        x = next(noisy_points(problem))
        compiled = jax.jit(problem.function)
        contenders: dict[str, Callable[[], Any]] = {
            "jnst": lambda f=compiled, x=x, args=problem.args: jax.block_until_ready(f(x, *args)),
            "jnst, an iteration of the solver": solver_iteration(problem, x),
            "matrix product": lambda: jax.block_until_ready(product(matrix)),
        }
        gradients: dict[str, Callable[[Any], np.ndarray]] = {
            "jnst": lambda x, f=compiled, args=problem.args: np.asarray(f(x, *args)[1])
        }
        for name, rival in torch_objectives(problem, weights.params, compiled=options.torch_compile).items():
            point = rival.image(np.asarray(x))
            contenders[name] = lambda rival=rival, point=point: rival.value_and_grad(point)[1].sum().item()
            gradients[name] = lambda x, rival=rival: nhwc(rival.value_and_grad(rival.image(np.asarray(x)))[1])
        seconds = interleaved(contenders, options.repetitions)
        peak = 2 * 2048**3 / seconds.pop("matrix product")
        measured = size == min(options.sizes) and HAS_TORCH
        errors = gradient_errors(problem, weights.params, gradients) if measured else {}
        for name, value in seconds.items():
            yield {
                "size": problem.size, "contender": name, "seconds": value,
                "direct convolutions as a share of the matrix-product peak":
                    operations(problem, weights.architecture) / value / peak,
                **{f"over {other}": value / seconds[other] for other in seconds if other.startswith("PyTorch")},
                "gradient's error: quartiles, worst": errors.get(name, ""), "peak GFLOP/s": peak / 1e9,
            }  # fmt: skip
