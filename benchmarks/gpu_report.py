"""All figures of one accelerator in one call: each part in a process of its own, its rows kept as they are measured.

benchmarks/gpu_report.sh ../shared/images vgg19.h5 out/gpu        (9 minutes on a GPU)
python -m benchmarks.gpu_report IMAGES --weights vgg19.h5 --output out/gpu --small   (tries every part on a processor)
python -m benchmarks.gpu_report --table out/gpu

Parts, the most important first; a part that fails or runs out of its time is told of in a line, in the table too, all
that it started is ended, and the next begins. What a part leaves of its time goes to those after it:
job         the command line, default recipe: an empty cache, a filled one, a second photograph of another shape
evaluation  evaluations a second in each precision against the chip's limit, and the seconds of 500
torch       PyTorch on the same objective, in turn with jnst: eager, channels last, compiled
busy        by JAX's profile of the solver's loop: the share of the time in which a kernel runs, and the longest kernels
batch       pictures an hour of one folder
large       8192 x 6144: three iterations
parts       what may be slow alone: Fourier transforms of prime sizes, the preconditioner, the Gram matrix of conv1_1
The limit of an evaluation is the operations of direct convolutions, forward and back, at the chip's peak.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from jnst.chips import CHIPS
from jnst.errors import InputError

PARTS = {
    "job": 230,  # an empty cache alone took 172 s on an H100
    "evaluation": 110,
    "torch": 50,
    "busy": 20,
    "batch": 55,
    "large": 45,
    "parts": 20,
}  # seconds that each may take where none before it left any
TOTAL = 530
PROFILED = 20  # iterations
LONGEST = 8  # kernels that are listed
LEAST = 5  # seconds, below which a part is not begun
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
            yield {
                "size": size, "run": title, "wall": wall, **footer["laps"], "evaluations": footer["evaluations"],
                **kept_programs(folder / "cache"),
            }  # fmt: skip
            trace.unlink()


def kept_programs(cache: Path) -> dict[str, int]:
    """How many programs XLA has compiled into a cache folder so far, and how many of them jnst keeps before XLA."""
    return {
        "compiled so far": len(list((cache / "jnst" / "compiled").glob("*-cache"))),
        "programs so far": len(list((cache / "jnst" / "programs").glob("*"))),
    }


def looped(function: Callable[[Any], Any], x: Any, count: int) -> Callable[[], Any]:
    """A call that computes function(x) `count` times in one program, so that starting programs does not count.

    Of x one number changes before each, or XLA would compute it once.
    """
    import jax
    import jax.numpy as jnp

    def body(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        x = carry[0].at[(0,) * carry[0].ndim].add(1e-6)
        return x, function(x)

    @jax.jit
    def run(x: Any) -> Any:
        blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, x))
        return jax.lax.fori_loop(0, count, body, (x, blank))

    return lambda: jax.block_until_ready(run(x))


def limit_seconds(operations: float, precision: str) -> float | None:
    """The least seconds of so many operations on the chip at hand; None where it is not known."""
    import jax

    kind = jax.devices()[0].device_kind.lower()
    chip = next((chip for name, chip in CHIPS.items() if name in kind.replace(" ", "").replace("h200", "h100")), None)
    return None if chip is None else operations / chip.flops[precision]


def evaluation(options: argparse.Namespace) -> Rows:
    """Value and gradient, and 500 evaluations in the solver's loop, at one scale; how busy the GPU is meanwhile."""

    from benchmarks import problem as problems
    from benchmarks.batch import gpu_use
    from benchmarks.evaluation import noisy_points, operations

    weights = problems.load_params(options.weights)
    for size in options.sizes:
        for precision in ("bfloat16", "tensorfloat32", "float32"):
            config = replace(problems.ONE_SIZE, precision=precision)
            problem = problems.load_problem(options.images, weights.params, size, config)
            x, count = next(noisy_points(problem)), options.loops
            repeated = looped(lambda x, problem=problem: problem.function(x, *problem.args), x, count)
            seconds = timed(repeated, repetitions=3) / count
            minimiser = problems.make_solver(problem.function, "lbfgsb")
            run, _ = problems.advance(minimiser, problems.start(minimiser, x, problem.args), problem.args, 2)
            before = int(run.state.evaluations)
            with gpu_use() as use:
                began = time.perf_counter()
                while int(run.state.evaluations) < before + options.evaluations and not int(run.state.status):
                    run, _ = problems.advance(minimiser, run, problem.args, min(problems.CHUNK, options.evaluations))
                measured = max(1, int(run.state.evaluations) - before)
                loop = (time.perf_counter() - began) / measured
            least = limit_seconds(operations(problem, weights.architecture), precision)
            yield {
                "size": problem.size, "precision": precision, "value and gradient, ms": 1e3 * seconds,
                "in the solver's loop, ms": 1e3 * loop, "evaluations": measured,
                "evaluations a second": 1 / loop, "500 evaluations, s": 500 * loop,
                "limit, ms": "" if least is None else 1e3 * least,
                "limit over loop": "" if least is None else least / loop, "GPU busy by nvidia-smi, %": use(),
            }  # fmt: skip


