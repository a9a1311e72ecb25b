"""Loss against evaluations of the network: jnst's solvers, jaxopt.LBFGSB as it comes, and other people's.

python -m benchmarks.solver ../shared/images --sizes 128 --output solver.json
python -m benchmarks.solver ../shared/images --problems line-art noise --weights vgg19.h5 --solvers scipy lbfgsb
python -m benchmarks.solver ../shared/images --solvers scipy lbfgsb --seeds 0 1 2
python -m benchmarks.solver ../shared/images --overhead 512 1024 --weights vgg19.h5

Prints one row for each problem, size and solver; then for 60 and 200 evaluations the ratio of each solver's loss to
SciPy's (geometric mean and worst), and how many times fewer evaluations than `jaxopt` each one needs to reach its loss
at 200, over the problems that end with pixels at a bound. `identity` is jnst's solver without its preconditioner.
The loss has many valleys, and a start that differs by less than a pixel's rounding may end in another one: seeds other
than 0 move the start that little, so that a solver's share in a difference can be told from chance.
With --overhead: what an iteration costs beyond its evaluations, on an objective that costs nothing.
"""

import argparse
import itertools
import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw

from benchmarks import problem as problems
from benchmarks.baselines_solver import Outcome, scipy_lbfgsb, torch_lbfgs, two_loop
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import image, weights
from jnst.io.trace import versions

MARKS = (15, 30, 60, 100, 200)
NUDGE = 0.002  # half a step of an 8-bit pixel
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


def make_problem(
    name: str, folder: Path, size: int, params: Any, *, seed: int = 0
) -> tuple[Callable, jax.Array, tuple]:
    """Objective (losses and gradient of x), start image, arguments; a seed but 0 moves the start a little."""
    content_file, style_file, settings = PROBLEMS[name]
    config = Config(**{"strength": None if "content_weight" in settings else 0.93, **problems.PLAIN, **settings})
    content = image.load(folder / content_file, image_size=size) if content_file else line_art(size)
    style = image.load(folder / style_file, image_size=size)
    problem = problems.make_problem(content, style, params, config)
    noise = jax.random.normal(jax.random.key(seed), content.shape)
    start = 0.5 + 0.1 * noise if config.init == "noise" else content + (NUDGE * noise if seed else 0)
    return problem.function, jnp.clip(start, 0, 1), problem.args


def jnst_solver(name: str) -> Callable[..., Outcome]:
    """A solver of jnst in the form of the baselines."""

    def run(function: Callable, x: jax.Array, args: tuple, evaluations: int) -> Outcome:
        curve, iterations, x = problems.descend(function, name, x, args, evaluations)
        return Outcome(curve, iterations, float(jnp.mean((x <= 0) | (x >= 1))))

    return run


SOLVERS: dict[str, Callable[..., Outcome]] = {
    **{name: jnst_solver(name) for name in ("lbfgsb", "identity", "jaxopt", "adam")},
    "scipy": scipy_lbfgsb, "torch": torch_lbfgs, "two-loop": two_loop,
}  # fmt: skip


