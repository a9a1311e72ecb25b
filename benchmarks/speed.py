"""How fast jnst is, next to PyTorch on the same weights, measured in the same run and interleaved.

python -m benchmarks.speed ../shared/images --weights vgg19.h5 --output speed.json
python -m benchmarks.speed ../shared/images --weights vgg19.h5 --figures evaluation --sizes 256 512

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
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from benchmarks.batch import batch, throughput
from benchmarks.commands import job, memory
from benchmarks.evaluation import HAS_TORCH, evaluation
from benchmarks.problem import CONTENT, STYLE
from benchmarks.quality import precision, quality
from jnst.errors import InputError
from jnst.io.trace import versions

FIGURES = {f.__name__: f for f in (evaluation, job, quality, memory, batch, throughput, precision)}
FOR_GPUS = ("precision", "throughput")


def print_table(name: str, rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Prints row by row as they are measured; a column that only later rows have is in the JSON alone."""
    rows_so_far: list[dict[str, Any]] = []
    print(f"\n{name}\n")
    for row in rows:
        if not rows_so_far:
            print("| " + " | ".join(row) + " |\n|" + " --- |" * len(row))
        rows_so_far.append(row)
        cells = [row.get(column, "") for column in rows_so_far[0]]
        print("| " + " | ".join(f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells) + " |", flush=True)
    return rows_so_far


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
        parser.exit(2, f"speed: {error}\n")


if __name__ == "__main__":
    main()
