"""Compiles jnst's programs for a TPU that is not at hand, and holds what of them can be held without one.

python -m benchmarks.tpu_compile --only step-256-bfloat16-1 --timeout 600
python -m benchmarks.tpu_compile --only step-256-bfloat16-1 --xla exec_time_optimization_effort=-1.0

libtpu (`pip install "jax[tpu]"`) compiles without a chip for what `jax.experimental.topologies` describes. A name is
PROGRAM-SIZE-PRECISION-IMAGES; the default recipe's settings, VGG-19. Programs are `step`, which a run repeats
(`jnst.engine.run_chunk`, the solver in it), `value-and-gradient`, of the objective alone, and pieces of it, which show
what takes long to compile: `forward`, the losses alone; `gram`, without the sliced distance; `one-size`, the style
compared at one size; `whole`, an image that fills its canvas, so without masks; `bare`, the last three together.
Each is compiled in a process of its own, and killed after --timeout seconds.

Held, else exit code 1: a program calls no host and has no float64; a step's peak memory is within a factor of `BOUND`
of what `--plan --for` tells, which compiles for the processor at hand.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from jnst import engine, roofline
from jnst.capacity import program_bytes
from jnst.chips import CHIPS
from jnst.config import Config
from jnst.losses import objective as objectives
from jnst.network.region import Region
from jnst.network.vgg import random_params
from jnst.strategies import Step, step_of

BOUND = 2.0
TOPOLOGIES = {"v5e": ("v5e:2x2", "v5litepod-4"), "v6e": ("v6e:2x2", "v6e-4")}
PIECES: dict[str, dict[str, Any]] = {
    "step": {}, "value-and-gradient": {}, "forward": {}, "gram": {"style_loss": "gram"},
    "one-size": {"style_pyramid_levels": 1}, "whole": {},
    "bare": {"style_loss": "gram", "style_pyramid_levels": 1},
}  # fmt: skip
"""what differs from the default recipe"""
HEADS = {
    "program": "program", "size": "size, px", "precision": "precision", "images": "images", "lower": "lower, s",
    "compile": "compile, s", "cpu": "of one core, s", "code": "code, MB", "flops": "GFLOP", "bytes": "GB moved",
    "temporaries": "temporaries, GB", "arguments": "arguments, GB", "peak": "peak, GB",
    "plan": "peak by --plan --for, GB", "roofline": "roofline, ms",
}  # fmt: skip


def shapes(name: str) -> tuple[str, Step, int]:
    """Returns a program's kind, its step in shapes, and how many images it takes.

    Args:
        name: PROGRAM-SIZE-PRECISION-IMAGES.
    """
    kind, size, precision, count = name.rsplit("-", 3)
    config = replace(Config(), **PIECES[kind], precision=precision, scales=("1",))
    params = jax.eval_shape(lambda key: random_params(key, "vgg19"), jax.random.key(0))
    return kind, step_of(config, params, (int(size), int(size)), prepared=False), int(count)


def arguments(kind: str, step: Step, count: int, device: Any) -> tuple[Any, tuple]:
    """Returns the jitted function of a program and its arguments, in shapes that lie on the device.

    Args:
        kind: a key of `PIECES`.
        step: in shapes.
        count: images.
        device: that it is compiled for.
    """
    place = SingleDeviceSharding(device)

    def put(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), tree)

    problem, run = put(jax.eval_shape(lambda one: engine.empty(one, count), step.begun))
    scalar = put(jax.ShapeDtypeStruct((), jnp.int32))
    if kind == "step":
        return engine.run_chunk, (step.program, None, put(step.params), problem, run, scalar, scalar)
    function = objectives.evaluate if kind == "forward" else objectives.value_and_grad

    def program(params: Any, problem: engine.Problem, x: jax.Array) -> Any:
        corner = jnp.zeros(count, jnp.int32)
        region = Region(corner, corner, problem.size[:, 0], problem.size[:, 1])
        region = None if kind in ("whole", "bare") else region
        return function(params, x, problem.targets, problem.weights, objective=step.program.objective, region=region)

    return jax.jit(program), (put(step.params), problem, run.x)


def measure(name: str, chip: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Lowers and compiles one program, and returns what XLA says of it.

    Args:
        name: of the program.
        chip: a key of `TOPOLOGIES`.
        settings: of XLA.
    """
    kind, step, count = shapes(name)
    device = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGIES[chip][0]).devices[0]
    function, given = arguments(kind, step, count, device)
    began = time.perf_counter()
    traced = function.trace(*given)
    lowered = traced.lower()
    lowering = time.perf_counter() - began
    text = lowered.as_text()
    print(f"{name}: lowered in {lowering:.1f} s, {len(text) / 1e6:.2f} MB", file=sys.stderr, flush=True)
    began, used = time.perf_counter(), time.process_time()
    compiled = lowered.compile(compiler_options=settings)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    print(f"{name}: compiled in {seconds:.1f} s, {used:.1f} of one core", file=sys.stderr, flush=True)
    costs: Any = compiled.cost_analysis()
    memory: Any = compiled.memory_analysis()
    temporaries, taken = memory.temp_size_in_bytes, memory.argument_size_in_bytes
    peak = temporaries + taken + memory.output_size_in_bytes - memory.alias_size_in_bytes
    products: dict[str, float] = dict(roofline.count_products(traced.jaxpr))
    row = {
        "name": name, "lower": lowering, "compile": seconds, "cpu": used, "flops": costs["flops"],
        "bytes": costs["bytes accessed"], "products": products, "temporaries": temporaries, "arguments": taken,
        "peak": peak, "code": memory.generated_code_size_in_bytes,
        "roofline": roofline.seconds(roofline.Work(products, costs["bytes accessed"]), CHIPS[chip]),
        "faults": list(faults(text, compiled.as_text() or "")),
    }  # fmt: skip
    if kind == "step":
        row["plan"] = plan = program_bytes(roofline.trace(step, count=count).lower())
        if not 1 / BOUND <= peak / plan <= BOUND:
            row["faults"].append(f"peak {peak / 1e9:.2f} GB, but --plan --for tells {plan / 1e9:.2f}")
    return row