def networks(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Name and parameters of each weight file."""
    for file in options.weights or [weights.bundled_vgg16()]:
        network = weights.load(Path(str(file)))
        yield network.architecture, network.params


def rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row a weight file, size, problem and solver, as they are found."""
    for architecture, params in networks(options):
        for size in options.sizes:
            for name, seed in itertools.product(options.problems, options.seeds):
                fun, x, args = make_problem(name, options.images, size, params, seed=seed)
                for candidate in options.solvers:
                    began = time.perf_counter()
                    outcome = SOLVERS[candidate](fun, x, args, max(MARKS))
                    curve = outcome.curve
                    yield {
                        "problem": name, "seed": seed, "size": size, "weights": architecture, "solver": candidate,
                        "loss": [curve[min(mark, len(curve)) - 1] for mark in MARKS],
                        "evaluations_an_iteration": (len(curve) - 1) / max(1, outcome.iterations),
                        "at_bound": outcome.at_bound, "seconds": time.perf_counter() - began,
                        "curve": [float(f"{value:.4g}") for value in curve],
                    }  # fmt: skip


def overheads(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds of an iteration of each of jnst's solvers on a quadratic that costs nothing, and of an evaluation."""
    for architecture, params in networks(options):
        for size in options.overhead:
            fun, x, args = make_problem("tuebingen-starry", options.images, size, params)
            evaluation = seconds_an_iteration(fun, "adam", x, args, 3)
            centre = jax.random.uniform(jax.random.key(0), x.shape, minval=-0.2, maxval=1.2)
            bend = 10 ** jax.random.uniform(jax.random.key(1), x.shape, minval=-4, maxval=4)

            def quadratic(x: Any, centre: Any, bend: Any) -> Any:
                return (0.5 * jnp.sum(bend * (x - centre) ** 2), None), bend * (x - centre)

            for name in ("lbfgsb", "identity", "jaxopt"):
                iteration = seconds_an_iteration(quadratic, name, x, (centre, bend), 8)
                yield {
                    "size": f"{x.shape[2]}x{x.shape[1]}", "weights": architecture, "solver": name,
                    "evaluation": evaluation, "beyond": iteration,
                }  # fmt: skip


def seconds_an_iteration(function: Callable, name: str, x: jax.Array, args: tuple, count: int) -> float:
    """Median over five chunks of the seconds of an iteration, inside the loop that `stylize` runs; history full."""
    solver = problems.make_solver(function, name)
    run, _ = problems.advance(solver, problems.start(solver, x, args), args, 12)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        run, values = problems.advance(solver, run, args, count)
        times.append((time.perf_counter() - began) / max(1, len(values)))
    return statistics.median(times)


def key(row: dict[str, Any]) -> tuple:
    return row["problem"], row["seed"], row["size"], row["weights"]


def against_scipy(table: list[dict[str, Any]], mark: int) -> dict[str, tuple[float, float]]:
    """For each solver, geometric mean and worst of its loss over SciPy's after `mark` evaluations."""
    k = MARKS.index(mark)
    anchors = {key(row): row["loss"][k] for row in table if row["solver"] == "scipy"}
    ratios: dict[str, list[float]] = {}
    for row in table:
        if key(row) in anchors:
            ratios.setdefault(row["solver"], []).append(row["loss"][k] / anchors[key(row)])
    return {name: (statistics.geometric_mean(r), max(r)) for name, r in ratios.items()}


def against_jaxopt(table: list[dict[str, Any]]) -> dict[str, tuple[float, int]]:
    """For each solver, geometric mean of 200 over the evaluations it needs for jaxopt's loss at 200; of how many."""
    anchors = {key(row): row["loss"][-1] for row in table if row["solver"] == "jaxopt"}
    active = {key(row) for row in table if row["solver"] == "lbfgsb" and row["at_bound"] > 0}
    ratios: dict[str, list[float]] = {}
    for row in table:
        if key(row) in anchors and key(row) in active:
            needed = next((n for n, v in enumerate(row["curve"], 1) if v <= anchors[key(row)]), math.inf)
            ratios.setdefault(row["solver"], []).append(MARKS[-1] / needed)
    return {name: (math.exp(statistics.mean(map(_log, r))), len(r)) for name, r in ratios.items()}


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio else -math.inf  # never reached: 0 in the mean


def print_losses(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The first three tables, row by row as they are found."""
    marks = " | ".join(f"loss at {mark}" for mark in MARKS)
    print(f"| problem | seed | size | weights | solver | {marks} | evaluations an iteration | at a bound |")
    print("| --- |" + " --- |" * (len(MARKS) + 6))
    table = []
    for row in rows(options):
        table.append(row)
        values = " | ".join(f"{value:.4f}" for value in row["loss"])
        print(
            f"| {row['problem']} | {row['seed']} | {row['size']} | {row['weights']} | {row['solver']} | {values} | "
            f"{row['evaluations_an_iteration']:.2f} | {100 * row['at_bound']:.1f} % |",
            flush=True,
        )
    print("\n| loss over SciPy's | mean at 60 | worst at 60 | mean at 200 | worst at 200 |")
    print("| --- | --- | --- | --- | --- |")
    at_60, at_200 = against_scipy(table, 60), against_scipy(table, 200)
    for name in at_60:
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in (*at_60[name], *at_200[name])) + " |")
    print("\n| evaluations to jaxopt's loss at 200 | times fewer | problems |\n| --- | --- | --- |")
    for name, (ratio, count) in against_jaxopt(table).items():
        print(f"| {name} | {ratio:.1f} | {count} |")
    return table


def print_overheads(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The last table."""
    print("\n| size | weights | solver | ms an evaluation | ms beyond it | overhead |\n|" + " --- |" * 6)
    table = []
    for row in overheads(options):
        table.append(row)
        share = row["beyond"] / row["evaluation"]
        times = f"{1e3 * row['evaluation']:.0f} | {1e3 * row['beyond']:.0f}"
        print(f"| {row['size']} | {row['weights']} | {row['solver']} | {times} | {100 * share:.1f} % |", flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder with the paintings and photographs")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=list(SOLVERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="starts, see above")
    parser.add_argument("--weights", type=Path, nargs="+", help="weight files; without, the bundled VGG-16")
    parser.add_argument("--overhead", type=int, nargs="+", help="measure this instead, at these sizes")
    parser.add_argument("--output", type=Path, help="write everything as JSON")
    options = parser.parse_args()

    about = {"machine": platform.machine(), "device": jax.devices()[0].device_kind, "versions": versions()}
    print(json.dumps(about), "\n")
    try:
        table = print_overheads(options) if options.overhead else print_losses(options)
    except InputError as error:
        parser.exit(2, f"solver: {error}\n")
    if options.output:
        options.output.write_text(json.dumps({**about, "rows": table}))


if __name__ == "__main__":
    main()
