"""How fast jnst is, next to PyTorch on the same weights, measured in the same run and interleaved.

python scripts/bench.py ../shared/images --weights vgg19.h5 --output speed.json
python scripts/bench.py ../shared/images --weights vgg19.h5 --figures evaluation --sizes 256 512

Everything at one scale, the style compared at its size only, as PyTorch's does it. Figures, each a table:
evaluation  one value-and-gradient of the default objective, and one iteration of the solver, with the gradient's error
job         from the shell's prompt to the written file, with an empty and with a filled compilation cache
quality     seconds until the loss that PyTorch's LBFGS (lr 1, history 100, clamped) has after 300 evaluations
memory      peak memory of the process, after 3 and after 9 iterations, all compiled before, and when it compiles; and
            seconds an iteration: plain, with maps computed again, in windows (pictures are enlarged where need be)
batch       many photographs of six sizes in one manner, as one folder and as single runs, all compiled before
throughput  images an hour in one process: single runs in a loop, one batch, PyTorch in a loop; by default only on a GPU
precision   iterations a second and images an hour in float32, TF32 and bfloat16; by default only on a GPU or TPU

What PyTorch can do is skipped, and said, where it is not installed: pip install -e ".[bench]".
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from bench_batch import CONTENT, HAS_TORCH, ONE_SIZE, STYLE, batch, throughput
from PIL import Image

from jnst import minimize, transfer
from jnst.capacity import available
from jnst.errors import InputError
from jnst.io import image, weights
from jnst.io.trace import versions
from jnst.losses import objective
from jnst.network import vgg
from jnst.network.architecture import kernel_shapes, layer_names
from jnst.optim import base as solver

SCRIPTS = Path(__file__).parent
POINTS = 48  # at which the gradient's error is measured: where no ReLU switches it is rounding, where one does, more


class Problem:
    """Tuebingen x Starry Night at one size, with the default settings."""

    def __init__(self, options: argparse.Namespace, size: int) -> None:
        self.weights = weights.load(options.weights)
        self.content = image.load(options.images / CONTENT, image_size=size)
        self.style = image.load(options.images / STYLE, image_size=size)
        self.size = f"{self.content.shape[2]}x{self.content.shape[1]}"
        self.spec = transfer.spec_of(ONE_SIZE)
        plain = jax.device_put(self.weights.params)
        self.target = objective.targets(plain, jnp.asarray(self.content), jnp.asarray(self.style), spec=self.spec)
        loss_weights = transfer.loss_weights(ONE_SIZE, self.target)
        self.args = (vgg.prepare(plain, self.spec.layers), self.target, loss_weights)

    def fun(self, x: Any, *args: Any) -> Any:
        params, target, loss_weights = args
        losses, gradient = objective.value_and_grad(params, x, target, loss_weights, spec=self.spec)
        return (losses.total[0], None), gradient

    def points(self) -> Iterator[jax.Array]:
        """The content under more and more noise."""
        for k in range(POINTS):
            noise = jax.random.normal(jax.random.key(k), self.content.shape)
            yield jnp.clip(0.05 + 0.9 * self.content + 0.03 * k * noise, 0, 1)

    def operations(self) -> float:
        """Of direct convolutions, forward and back: 2 x 9 x Cin x Cout a position each."""
        names = layer_names(self.weights.architecture)
        names, shapes = names[: names.index("conv5_1") + 1], kernel_shapes(self.weights.architecture)
        height, width = self.content.shape[1:3]
        positions = {name: (height >> (int(name[4]) - 1)) * (width >> (int(name[4]) - 1)) for name in names}
        return 4.0 * sum(positions[name] * int(np.prod(shapes[name])) for name in names)


def interleaved(contenders: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, float]:
    """Median seconds of each, called in turn."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(repetitions):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def evaluation(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 1: seconds, share of the matrix-product peak, error of the gradient."""
    matrix = jnp.ones((2048, 2048))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    for size in options.sizes:
        problem = Problem(options, size)
        x = next(problem.points())
        value_and_grad = jax.jit(problem.fun)
        chosen = solver.lbfgsb(problem.fun, history_size=10)
        started = minimize.start(chosen, x, problem.args)
        state = [minimize.advance(chosen, started, problem.args, jnp.int32(4))[0]]  # past the first line searches

        def iteration(chosen: Any = chosen, state: list = state, args: tuple = problem.args) -> None:
            state[0] = jax.block_until_ready(minimize.advance(chosen, state[0], args, jnp.int32(1))[0])

        contenders: dict[str, Callable[[], Any]] = {
            "jnst": lambda f=value_and_grad, x=x, args=problem.args: jax.block_until_ready(f(x, *args)),
            "jnst, an iteration of the solver": iteration,
            "matrix product": lambda: jax.block_until_ready(product(matrix)),
        }
        gradients: dict[str, Callable[[Any], np.ndarray]] = {
            "jnst": lambda x, f=value_and_grad, args=problem.args: np.asarray(f(x, *args)[1])
        }
        for name, rival in torch_objectives(problem, options).items():
            point = rival.image(np.asarray(x))
            contenders[name] = lambda rival=rival, point=point: rival.value_and_grad(point)[1].sum().item()
            gradients[name] = lambda x, rival=rival: nhwc(rival.value_and_grad(rival.image(np.asarray(x)))[1])
        seconds = interleaved(contenders, options.repetitions)
        peak = 2 * 2048**3 / seconds.pop("matrix product")
        errors = gradient_errors(problem, gradients) if size == min(options.sizes) and HAS_TORCH else {}
        for name, value in seconds.items():
            yield {
                "size": problem.size, "contender": name, "seconds": value,
                "direct convolutions as a share of the matrix-product peak": problem.operations() / value / peak,
                **{f"over {other}": value / seconds[other] for other in seconds if other.startswith("PyTorch")},
                "gradient's error: quartiles, worst": errors.get(name, ""), "peak GFLOP/s": peak / 1e9,
            }  # fmt: skip


