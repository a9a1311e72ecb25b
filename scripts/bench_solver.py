"""Loss against evaluations of the network: jnst's solvers, jaxopt.LBFGSB as it comes, SciPy's, a plain two-loop.

python scripts/bench_solver.py ../shared/images --sizes 128 --output solver.json
python scripts/bench_solver.py ../shared/images --problems line-art noise --vgg19 vgg19.h5 --sizes 128 256

Prints one row for each problem, size and solver, then for 60 and 200 evaluations the ratio of each solver's loss to
SciPy's: geometric mean and worst. `overhead` is what an iteration costs beyond its evaluations.
"""

import argparse
import contextlib
import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from PIL import Image, ImageDraw

from jnst import image, objective, report, solver, transfer, weights
from jnst.config import Config

MARKS = (15, 30, 60, 100, 200)
# name: (content, style, settings)
PROBLEMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "tuebingen-starry": ("tubingen.jpg", "starry_night.jpg", {}),
    "hoover-wave": ("hoovertowernight.jpg", "wave_crop.jpg", {}),
    "line-art": ("", "the_scream.jpg", {}),
    "noise": ("tubingen.jpg", "starry_night.jpg", {"init": "noise"}),
    "texture": ("tubingen.jpg", "starry_night.jpg", {"init": "noise", "content_weight": 0.0}),
    "strength-0.5": ("tubingen.jpg", "shipwreck.jpg", {"strength": 0.5}),
    "strength-0.99": ("tubingen.jpg", "the_scream.jpg", {"strength": 0.99}),
}
Curve = list[float]  # best value after each evaluation


