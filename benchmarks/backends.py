"""What each way to compute one value-and-gradient costs on the CPU: XLA's backends, and jnst's own rules left out.

python -m benchmarks.backends ../shared/images --weights vgg19.h5 --sizes 256 512 --repetitions 7
python -m benchmarks.backends ../shared/images --weights vgg19.h5 --only default direct torch

Every contender has a process of its own, because XLA reads its flags once; all of them are compiled first and then
evaluate in turn while the others wait, so that a noisy minute falls on all alike. Told are medians, the median of the
ratios to `default` within a turn, the program's temporaries and the seconds that it took to compile. The objective is
that of `benchmarks.speed`: one scale, Gram matrices at five layers, content at conv4_2.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
from jax import lax

from benchmarks import problem as problems
from benchmarks.evaluation import noisy_points, torch_objectives
from jnst.io.trace import versions

YNN = "--xla_cpu_experimental_ynn_fusion_type="


@dataclasses.dataclass(frozen=True)
class Contender:
    """A way to compute the objective.

    Attributes:
        flags: XLA's.
        without: which of jnst's own rules are left out, keys of `RULES`.
        program: "loop" evaluates in a `while` as the engine does, "plain" outside of one, "torch" is PyTorch.
    """

    flags: str = ""
    without: tuple[str, ...] = ()
    program: str = "loop"


CONTENDERS = {
    "default": Contender(),
    "outside a loop": Contender(program="plain"),
    "gradient in tiles of 2": Contender(without=("gradient tiles",)),
    "direct": Contender(without=("winograd",)),
    "JAX's gradient of convolutions": Contender(without=("winograd", "conv3x3")),
    "Gram not by strips": Contender(without=("strips",)),
    "no order of readings": Contender(without=("tap", "wait")),
    "reduce_window": Contender(without=("max_pool",)),
    "no rule at all": Contender(without=("winograd", "conv3x3", "strips", "tap", "wait", "max_pool")),
    "YNNPACK off": Contender(YNN),
    "YNNPACK off, direct": Contender(YNN, without=("winograd",)),
    "YNNPACK off, no rule at all": Contender(
        YNN, without=("winograd", "conv3x3", "strips", "tap", "wait", "max_pool")
    ),
    "YNNPACK with elementwise": Contender(f"{YNN}+LIBRARY_FUSION_TYPE_ELTWISE"),
    "oneDNN": Contender("--xla_cpu_use_onednn=true"),
    "oneDNN, direct": Contender("--xla_cpu_use_onednn=true", without=("winograd",)),
    "torch": Contender(program="torch"),
    "torch, channels last": Contender(program="torch, channels last"),
}  # fmt: skip


def _plain_tap(reader: Callable) -> Callable:
    return lambda x: (x, reader(x))


def _reduce_window(x: jax.Array) -> jax.Array:
    return lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def leave_out(rule: str) -> None:
    """Replaces one of jnst's own rules by what JAX does by itself, for the rest of this process.

    Args:
        rule: "winograd", "gradient tiles", "conv3x3", "strips", "tap", "wait" or "max_pool".
    """
    from jnst.losses import objective, statistics
    from jnst.network import conv, vgg

    replacements: dict[str, tuple[Any, str, Any]] = {
        "winograd": (vgg, "WINOGRAD_CHANNELS", 10**6),
        "gradient tiles": (vgg, "GRADIENT_KERNEL_BYTES", 0),
        "conv3x3": (vgg, "conv3x3", conv._convolve),
        "strips": (statistics, "_gram_by_strips", statistics._plain_gram),
        "tap": (vgg, "tap_with_barrier", _plain_tap),
        "wait": (objective, "wait_for", lambda _, x: x),
    }
    if rule == "max_pool":
        mock.patch.dict(conv.POOLS, {"max": _reduce_window}).start()
    else:
        mock.patch.object(*replacements[rule]).start()


def compile_evaluation(options: argparse.Namespace, contender: Contender, size: int) -> tuple[Callable[[], Any], dict]:
    """Compiles the objective.

    Returns:
        A function that evaluates once and waits for it, and what is known of the program.
    """
    weights = problems.load_params(options.weights)
    problem = problems.load_problem(options.images, weights.params, size)
    x = next(noisy_points(problem))
    if contender.program.startswith("torch"):
        rival = torch_objectives(problem, weights.params)[contender.program.replace("torch", "PyTorch")]
        point = rival.image(np.asarray(x))
        return lambda: rival.value_and_grad(point)[1].sum().item(), {"size": problem.size}

    def looped(x: jax.Array, *args: Any) -> Any:
        # the objective inside a loop whose number of turns XLA does not know
        (value, _), gradient = jax.eval_shape(problem.function, x, *args)
        first = jax.numpy.zeros(value.shape, value.dtype), jax.numpy.zeros(gradient.shape, gradient.dtype)

        def body(carry: Any) -> Any:
            (value, _), gradient = problem.function(carry[1], *args)
            return carry[0] - 1, carry[1], (value, gradient)

        turns = 1 + (x[0, 0, 0, 0] > 2).astype(jax.numpy.int32)
        return lax.while_loop(lambda carry: carry[0] > 0, body, (turns, x, first))[2]

    began = time.perf_counter()
    function = looped if contender.program == "loop" else problem.function
    program = jax.jit(function).lower(x, *problem.args).compile()
    memory: Any = program.memory_analysis()
    about = {
        "size": problem.size, "compile": time.perf_counter() - began, "temporaries": memory.temp_size_in_bytes,
    }  # fmt: skip
    return lambda: jax.block_until_ready(program(x, *problem.args)), about


def serve(options: argparse.Namespace) -> None:
    """Is one contender: says what it compiled, then evaluates once for every line that it is given."""
    contender = CONTENDERS[options.worker]
    for rule in contender.without:
        leave_out(rule)
    run, about = compile_evaluation(options, contender, options.sizes[0])
    run()
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        began, used = time.perf_counter(), time.process_time()
        run()
        seconds = {"wall": time.perf_counter() - began, "cpu": time.process_time() - used}
        print(json.dumps(seconds), flush=True)


class Worker:
    """The process of one contender."""

    def __init__(self, options: argparse.Namespace, name: str, size: int) -> None:
        contender = CONTENDERS[name]
        flags = f"{os.environ.get('XLA_FLAGS', '')} {contender.flags}".strip()
        command = [
            sys.executable, "-m", "benchmarks.backends", options.images, "--weights", options.weights,
            "--sizes", str(size), "--worker", name,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, env={**os.environ, "XLA_FLAGS": flags}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.about = self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line that the process prints; empty where it has ended."""
        assert self.process.stdout
        return json.loads(self.process.stdout.readline() or "{}")

    def evaluate(self) -> dict[str, Any]:
        """Seconds of one evaluation."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()

    def complaint(self) -> str:
        """The last line that a process which has ended printed to stderr."""
        lines = self.process.communicate()[1].strip().splitlines()
        return lines[-1][:120] if lines else "no word"


def measure(options: argparse.Namespace, size: int) -> list[dict[str, Any]]:
    """Compiles all contenders at one size and lets them evaluate in turn; a row each."""
    workers: dict[str, Worker] = {}
    for name in options.only:
        print(f"{size} px: {name}", file=sys.stderr, flush=True)
        worker = Worker(options, name, size)
        if worker.about:
            workers[name] = worker
        else:
            print(f"  does not run here: {worker.complaint()}", file=sys.stderr, flush=True)
    turns = [{name: worker.evaluate() for name, worker in workers.items()} for _ in range(options.repetitions)]
    for worker in workers.values():
        worker.process.kill()
        worker.process.wait()
    rows = []
    for name, worker in workers.items():
        row: dict[str, Any] = {"size": worker.about["size"], "contender": name}
        for clock in ("wall", "cpu"):
            row[clock] = statistics.median(turn[name][clock] for turn in turns)
        for rival in ("default", "torch", "torch, channels last"):
            ratios = [turn[name]["wall"] / turn[rival]["wall"] for turn in turns] if rival in workers else []
            row[f"over {rival}"] = statistics.median(ratios) if ratios else ""
        rows.append(row | {"MB": worker.about.get("temporaries", 0) / 1e6, "compile": worker.about.get("compile", "")})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help=f"a folder with {problems.CONTENT} and {problems.STYLE}")
    parser.add_argument("--weights", required=True, type=Path, help="a weight file")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="CONTENDER")
    parser.add_argument("--output", type=Path, help="all rows as JSON")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        options.images = Path(options.images)
        serve(options)
        return
    print(json.dumps(versions()), flush=True)
    rows: list[dict[str, Any]] = []
    for size in options.sizes:
        for row in measure(options, size):
            if not rows:
                print("| " + " | ".join(row) + " |\n|" + " --- |" * len(row))
            rows.append(row)
            cells = (f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row.values())
            print("| " + " | ".join(cells) + " |", flush=True)
    if options.output:
        options.output.write_text(json.dumps({"versions": versions(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