def torch_objectives(problem: Problem, options: argparse.Namespace) -> dict[str, Any]:
    """PyTorch's contenders, those that run here."""
    if not HAS_TORCH:
        return {}
    import torch  # pyright: ignore[reportMissingImports]
    from torch_rival import Objective

    device = "cuda" if torch.cuda.is_available() else "cpu"
    arguments = (problem.weights.params, problem.content, problem.style)
    found = {
        "PyTorch": Objective(*arguments, device=device),
        "PyTorch, channels last": Objective(*arguments, device=device, channels_last=True),
    }
    if options.torch_compile:
        compiled = Objective(*arguments, device=device)
        compiled.loss = torch.compile(compiled.loss)
        try:
            compiled.value_and_grad(compiled.image(problem.content))
            found["PyTorch, compiled"] = compiled
        except Exception as error:  # whatever its compilers say
            print(f"torch.compile does not work here: {str(error).splitlines()[0]}", file=sys.stderr)
    return found


def nhwc(tensor: Any) -> np.ndarray:
    return np.moveaxis(tensor.cpu().numpy(), 1, -1)


def gradient_errors(problem: Problem, gradients: dict[str, Callable[[Any], np.ndarray]]) -> dict[str, str]:
    """Relative to PyTorch in float64."""
    import torch  # pyright: ignore[reportMissingImports]
    from torch_rival import Objective

    exact = Objective(problem.weights.params, problem.content, problem.style, dtype=torch.float64)
    errors: dict[str, list[float]] = {name: [] for name in gradients}
    for x in problem.points():
        reference = nhwc(exact.value_and_grad(exact.image(np.asarray(x)))[1])
        for name, gradient in gradients.items():
            errors[name].append(float(np.linalg.norm(gradient(x) - reference) / np.linalg.norm(reference)))
    return {
        name: ", ".join(f"{quantile:.1e}" for quantile in np.quantile(values, (0.25, 0.5, 0.75, 1)))
        for name, values in errors.items()
    }


def inputs(options: argparse.Namespace, size: int, folder: str) -> list[Path]:
    """Content and style of at least that size, enlarged where they are smaller."""
    found = []
    for name in (CONTENT, STYLE):
        with Image.open(options.images / name) as picture:
            scale = size / max(picture.size)
            if scale > 1:
                width, height = (round(side * scale) for side in picture.size)
                picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).save(Path(folder) / name)
        found.append(Path(folder) / name if scale > 1 else options.images / name)
    return found