def line_art(size: int) -> np.ndarray:
    """A white page with black lines: most pixels at the upper bound."""
    page = Image.new("RGB", (4 * size, 3 * size), "white")
    draw = ImageDraw.Draw(page)
    for k in range(9):
        x = size * (0.3 + 0.4 * k)
        draw.line([(x, 0.4 * size), (x + 0.3 * size, 2.6 * size)], fill="black", width=size // 20)
        draw.ellipse([x, 0.3 * size + 0.2 * size * k, x + size, 0.8 * size + 0.2 * size * k], outline="black", width=9)
    pixels = np.asarray(page.resize((size, 3 * size // 4), Image.Resampling.LANCZOS), np.float32) / 255
    return pixels[None]


def problem(name: str, folder: Path, size: int, params: Any) -> tuple[Callable, jax.Array, tuple]:
    """Objective (losses and gradient of x), start image, arguments."""
    content_file, style_file, settings = PROBLEMS[name]
    config = Config(**settings)
    content = image.load(folder / content_file, image_size=size) if content_file else line_art(size)
    style = image.load(folder / style_file, image_size=size)
    spec = transfer.spec_of(config)
    target = objective.targets(params, jnp.asarray(content), jnp.asarray(style), spec=spec)
    args = (params, target, transfer.loss_weights(config, target))

    def fun(x: Any, params: Any, target: Any, loss_weights: Any) -> Any:
        losses, gradient = objective.value_and_grad(params, x, target, loss_weights, spec=spec)
        return (losses.total[0], None), gradient

    start = content
    if config.init == "noise":
        start = jnp.clip(0.5 + 0.1 * jax.random.normal(jax.random.key(0), content.shape), 0, 1)
    return fun, jnp.asarray(start), args


@lru_cache
def compiled(fun: Callable, name: solver.Optimizer) -> tuple[Callable, Callable]:
    """Kept, so that the second run of a solver does not compile again."""
    program = solver.make(fun, name, history_size=10, learning_rate=0.02)
    return jax.jit(program.init), jax.jit(program.step)


def ours(name: solver.Optimizer) -> Callable[..., tuple[Curve, int]]:
    """One of `--optimizer`, iteration by iteration."""

    def run(fun: Callable, x: jax.Array, args: tuple, evaluations: int) -> tuple[Curve, int]:
        init, step = compiled(fun, name)
        state = init(x, args)
        curve, iterations = [float(state.value)], 0
        while len(curve) < evaluations and int(state.stop) == 0:
            x, state = step(x, state, args)
            iterations += 1
            trials = int(state.evaluations) - len(curve)
            curve += [curve[-1]] * (trials - 1) + [min(curve[-1], float(state.value))]
        return curve, iterations

    return run


class _EnoughError(Exception):
    """The evaluations are used up."""


def recorded(fun: Callable, x: jax.Array, args: tuple, evaluations: int) -> tuple[Callable, Curve]:
    """A float64 interface of the same float32 objective, scaled to 1 at the start, and what it records."""
    evaluate, curve = jax.jit(fun), []
    unit = float(evaluate(x, *args)[0][0])

    def value_and_grad(flat: np.ndarray) -> tuple[float, np.ndarray]:
        if len(curve) >= evaluations:
            raise _EnoughError
        (value, _), gradient = evaluate(jnp.asarray(flat, jnp.float32).reshape(x.shape), *args)
        curve.append(min([float(value), *curve[-1:]]))
        return float(value) / unit, np.asarray(gradient, np.float64).ravel() / unit

    return value_and_grad, curve


def scipys(fun: Callable, x: jax.Array, args: tuple, evaluations: int) -> tuple[Curve, int]:
    """SciPy's L-BFGS-B, m = 10, no tolerance."""
    value_and_grad, curve = recorded(fun, x, args, evaluations)
    count = [0]

    def counted(_: Any) -> None:
        count[0] += 1

    with contextlib.suppress(_EnoughError):
        scipy.optimize.minimize(
            value_and_grad, np.asarray(x, np.float64).ravel(), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * x.size,
            callback=counted, options={"maxcor": 10, "maxfun": 10**6, "maxiter": 10**6, "ftol": 0, "gtol": 0},
        )  # fmt: skip
    return curve, count[0]


def two_loop(fun: Callable, x: jax.Array, args: tuple, evaluations: int) -> tuple[Curve, int]:
    """Plain projected L-BFGS: two-loop recursion (Nocedal and Wright, algorithm 7.4) on the free pixels, clipped."""
    value_and_grad, curve = recorded(fun, x, args, evaluations)
    point = np.asarray(x, np.float64).ravel()
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    iterations = 0
    try:
        value, gradient = value_and_grad(point)
        while True:
            free = ~(((point <= 0) & (gradient > 0)) | ((point >= 1) & (gradient < 0)))
            q, alphas = np.where(free, gradient, 0), []
            for s, y in reversed(pairs):
                alphas.append((s @ q) / (s @ y))
                q = q - alphas[-1] * y
            q = q * (
                (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1]) if pairs else 0.05 / np.abs(q).mean()
            )
            for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
                q = q + s * (alpha - (y @ q) / (s @ y))
            direction, t = np.clip(point - np.where(free, q, 0), 0, 1) - point, 1.0
            slope = direction @ gradient
            if slope >= 0:
                if not pairs:
                    return curve, iterations
                pairs = []
                continue
            while True:
                new_point = point + t * direction
                new_value, new_gradient = value_and_grad(new_point)
                if new_value <= value + 1e-4 * t * slope or t < 1e-6:
                    break
                t /= 2
            s, y = new_point - point, new_gradient - gradient
            if s @ y > 1e-6 * np.linalg.norm(s) * np.linalg.norm(y):
                pairs = [*pairs, (s, y)][-10:]
            point, value, gradient = new_point, new_value, new_gradient
            iterations += 1
    except _EnoughError:
        return curve, iterations


SOLVERS: dict[str, Callable[..., tuple[Curve, int]]] = {
    "scipy": scipys, "lbfgsb": ours("lbfgsb"), "jaxopt": ours("jaxopt"), "adam": ours("adam"), "two-loop": two_loop
}  # fmt: skip


def seconds_an_evaluation(fun: Callable, x: jax.Array, args: tuple) -> float:
    """Median of five, inside a loop as the solvers run it."""
    evaluate = jax.jit(fun)
    jax.block_until_ready(evaluate(x, *args))
    times = []
    for _ in range(5):
        began = time.perf_counter()
        jax.block_until_ready(evaluate(x, *args))
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row a problem, size, weight file and solver, as they are found."""
    files = [weights.bundled_vgg16(), *([options.vgg19] if options.vgg19 else [])]
    for file in files:
        found = weights.load(Path(str(file)))
        params = jax.device_put(found.params)
        for size in options.sizes:
            for name in options.problems:
                fun, x, args = problem(name, options.images, size, params)
                alone = seconds_an_evaluation(fun, x, args)
                for candidate in options.solvers:
                    SOLVERS[candidate](fun, x, args, 3)  # compiles
                    began = time.perf_counter()
                    curve, iterations = SOLVERS[candidate](fun, x, args, max(MARKS))
                    seconds = time.perf_counter() - began
                    yield {
                        "problem": name, "size": size, "weights": found.architecture, "solver": candidate,
                        "loss": [curve[min(mark, len(curve)) - 1] for mark in MARKS],
                        "evaluations_an_iteration": (len(curve) - 1) / max(1, iterations),
                        "overhead": seconds / (alone * len(curve)) - 1,
                    }  # fmt: skip


def against_scipy(table: list[dict[str, Any]], mark: int) -> dict[str, tuple[float, float]]:
    """For each solver, geometric mean and worst of its loss over SciPy's after `mark` evaluations."""
    k = MARKS.index(mark)
    keys = ("problem", "size", "weights")
    scipy_loss = {tuple(row[key] for key in keys): row["loss"][k] for row in table if row["solver"] == "scipy"}
    ratios: dict[str, list[float]] = {}
    for row in table:
        anchor = scipy_loss.get(tuple(row[key] for key in keys))
        if anchor:
            ratios.setdefault(row["solver"], []).append(row["loss"][k] / anchor)
    return {name: (math.exp(statistics.mean(map(math.log, r))), max(r)) for name, r in ratios.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder with the paintings and photographs")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=list(SOLVERS))
    parser.add_argument("--vgg19", type=Path, help="a VGG-19 weight file, measured besides the bundled VGG-16")
    parser.add_argument("--output", type=Path, help="write everything as JSON")
    options = parser.parse_args()

    about = {"machine": platform.machine(), "device": jax.devices()[0].device_kind, "versions": report.versions()}
    print(json.dumps(about), "\n")
    marks = " | ".join(f"loss at {mark}" for mark in MARKS)
    print(f"| problem | size | weights | solver | {marks} | evaluations an iteration | overhead |")
    print("| --- |" + " --- |" * (len(MARKS) + 5))
    table = []
    for row in rows(options):
        table.append(row)
        values = " | ".join(f"{value:.4f}" for value in row["loss"])
        print(
            f"| {row['problem']} | {row['size']} | {row['weights']} | {row['solver']} | {values} | "
            f"{row['evaluations_an_iteration']:.2f} | {100 * row['overhead']:.0f} % |",
            flush=True,
        )
    print("\n| loss over SciPy's | mean at 60 | worst at 60 | mean at 200 | worst at 200 |")
    print("| --- | --- | --- | --- | --- |")
    at_60, at_200 = against_scipy(table, 60), against_scipy(table, 200)
    for name in at_60:
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in (*at_60[name], *at_200[name])) + " |")
    if options.output:
        options.output.write_text(json.dumps({**about, "rows": table}, indent=1))


if __name__ == "__main__":
    main()