def torch(options: argparse.Namespace) -> Rows:
    """PyTorch on the same objective, in turn with jnst; its convolutions are in TF32, as by default on a GPU.

    What torch.compile takes minutes for comes last, beside jnst once more.
    """
    import jax
    import numpy as np

    from benchmarks import problem as problems
    from benchmarks.evaluation import interleaved, noisy_points, torch_objectives

    weights, size = problems.load_params(options.weights), options.sizes[0]
    contenders: dict[str, Callable[[], Any]] = {}
    for precision in ("tensorfloat32", "bfloat16", "float32"):
        config = replace(problems.ONE_SIZE, precision=precision)
        problem = problems.load_problem(options.images, weights.params, size, config)
        x, compiled = next(noisy_points(problem)), jax.jit(problem.function)
        contenders[f"jnst, {precision}"] = lambda f=compiled, x=x, args=problem.args: jax.block_until_ready(f(x, *args))
    problem = problems.load_problem(options.images, weights.params, size)
    x = np.asarray(next(noisy_points(problem)))
    for compiled in (False,) if options.small else (False, True):
        rivals = torch_objectives(problem, weights.params, compiled=compiled)
        calls = {
            name: partial(gradient_sum, rival, rival.image(x))
            for name, rival in rivals.items()
            if name.endswith("compiled") == compiled
        }
        if not calls:  # torch.compile does not work here, which was told of
            return
        seconds = interleaved(contenders | calls, options.repetitions)
        fastest = min(seconds[name] for name in calls)
        for name, value in seconds.items():
            yield {
                "size": problem.size, "contender": name, "value and gradient, ms": 1e3 * value,
                "over the fastest PyTorch beside it": value / fastest,
            }  # fmt: skip


def gradient_sum(rival: Any, point: Any) -> float:
    """PyTorch's value and gradient, waited for."""
    return rival.value_and_grad(point)[1].sum().item()


def busy(options: argparse.Namespace) -> Rows:
    """Where the time of the solver's loop goes, by JAX's profile of some iterations."""
    import jax

    from benchmarks import problem as problems
    from benchmarks.evaluation import noisy_points

    weights, size = problems.load_params(options.weights), options.sizes[0]
    for precision in ("bfloat16", "float32"):
        config = replace(problems.ONE_SIZE, precision=precision)
        problem = problems.load_problem(options.images, weights.params, size, config)
        minimiser, x = problems.make_solver(problem.function, "lbfgsb"), next(noisy_points(problem))
        run, _ = problems.advance(minimiser, problems.start(minimiser, x, problem.args), problem.args, 4)
        with tempfile.TemporaryDirectory() as folder:
            with jax.profiler.trace(folder):
                problems.advance(minimiser, run, problem.args, PROFILED)
            (path,) = Path(folder).rglob("*.xplane.pb")
            events = device_events(jax.profiler.ProfileData.from_file(str(path)).planes)
        span, used = busy_time(events)
        first = {"size": problem.size, "precision": precision}
        yield {**first, "what": f"{PROFILED} iterations", "ms": 1e3 * span, "share": used / span}
        for name, seconds in longest(events):
            yield {**first, "what": name, "ms": 1e3 * seconds, "share": seconds / span}


Event = tuple[str, float, float]
"""name, begin and end in seconds"""