def jnst_job(options: argparse.Namespace, size: int, iterations: int, cache: Path, *more: str) -> dict[str, Any]:
    """A whole run of the command line: wall seconds and the footer of its trace."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "run.jsonl"
        command = [
            sys.executable, "-m", "jnst.run", *inputs(options, size, folder),
            "-o", Path(folder) / "out.png", "--weights", options.weights, "--image-size", size,
            "--iterations", iterations, "--scales", 1, "--style-sizes", 1, "--trace", trace, "--quiet", *more,
        ]  # fmt: skip
        began = time.perf_counter()
        subprocess.run(list(map(str, command)), env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache),
                       "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}, check=True)  # fmt: skip
        wall = time.perf_counter() - began
        header, *_, footer = map(json.loads, trace.read_text().splitlines())
        return {"wall": wall, **footer, "settings": header["settings"]}


def torch_job(options: argparse.Namespace, size: int, evaluations: int) -> dict[str, Any]:
    """The same by torch_rival.py, which may not take more memory than jnst sees free."""
    free = available()
    limit = free // 1024 if free else "unlimited"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, SCRIPTS / "torch_rival.py", *inputs(options, size, folder),
            Path(folder) / "out.png", "--weights", options.weights, "--image-size", size,
            "--evaluations", evaluations, "--channels-last",
        ]  # fmt: skip
        began = time.perf_counter()
        done = subprocess.run(
            ["sh", "-c", f'ulimit -d {limit}; exec "$@"', "sh", *map(str, command)],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        return {"wall": time.perf_counter() - began, **json.loads(done.stdout.splitlines()[-1])}


def job(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 2."""
    for size in options.job_sizes:
        with tempfile.TemporaryDirectory() as cache:
            for name in ("jnst, empty cache", "jnst, filled cache"):
                done = jnst_job(options, size, options.iterations, Path(cache))
                laps = done["laps"]
                start = done["wall"] - sum(laps.values())
                yield {
                    "size": size, "contender": name, "count": options.iterations, "seconds": done["wall"],
                    "but iterations": done["wall"] - laps["iterations"], "start": start, **laps, "loss": done["loss"],
                }  # fmt: skip
        if HAS_TORCH:
            done = torch_job(options, size, options.iterations + 1)
            yield {
                "size": size, "contender": "PyTorch, channels last", "count": options.iterations,
                "seconds": done["wall"], "but iterations": done["wall"] - done["seconds"],
                "iterations": done["seconds"], "loss": done["loss"],
            }  # fmt: skip


