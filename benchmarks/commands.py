"""Figures `job` and `memory` of benchmarks.speed: whole processes, from the shell's prompt to the written file."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.evaluation import HAS_TORCH
from benchmarks.problem import CONTENT, STYLE
from jnst.capacity import available

CHECKOUT = Path(__file__).resolve().parent.parent
ONE_SIZE_FLAGS = (
    "--scales", 1, "--style-sizes", 1, "--style-loss", "gram", "--style-unit", "painting",
    "--content-layers", "conv4_2", "--tv-weight", 0,
)  # fmt: skip
STRATEGIES = {
    "jnst": ("--tile", "0"),
    "jnst --checkpoint": ("--tile", "0", "--checkpoint"),
    "jnst --tile 1024": ("--tile", "1024"),
}


def inputs(options: argparse.Namespace, size: int, folder: str) -> list[Path]:
    """Content and style of at least that size, enlarged where they are smaller."""
    paths = []
    for name in (CONTENT, STYLE):
        with Image.open(options.images / name) as picture:
            scale = size / max(picture.size)
            if scale > 1:
                width, height = (round(side * scale) for side in picture.size)
                picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).save(Path(folder) / name)
        paths.append(Path(folder) / name if scale > 1 else (options.images / name).resolve())
    return paths


def run_jnst(arguments: list[Any], cache: Path) -> float:
    """Runs the command line on these arguments; wall seconds.

    What is compiled is kept below `cache` as it is in a user's own: with JAX_COMPILATION_CACHE_DIR `jnst.programs`
    would keep nothing, and a filled cache seem slower than it is.
    """
    environment = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(cache)
    command = [sys.executable, "-m", "jnst.run", *map(str, arguments)]
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True)
    return time.perf_counter() - began


def jnst_job(options: argparse.Namespace, size: int, iterations: int, cache: Path, *more: str) -> dict[str, Any]:
    """A whole run of the command line: wall seconds and the footer of its trace."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "run.jsonl"
        arguments = [
            *inputs(options, size, folder), "-o", Path(folder) / "out.png", "--weights", options.weights,
            "--image-size", size, "--iterations", iterations, *ONE_SIZE_FLAGS, "--trace", trace, "--quiet", *more,
        ]  # fmt: skip
        wall = run_jnst(arguments, cache)
        header, *_, footer = map(json.loads, trace.read_text().splitlines())
        return {"wall": wall, **footer, "settings": header["settings"]}


def torch_job(options: argparse.Namespace, size: int, evaluations: int) -> dict[str, Any]:
    """The same by baselines_torch, which may not take more memory than jnst sees free."""
    free = available()
    limit = free // 1024 if free else "unlimited"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "benchmarks.baselines_torch", *inputs(options, size, folder),
            Path(folder) / "out.png", "--weights", options.weights.resolve(), "--image-size", size,
            "--evaluations", evaluations, "--channels-last",
        ]  # fmt: skip
        began = time.perf_counter()
        done = subprocess.run(
            ["sh", "-c", f'ulimit -d {limit}; exec "$@"', "sh", *map(str, command)],
            stdout=subprocess.PIPE, text=True, check=True, cwd=CHECKOUT,
        )  # fmt: skip
        return {"wall": time.perf_counter() - began, **json.loads(done.stdout.splitlines()[-1])}


def job(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 2: seconds of a job with an empty and with a filled compilation cache, and where they go."""
    for size in options.job_sizes:
        with tempfile.TemporaryDirectory() as cache:
            for name in ("jnst, empty cache", "jnst, filled cache"):
                done = jnst_job(options, size, options.iterations, Path(cache))
                phases = done["laps"]
                start = done["wall"] - sum(phases.values())
                yield {
                    "size": size, "contender": name, "count": options.iterations, "seconds": done["wall"],
                    "but iterations": done["wall"] - phases["iterations"], "start": start, **phases,
                    "loss": done["loss"],
                }  # fmt: skip
        if HAS_TORCH:
            done = torch_job(options, size, options.iterations + 1)
            yield {
                "size": size, "contender": "PyTorch, channels last", "count": options.iterations,
                "seconds": done["wall"], "but iterations": done["wall"] - done["seconds"],
                "iterations": done["seconds"], "loss": done["loss"],
            }  # fmt: skip


def memory(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 4: peak bytes of a process that runs the whole job, and seconds an iteration."""
    for size in options.memory_sizes:
        for name, flags in STRATEGIES.items():
            yield {"size": size, "contender": name, **strategy_memory(options, size, flags)}
        if HAS_TORCH:
            yield {"size": size, "contender": "PyTorch, channels last", **torch_memory(options, size)}


def strategy_memory(options: argparse.Namespace, size: int, flags: tuple[str, ...]) -> dict[str, Any]:
    """The figures of one memory strategy of jnst; the first of its three runs compiles."""
    few, more = options.memory_iterations
    with tempfile.TemporaryDirectory() as cache:
        try:
            done = [jnst_job(options, size, count, Path(cache), *flags) for count in (few, few, more)]
        except subprocess.CalledProcessError:
            return {"peak GB": "does not fit"}
    if any(one["settings"]["checkpoint"] != ("--checkpoint" in flags) for one in done):
        return {"peak GB": "does not fit"}  # another strategy was chosen
    first, second, last = (one["peak_memory"] for one in done)
    seconds = (done[2]["laps"]["iterations"] - done[1]["laps"]["iterations"]) / (more - few)
    return {
        "peak GB": second["process"] / 1e9, "after more iterations": last["process"] / 1e9,
        "with compiling": first["process"] / 1e9, "of the device": (second["device"] or 0) / 1e9,
        "seconds an iteration": seconds,
    }  # fmt: skip


def torch_memory(options: argparse.Namespace, size: int) -> dict[str, Any]:
    """The figures of PyTorch."""
    few, more = options.memory_iterations
    try:
        done = [torch_job(options, size, count + 1) for count in (few, more)]
    except subprocess.CalledProcessError:
        return {"peak GB": "does not fit"}
    return {
        "peak GB": done[0]["peak"] / 1e9, "after more iterations": done[1]["peak"] / 1e9,
        "seconds an iteration": (done[1]["seconds"] - done[0]["seconds"]) / (more - few),
    }  # fmt: skip