def faults(lowered: str, compiled: str) -> Iterator[str]:
    """Yields what a program must not hold.

    Args:
        lowered: the program as JAX gives it to XLA.
        compiled: as XLA made it.
    """
    if "callback" in lowered or "callback" in compiled:
        yield "calls the host"
    if "f64" in lowered or "f64[" in compiled:
        yield "float64"


def line(row: dict[str, Any]) -> str:
    """Returns a row of the table.

    Args:
        row: from `measure`.
    """
    kind, size, precision, images = row["name"].rsplit("-", 3)
    shown = {"program": kind, "size": size, "precision": precision, "images": images}
    shown |= {key: f"{row[key]:.1f}" for key in ("lower", "compile", "cpu")}
    shown |= {key: f"{row[key] / 1e9:.2f}" for key in ("bytes", "temporaries", "arguments", "peak")}
    shown |= {"code": f"{row['code'] / 1e6:.0f}", "flops": f"{row['flops'] / 1e9:.0f}"}
    shown |= {"plan": f"{row['plan'] / 1e9:.2f}" if "plan" in row else ""}
    shown["roofline"] = f"{1e3 * row['roofline']:.2f}"
    return "| " + " | ".join(shown[key] for key in HEADS) + " |"


def in_child(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measures one program in a process of its own, which ends with it.

    Args:
        name: of the program.
        options: of the command line.
    """
    settings = {
        "TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": TOPOLOGIES[options.chip][1],
        "TPU_WORKER_HOSTNAMES": "localhost", "JAX_PLATFORMS": "cpu",
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.tpu_compile", "--child", name, "--chip", options.chip]
    command += ["--xla", *options.xla]
    try:
        done = subprocess.run(
            command, env=os.environ | settings, stdout=subprocess.PIPE, text=True, timeout=options.timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return {"name": name, "faults": [f"not compiled within {options.timeout:.0f} s"]}
    if done.returncode:
        return {"name": name, "faults": [f"ended with {done.returncode}, see above"]}
    return json.loads(done.stdout.splitlines()[-1])


def names(options: argparse.Namespace) -> list[str]:
    """Returns the names of what is asked for.

    Args:
        options: of the command line.
    """
    parts = (options.programs, options.sizes, options.precisions, options.images)
    return options.only or ["-".join(map(str, part)) for part in product(*parts)]


def xla_settings(words: list[str]) -> dict[str, Any]:
    """Returns XLA's settings by their names.

    Args:
        words: NAME=VALUE, the value as JSON writes it.
    """
    return {name: json.loads(value) for name, _, value in (word.partition("=") for word in words)}


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="programs by their whole names")
    parser.add_argument("--programs", nargs="+", choices=PIECES, default=["value-and-gradient", "step"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--precisions", nargs="+", default=["bfloat16", "float32"])
    parser.add_argument("--images", nargs="+", type=int, default=[1, 4], help="side by side in a program")
    parser.add_argument("--chip", choices=TOPOLOGIES, default="v5e")
    parser.add_argument("--xla", nargs="*", default=[], metavar="NAME=VALUE", help="what XLA is set to")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds of one program")
    parser.add_argument("--child", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.chip, xla_settings(options.xla))))
        return 0
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "libtpu"))
    settings = " ".join(options.xla) or "as it comes"
    print(f"TPU {options.chip}, XLA {settings}, {versions}, {time.strftime('%Y-%m-%d')}\n")
    print("| " + " | ".join(HEADS.values()) + " |\n|" + " --- |" * len(HEADS), flush=True)
    failed = False
    for name in names(options):
        row = in_child(name, options)
        if "peak" in row:
            print(line(row), flush=True)
        for fault in row["faults"]:
            print(f"{name}: {fault}", file=sys.stderr, flush=True)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