def device_events(planes: Iterable[Any]) -> list[Event]:
    """What the device did: the kernels and copies of a GPU's streams.

    On a processor, what XLA's threads did, waits and calls within calls too, so that its shares say little.

    Args:
        planes: of a profile (`jax.profiler.ProfileData`).
    """
    planes = list(planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    lines = [line for plane in devices for line in plane.lines if line.name.startswith("Stream")]
    if not devices:
        lines = [line for plane in planes for line in plane.lines if line.name.startswith("tf_XLA")]
    return [(e.name, e.start_ns / 1e9, e.end_ns / 1e9) for line in lines for e in line.events]


def busy_time(events: list[Event]) -> tuple[float, float]:
    """Seconds from the first begin to the last end, and those of them in which at least one event was under way.

    Args:
        events: in any order; they may overlap.

    Raises:
        InputError: there is none.
    """
    if not events:
        raise InputError("the profile holds nothing that the device did")
    used, until = 0.0, min(begin for _, begin, _ in events)
    first = until
    for _, begin, end in sorted(events, key=lambda event: event[1]):
        used += max(0.0, end - max(begin, until))
        until = max(until, end)
    return until - first, used


def longest(events: list[Event]) -> list[tuple[str, float]]:
    """The names with the most seconds in all, LONGEST of them.

    Args:
        events: in any order.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    for name, begin, end in events:
        seconds[name] += end - begin
    return sorted(seconds.items(), key=lambda item: -item[1])[:LONGEST]


def batch(options: argparse.Namespace) -> Rows:
    """A folder of photographs of one shape, side by side in one program, twice: the first time compiles."""
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
                 "--image-size", size, "--quiet", "--scales", 1, "--batch-size", options.photographs, *options.recipe],
                folder / "cache",
            )  # fmt: skip
            yield {
                "size": size, "photographs": options.photographs, "run": title, "wall": wall,
                "an hour": 3600 * options.photographs / wall, **kept_programs(folder / "cache"),
            }  # fmt: skip


def large(options: argparse.Namespace) -> Rows:
    """One very large picture, three iterations at its own size, in windows: to compile what does not fit takes long."""
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
             "--image-size", side, "--iterations", 3, "--scales", 1, "--tile", 0 if options.small else 2048,
             "--trace", trace, "--quiet"],
            folder / "cache",
        )  # fmt: skip
        *_, footer = map(json.loads, trace.read_text().splitlines())
        yield {"size": f"{side}x{side * 3 // 4}", "wall": wall, **footer["laps"], **footer["peak_memory"]}


def parts(options: argparse.Namespace) -> Rows:
    """Pieces of an evaluation that a library may do slowly, each alone."""
    import jax
    import jax.numpy as jnp

    from jnst.losses.statistics import mean_gram
    from jnst.optim.preconditioner import OCTAVES, BandEnergies, Spectral, padded_dft

    size = options.sizes[0]
    height, width = size * 3 // 4, size
    prime = next(n for n in range(width + 1, 2 * width) if all(n % k for k in range(2, int(n**0.5) + 1)))
    key = jax.random.key(0)

    def row(name: str, function: Callable[[Any], Any], x: jax.Array) -> dict[str, Any]:
        seconds = timed(looped(function, x, options.loops), repetitions=3) / options.loops
        return {"part": name, "shape": "x".join(map(str, x.shape)), "ms": 1e3 * seconds}

    for columns in (width, prime):
        planes = jax.random.normal(key, (3, height, columns))
        yield row(
            f"rfft2 and back, {columns} columns", lambda a: jnp.fft.irfft2(jnp.fft.rfft2(a), s=a.shape[-2:]), planes
        )
    spectral, energies = Spectral(), jnp.linspace(1.0, 2.0, OCTAVES * 3).reshape(OCTAVES, 3)
    state = BandEnergies(energies, energies[::-1])
    for columns in (width, prime):
        x = jax.random.normal(key, (1, height, columns, 3))
        yield row(f"preconditioner, {columns} columns", lambda v: spectral.precondition(state, v), x)
        yield row(f"its update by a pair, {columns} columns", lambda v: spectral.update(state, v, v), x)
    dft = padded_dft((height, width), jnp.asarray([height - 1, width - 1]))
    x = jax.random.normal(key, (1, height, width, 3))
    yield row("preconditioner in a canvas, by matrices", lambda v: Spectral(dft).precondition(state, v), x)
    octave = jax.random.randint(key, (height, width // 2 + 1), 0, OCTAVES)
    # the spread of the gains over the frequencies, as Spectral.precondition has it, and two other ways
    spreads: dict[str, Callable[[Any], Any]] = {
        "jnp.where chain": lambda g: sum(jnp.where(octave == k, g[k][:, None, None], 0) for k in range(OCTAVES)),
        "one look-up": lambda g: jnp.moveaxis(g[octave], -1, 0),
        "one-hot product": lambda g: jnp.einsum("hwk,kc->chw", jax.nn.one_hot(octave, OCTAVES), g, precision="highest"),
    }
    for name, spread in spreads.items():
        yield row(f"gains of the bands: {name}", spread, energies)
    maps = jax.random.normal(key, (1, height, width, 64))
    yield row("Gram matrix of conv1_1", mean_gram, maps)
    yield row("and its gradient", jax.grad(lambda f: jnp.sum(mean_gram(f) ** 2)), maps)
    for precision in ("high", "default"):  # TF32 on a GPU
        yield row(f"Gram matrix, {precision} precision", partial(plain_gram, precision=precision), maps)


def plain_gram(maps: Any, *, precision: str) -> Any:
    """The product of `jnst.losses.statistics.gram` in another precision."""
    import jax.numpy as jnp

    matrix = maps.reshape(-1, maps.shape[-1])
    return jnp.matmul(matrix.T, matrix, precision=precision) / len(matrix)


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


def append(output: Path, part: str, row: dict[str, Any]) -> None:
    """Writes a row of the report at once, so that a call that is cut off has it."""
    finite = {key: "" if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
    with (output / "rows.jsonl").open("a") as file:
        file.write(json.dumps({"part_of_report": part, **finite}) + "\n")


def measure_part(options: argparse.Namespace) -> None:
    """Measures one part in this process, and keeps each row as it is measured."""
    for row in globals()[options.part](options) if options.part != "about" else [about()]:
        print(json.dumps(row), flush=True)
        append(options.output, options.part, row)


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


def seconds_for(name: str, names: list[str], left: float) -> float:
    """The seconds that a part may take: its share of what is left, so that those after it get what it leaves.

    Args:
        name: of the part.
        names: of it and of all after it.
        left: seconds of the report.
    """
    return left * PARTS.get(name, 0) / sum(PARTS[n] for n in names)


def run_part(command: list[str], seconds: float, folder: str) -> str:
    """Runs a part and ends all that it started when its time is over, or a GPU's memory would stay taken.

    Args:
        command: in whose process group everything runs.
        seconds: that it may take.
        folder: for temporary files, which one that is cut off leaves behind.

    Returns:
        Why it was not done, in a line; empty where it was.
    """
    child = subprocess.Popen(command, start_new_session=True, env={**os.environ, "TMPDIR": folder})
    try:
        code = child.wait(seconds)
        return f"failed with exit code {code}" if code else ""
    except subprocess.TimeoutExpired:
        return f"was not done in its {seconds:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def run_parts(options: argparse.Namespace, names: list[str], arguments: list[str]) -> None:
    """Runs the parts one after another, each within its seconds and all within the report's."""
    began = time.perf_counter() - options.spent
    total = TOTAL * options.patience
    (options.output / "rows.jsonl").unlink(missing_ok=True)
    for k, name in enumerate(["about", *names]):
        elapsed = time.perf_counter() - began
        left = total - elapsed
        seconds = min(60.0, left) if name == "about" else seconds_for(name, names[k - 1 :], left)
        print(f"[{elapsed:4.0f} s] {name}: at most {max(0, seconds):.0f} s", flush=True)
        why = f"was left out: the report's {total:.0f} s are over"
        if seconds >= LEAST:
            command = [sys.executable, "-m", "benchmarks.gpu_report", *arguments, "--part", name]
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                why = run_part(command, seconds, folder)
        if why:
            print(f"  {name} {why}; what it had measured is kept", flush=True)
            append(options.output, "not done", {"part": name, "why": why})
    print(f"[{time.perf_counter() - began:4.0f} s] done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="?", help="a folder with the pictures of benchmarks.problem")
    parser.add_argument("--weights", type=Path, help="a weight file")
    parser.add_argument("--output", type=Path, help="a folder for rows.jsonl and report.md")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try every part without a GPU")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", type=int, nargs="+", help="longer sides in pixels; 512 1024 by default")
    parser.add_argument("--patience", type=float, default=1, help="times the seconds that the parts may take")
    parser.add_argument("--spent", type=float, default=0, help="seconds of the call that are over already")
    parser.add_argument("--table", type=Path, metavar="FOLDER", help="print the tables of a report, measure nothing")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.table:
            print(tables(options.table))
            return
        if not (options.images and options.weights and options.output):
            parser.error("IMAGES, --weights and --output are needed, or --table")
        options.sizes = options.sizes or ([64, 96] if options.small else [512, 1024])
        options.loops = 4 if options.small else 50
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