def quality(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 3: PyTorch's LBFGS in its faster layout, then jnst until it has PyTorch's loss."""
    for size in options.quality_sizes if HAS_TORCH else ():
        yield from quality_at(options, size)


def quality_at(options: argparse.Namespace, size: int) -> Iterator[dict[str, Any]]:
    from torch_rival import lbfgs

    problem = Problem(options, size)
    objectives = torch_objectives(problem, options)
    rivals = {name: lambda o=o: o.value_and_grad(o.image(problem.content)) for name, o in objectives.items()}
    seconds = interleaved(rivals, 3)
    best = min(seconds, key=lambda name: seconds[name])
    pixels, rival_seconds = lbfgs(objectives[best], problem.content, options.evaluations)
    evaluate = jax.jit(objective.evaluate, static_argnames="spec")
    goal = float(evaluate(problem.args[0], jnp.asarray(pixels), *problem.args[1:], spec=problem.spec).total[0])
    config = replace(ONE_SIZE, iterations=options.evaluations)
    result = transfer.stylize(
        problem.content, problem.style, config, problem.weights, callback=lambda progress: progress.best_loss <= goal
    )  # fmt: skip
    reached = next((row for row in result.history if row.loss <= goal), result.history[-1])
    first = {"size": problem.size, "contender": best, "loss": goal, "evaluations": options.evaluations}
    yield {**first, "seconds": rival_seconds, "with compiling": rival_seconds, "ratio": 1.0}
    iterating = reached.seconds - result.compile_seconds
    yield {
        "size": problem.size, "contender": "jnst", "loss": reached.loss, "evaluations": reached.evaluations,
        "seconds": iterating, "with compiling": reached.seconds, "ratio": iterating / rival_seconds,
    }  # fmt: skip


WAYS = {
    "jnst": ("--tile", "0"),
    "jnst --checkpoint": ("--tile", "0", "--checkpoint"),
    "jnst --tile 1024": ("--tile", "1024"),
}


def memory(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 4: peak bytes of a process that runs the whole job, and seconds an iteration."""
    few, more = options.memory_iterations
    for size in options.memory_sizes:
        for name, flags in WAYS.items():
            with tempfile.TemporaryDirectory() as cache:
                try:
                    done = [jnst_job(options, size, count, Path(cache), *flags) for count in (few, few, more)]
                except subprocess.CalledProcessError:
                    done = []
            if not done or any(one["settings"]["checkpoint"] != ("--checkpoint" in flags) for one in done):
                yield {"size": size, "contender": name, "peak GB": "does not fit"}  # or another way was chosen
                continue
            first, second, last = (one["peak_memory"] for one in done)
            seconds = (done[2]["laps"]["iterations"] - done[1]["laps"]["iterations"]) / (more - few)
            yield {
                "size": size, "contender": name, "peak GB": second["process"] / 1e9,
                "after more iterations": last["process"] / 1e9, "with compiling": first["process"] / 1e9,
                "of the device": (second["device"] or 0) / 1e9, "seconds an iteration": seconds,
            }  # fmt: skip
        if HAS_TORCH:
            name = "PyTorch, channels last"
            try:
                done = [torch_job(options, size, count + 1) for count in (few, more)]
            except subprocess.CalledProcessError:
                yield {"size": size, "contender": name, "peak GB": "does not fit"}
                continue
            yield {
                "size": size, "contender": name, "peak GB": done[0]["peak"] / 1e9,
                "after more iterations": done[1]["peak"] / 1e9,
                "seconds an iteration": (done[1]["seconds"] - done[0]["seconds"]) / (more - few),
            }  # fmt: skip


def precision(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 5: the same run in each precision, its result judged in float32, beside PyTorch's LBFGS."""
    evaluate = jax.jit(objective.evaluate, static_argnames="spec")
    for size in options.precision_sizes:
        problem = Problem(options, size)
        rows = []
        for name in ("float32", "tensorfloat32", "bfloat16"):
            config = replace(ONE_SIZE, iterations=options.iterations, precision=name)
            result = transfer.stylize(problem.content, problem.style, config, problem.weights)
            seconds = result.seconds - result.compile_seconds
            loss = evaluate(problem.args[0], jnp.asarray(result.image), *problem.args[1:], spec=problem.spec).total[0]
            rows.append((f"jnst, {name}", result.compile_seconds, seconds, float(loss)))
        rivals = torch_objectives(problem, options)
        for name, rival in rivals.items():
            from torch_rival import lbfgs

            pixels, seconds = lbfgs(rival, problem.content, options.iterations + 1)
            rows.append((name, None, seconds, float(rival.loss(rival.image(pixels)))))
        for name, compiling, seconds, loss in rows:
            yield {
                "size": problem.size, "contender": name, "compiling": "" if compiling is None else compiling,
                "seconds": seconds, "iterations a second": options.iterations / seconds,
                "images an hour": 3600 / seconds, "loss in float32": loss, "over float32": loss / rows[0][3],
            }  # fmt: skip


FIGURES = {f.__name__: f for f in (evaluation, job, quality, memory, batch, throughput, precision)}
FOR_GPUS = ("precision", "throughput")


def print_table(name: str, rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Row by row as they are found; a column that only later rows have is told in the JSON alone."""
    found: list[dict[str, Any]] = []
    print(f"\n{name}\n")
    for row in rows:
        if not found:
            print("| " + " | ".join(row) + " |\n|" + " --- |" * len(row))
        found.append(row)
        cells = [row.get(column, "") for column in found[0]]
        print("| " + " | ".join(f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells) + " |", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help=f"a folder with {CONTENT} and {STYLE}")
    parser.add_argument("--weights", type=Path, required=True, help="a weight file")
    parser.add_argument(
        "--figures", nargs="+", choices=FIGURES, help=f"all but {' and '.join(FOR_GPUS)}, unless there is a GPU or TPU"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="of evaluation")
    parser.add_argument("--job-sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--quality-sizes", type=int, nargs="+", default=[256])
    parser.add_argument("--memory-sizes", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--memory-iterations", type=int, nargs=2, default=[3, 9], help="of the shorter, the longer job")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--batch-iterations", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--batch-photos", type=int, default=24)
    parser.add_argument("--throughput-sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--throughput-iterations", type=int, default=100)
    parser.add_argument("--throughput-precisions", nargs="+", default=["float32", "tensorfloat32"])
    parser.add_argument("--precision-sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--iterations", type=int, default=200, help="of a job")
    parser.add_argument("--evaluations", type=int, default=300, help="of PyTorch's LBFGS in quality")
    parser.add_argument("--torch-compile", action="store_true", help="one more contender; compiles for minutes")
    parser.add_argument("--output", type=Path, help="write everything as JSON")
    options = parser.parse_args()

    device = jax.devices()[0]
    figures = options.figures or [name for name in FIGURES if name not in FOR_GPUS or device.platform != "cpu"]
    about = {
        "device": f"{device.platform}: {device.device_kind}",
        "cores": os.cpu_count(),
        "versions": versions(),
    }
    if HAS_TORCH:
        about["versions"]["torch"] = importlib.metadata.version("torch")
    else:
        print('PyTorch is not installed, so its rows are left out: pip install -e ".[bench]"', file=sys.stderr)
    print(json.dumps(about))
    tables = {}
    try:
        for name in figures:
            tables[name] = print_table(name, FIGURES[name](options))
            if options.output:
                options.output.write_text(json.dumps({**about, "command": sys.argv[1:], **tables}))
    except InputError as error:
        parser.exit(2, f"bench: {error}\n")


if __name__ == "__main__":
    main()
