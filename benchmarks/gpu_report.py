"""All figures of one accelerator in one call: each part in a process of its own, its rows kept as they are measured.

benchmarks/gpu_report.sh ../shared/images vgg19.h5 out/gpu        (9 minutes on a GPU)
python -m benchmarks.gpu_report IMAGES --weights vgg19.h5 --output out/gpu --small   (tries every part on a processor)
python -m benchmarks.gpu_report --table out/gpu

Parts, the most important first; a part that fails or runs out of its time is told of in a line and the next begins:
job         the command line, default recipe: an empty cache, a filled one, a second photograph of another shape
evaluation  evaluations a second in each precision against the chip's limit, and the seconds of 500
torch       PyTorch on the same objective: eager, channels last, compiled
batch       pictures an hour of one folder
large       8192 x 6144: three iterations
parts       what may be slow alone: Fourier transforms of prime sizes, the preconditioner, the Gram matrix of conv1_1
The limit of an evaluation is the operations of direct convolutions, forward and back, at the chip's peak.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from jnst.chips import CHIPS
from jnst.errors import InputError

PARTS = {
    "job": 260,
    "evaluation": 120,
    "torch": 60,
    "batch": 90,
    "large": 60,
    "parts": 40,
}  # seconds that each may take
TOTAL = 530
Rows = Iterator[dict[str, Any]]


def timed(run: Callable[[], Any], *, repetitions: int) -> float:
    """Median seconds of a call that waits for its result, after one that compiles."""
    run()
    seconds = []
    for _ in range(repetitions):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def job(options: argparse.Namespace) -> Rows:
    """The default recipe by the command line, from the shell's prompt to the written file."""
    from benchmarks.commands import run_jnst
    from benchmarks.problem import CONTENT, STYLE

    size = options.sizes[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Image.open(options.images / CONTENT) as picture:
            first = picture.convert("RGB")
            first.save(folder / "first.png")
            first.crop((0, 0, first.width, first.width * 2 // 3)).save(folder / "second.png")  # 3:2 after 4:3
        runs = [("empty cache", "first"), ("filled cache", "first"), ("second photograph, other shape", "second")]
        for title, content in runs:
            trace = folder / f"{len(title)}.jsonl"
            wall = run_jnst(
                [folder / f"{content}.png", options.images / STYLE, "-o", folder / "out.png", "--overwrite", "--quiet",
                 "--weights", options.weights, "--image-size", size, "--trace", trace, *options.recipe],
                folder / "cache",
            )  # fmt: skip
            *_, footer = map(json.loads, trace.read_text().splitlines())
            kept = len(list((folder / "cache").glob("*-cache")))
            yield {
                "size": size, "run": title, "wall": wall, **footer["laps"], "evaluations": footer["evaluations"],
                "programs in the cache": kept,
            }  # fmt: skip
            trace.unlink()


def limit_seconds(operations: float, precision: str) -> float | None:
    """The least seconds of so many operations on the chip at hand; None where it is not known."""
    import jax

    kind = jax.devices()[0].device_kind.lower()
    chip = next((chip for name, chip in CHIPS.items() if name in kind.replace(" ", "").replace("h200", "h100")), None)
    return None if chip is None else operations / chip.flops[precision]


def evaluation(options: argparse.Namespace) -> Rows:
    """Value and gradient, and 500 evaluations in the solver's loop, at one scale; how busy the GPU is meanwhile."""
    import jax

    from benchmarks import problem as problems
    from benchmarks.batch import gpu_use
    from benchmarks.evaluation import noisy_points, operations

    weights = problems.load_params(options.weights)
    for size in options.sizes:
        for precision in ("bfloat16", "tensorfloat32", "float32"):
            config = replace(problems.ONE_SIZE, precision=precision)
            problem = problems.load_problem(options.images, weights.params, size, config)
            x, compiled = next(noisy_points(problem)), jax.jit(problem.function)
            seconds = timed(lambda: jax.block_until_ready(compiled(x, *problem.args)), repetitions=options.repetitions)  # noqa: B023
            minimiser = problems.make_solver(problem.function, "lbfgsb")
            run, _ = problems.advance(minimiser, problems.start(minimiser, x, problem.args), problem.args, 2)
            with gpu_use() as use:
                began = time.perf_counter()
                while int(run.state.evaluations) < options.evaluations and not int(run.state.status):
                    run, _ = problems.advance(minimiser, run, problem.args, problems.CHUNK)
                loop = (time.perf_counter() - began) / max(1, int(run.state.evaluations) - 3)
            least = limit_seconds(operations(problem, weights.architecture), precision)
            yield {
                "size": problem.size, "precision": precision, "value and gradient, ms": 1e3 * seconds,
                "in the loop, ms": 1e3 * loop, "500 evaluations, s": 500 * loop,
                "limit, ms": "" if least is None else 1e3 * least,
                "limit over loop": "" if least is None else least / loop, "GPU busy, %": use(),
            }  # fmt: skip


def torch(options: argparse.Namespace) -> Rows:
    """PyTorch on the same objective; convolutions in TF32 as PyTorch does by default on a GPU."""
    import numpy as np

    from benchmarks import problem as problems
    from benchmarks.evaluation import noisy_points, torch_objectives

    weights = problems.load_params(options.weights)
    for size in options.sizes:
        problem = problems.load_problem(options.images, weights.params, size)
        x = np.asarray(next(noisy_points(problem)))
        for name, rival in torch_objectives(problem, weights.params, compiled=not options.small).items():
            point = rival.image(x)
            seconds = timed(lambda: rival.value_and_grad(point)[1].sum().item(), repetitions=options.repetitions)  # noqa: B023
            yield {"size": problem.size, "contender": name, "value and gradient, ms": 1e3 * seconds}


def batch(options: argparse.Namespace) -> Rows:
    """A folder of photographs of one shape, twice: the first time compiles."""
    from benchmarks.commands import run_jnst
    from benchmarks.problem import CONTENT, STYLE

    size = options.sizes[0] if options.small else 256
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        with Image.open(options.images / CONTENT) as picture:
            for k in range(options.photographs):
                crop = picture.convert("RGB").crop((k, k, k + picture.width // 2, k + picture.height // 2))
                crop.resize((size, size * 3 // 4)).save(folder / "photos" / f"{k:03d}.png")
        for title in ("compiling", "filled cache"):
            wall = run_jnst(
                [folder / "photos", options.images / STYLE, "-o", folder / title, "--weights", options.weights,
                 "--image-size", size, "--quiet", "--scales", 1, *options.recipe],
                folder / "cache",
            )  # fmt: skip
            rate = 3600 * options.photographs / wall
            yield {"size": size, "photographs": options.photographs, "run": title, "wall": wall, "an hour": rate}


def large(options: argparse.Namespace) -> Rows:
    """One very large picture, three iterations at its own size, computed as the memory allows."""
    from benchmarks.commands import run_jnst
    from benchmarks.problem import CONTENT, STYLE

    side = options.sizes[-1] if options.small else 8192
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Image.open(options.images / CONTENT) as picture:
            picture.convert("RGB").resize((side, side * 3 // 4), Image.Resampling.LANCZOS).save(folder / "large.png")
        trace = folder / "large.jsonl"
        wall = run_jnst(
            [folder / "large.png", options.images / STYLE, "-o", folder / "out.png", "--weights", options.weights,
             "--image-size", side, "--iterations", 3, "--scales", 1, "--trace", trace, "--quiet"],
            folder / "cache",
        )  # fmt: skip
        *_, footer = map(json.loads, trace.read_text().splitlines())
        yield {"size": f"{side}x{side * 3 // 4}", "wall": wall, **footer["laps"], **footer["peak_memory"]}


def parts(options: argparse.Namespace) -> Rows:
    """Pieces of an evaluation that a library may do slowly, each alone."""
    import jax
    import jax.numpy as jnp

    from jnst.losses.statistics import mean_gram
    from jnst.optim.preconditioner import Spectral

    size = options.sizes[0]
    height, width = size * 3 // 4, size
    prime = next(n for n in range(width + 1, 2 * width) if all(n % k for k in range(2, int(n**0.5) + 1)))
    key = jax.random.key(0)

    def row(name: str, function: Callable, *arrays: jax.Array) -> dict[str, Any]:
        compiled = jax.jit(function)
        seconds = timed(lambda: jax.block_until_ready(compiled(*arrays)), repetitions=options.repetitions)
        return {"part": name, "shape": "x".join(map(str, arrays[0].shape)), "ms": 1e3 * seconds}

    for columns in (width, prime):
        planes = jax.random.normal(key, (3, height, columns))
        yield row(
            f"rfft2 and back, {columns} columns", lambda a: jnp.fft.irfft2(jnp.fft.rfft2(a), s=a.shape[-2:]), planes
        )
    for columns in (width, prime):
        x = jax.random.normal(key, (1, height, columns, 3))
        spectral = Spectral()
        state = spectral.update(spectral.init(x), x / jnp.linalg.norm(x), 2 * x)
        yield row(f"preconditioner, {columns} columns", lambda v, s=state, p=spectral: p.precondition(s, v), x)
    maps = jax.random.normal(key, (1, height, width, 64))
    yield row("Gram matrix of conv1_1", mean_gram, maps)
    yield row("and its gradient", jax.grad(lambda f: jnp.sum(mean_gram(f) ** 2)), maps)


def about() -> dict[str, Any]:
    """The machine and the versions."""
    import jax

    from jnst.io.trace import versions

    known: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "device": jax.devices()[0].device_kind, **versions()}
    if importlib.util.find_spec("torch"):
        known["torch"] = importlib.metadata.version("torch")
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        known["card"] = subprocess.run(query, capture_output=True, text=True).stdout.strip()
    return known


def measure_part(options: argparse.Namespace) -> None:
    """Measures one part in this process, and appends each row to the file of rows at once."""
    with (options.output / "rows.jsonl").open("a") as file:
        for row in globals()[options.part](options) if options.part != "about" else [about()]:
            print(json.dumps(row), flush=True)
            file.write(json.dumps({"part_of_report": options.part, **row}) + "\n")
            file.flush()


def tables(output: Path) -> str:
    """The rows that were measured, as Markdown.

    Args:
        output: the folder of a report.
    """
    path = output / "rows.jsonl"
    if not path.exists():
        raise InputError(f"{output} holds no report (rows.jsonl); give the folder of one")
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        groups.setdefault(row.pop("part_of_report"), []).append(row)
    lines: list[str] = []
    for name, rows in groups.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        lines += [f"## {name}", "", "| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
        for row in rows:
            cells = (row.get(column, "") for column in columns)
            lines.append("| " + " | ".join(f"{c:.4g}" if isinstance(c, float) else str(c) for c in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def run_parts(options: argparse.Namespace, names: list[str], arguments: list[str]) -> None:
    """Runs the parts one after another, each within its seconds and all within the report's."""
    began = time.perf_counter()
    (options.output / "rows.jsonl").unlink(missing_ok=True)
    for name in ["about", *names]:
        elapsed = time.perf_counter() - began
        left = min(PARTS.get(name, 60) * options.patience, TOTAL * options.patience - elapsed)
        print(f"[{elapsed:4.0f} s] {name}: at most {left:.0f} s", flush=True)
        if left < 5:
            print(f"  left out: the report's {TOTAL * options.patience:.0f} s are over", flush=True)
            continue
        command = [sys.executable, "-m", "benchmarks.gpu_report", *arguments, "--part", name]
        try:
            code = subprocess.run(command, timeout=left).returncode
            if code:
                print(f"  {name} failed with exit code {code}; what it had measured is kept", flush=True)
        except subprocess.TimeoutExpired:
            print(f"  {name} was not done in its time; what it had measured is kept", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="?", help="a folder with the pictures of benchmarks.problem")
    parser.add_argument("--weights", type=Path, help="a weight file")
    parser.add_argument("--output", type=Path, help="a folder for rows.jsonl and report.md")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try every part without a GPU")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--patience", type=float, default=1, help="times the seconds that the parts may take")
    parser.add_argument("--table", type=Path, metavar="FOLDER", help="print the tables of a report, measure nothing")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.table:
            print(tables(options.table))
            return
        if not (options.images and options.weights and options.output):
            parser.error("IMAGES, --weights and --output are needed, or --table")
        options.sizes = [64, 96] if options.small else [512, 1024]
        options.repetitions, options.evaluations = (3, 8) if options.small else (20, 500)
        options.photographs, options.recipe = (3, ["--iterations", 3]) if options.small else (64, [])
        options.output.mkdir(parents=True, exist_ok=True)
        if options.part:
            measure_part(options)
            return
        run_parts(options, options.parts, sys.argv[1:])
        report = tables(options.output)
    except InputError as error:
        parser.exit(2, f"gpu_report: {error}\n")
    (options.output / "report.md").write_text(report + "\n")
    print(report)


if __name__ == "__main__":
    main()
