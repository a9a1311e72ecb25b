"""What coarse to fine is worth: scales of a run and sizes at which style is compared, at about equal time.

python -m benchmarks.scales ../shared/images --weights vgg19.h5 --image-size 512 --pictures out/

A candidate is SCALES/SIZES: a value of --scales, commas between its parts, and one of --style-sizes.
The measure: the mean relative style error (over the style layers) of result and style, both brought to 1, 1/2, 1/4 and
1/8 of the size, and that mean; and the relative content error at full size. Every candidate has about as many seconds
as one scale has for --iterations, compiled before. Writes pictures and a table.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jnst
from benchmarks.problem import evaluate, load_params, make_problem
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import compile_cache, image
from jnst.losses.sizes import pyramid_levels, scales
from jnst.network.architecture import MIN_SIDE

PAIRS = [
    ("tubingen", "starry_night"), ("hoovertowernight", "wave_crop"), ("tubingen", "shipwreck"),
    ("hoovertowernight", "the_scream"), ("tubingen", "the_scream"), ("hoovertowernight", "starry_night"),
]  # fmt: skip
JUDGED = (1, 2, 4, 8)


def judge(params: Any, result: Any, content: Any, style: Any) -> dict[str, float]:
    """Style errors by size, their mean, and the content error."""
    ones = (1.0, 1.0)
    errors: dict[str, float] = {}
    for k in JUDGED:
        problem = make_problem(_smaller(content, k), _smaller(style, k), params, alpha_beta=ones)
        losses = evaluate(problem, _smaller(result, k))
        errors[f"style 1/{k}"] = losses.style
        if k == 1:
            errors["content"] = losses.content
    errors["style"] = float(np.mean([errors[f"style 1/{k}"] for k in JUDGED]))
    return errors


def _smaller(pixels: Any, k: int) -> Any:
    height, width = (max(MIN_SIDE, side // k) for side in pixels.shape[1:3])
    return image.resize(pixels, height, width)


def iterations_for(size: tuple[int, int], requested: Sequence[str], style_sizes: int, budget: int) -> int:
    """Iterations in all that cost as much as `budget` at full size, an iteration's cost being its pixels."""
    costs = []
    for stage in scales(size[0], size[1], 1000, requested):
        count = pyramid_levels(min(stage.height, stage.width), style_sizes)
        costs.append(stage.height * stage.width * sum(0.25**k for k in range(count)))
    return round(budget * size[0] * size[1] / float(np.mean(costs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--image-size", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=100, help="of one scale")
    parser.add_argument(
        "--candidates",
        nargs="+",
        default=["1/1", "auto/1", "1/3", "auto/3"],
        help="the first is judged by",
    )
    parser.add_argument("--strength", type=float, help="of all")
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--pictures", type=Path, help="a folder")
    parser.add_argument("--output", type=Path, help="write everything as JSON")
    options = parser.parse_args()
    compile_cache.keep_compiled()
    try:
        rows = list(compare(options, load_params(options.weights).params))
    except InputError as error:
        parser.exit(2, f"scales: {error}\n")
    if options.output:
        options.output.write_text(json.dumps({"command": sys.argv[1:], "rows": rows}))


def compare(options: argparse.Namespace, params: Any) -> Iterator[dict[str, Any]]:
    """A row a pair and candidate, printed as it comes."""
    params = jax.device_put(params)
    print("| pair | scales/sizes | iterations | seconds | style | over the first | content | over the first | "
          + " | ".join(f"style 1/{k}" for k in JUDGED) + " |\n|" + " --- |" * (8 + len(JUDGED)))  # fmt: skip
    for content_name, style_name in PAIRS[: options.pairs]:
        content = image.load(options.images / f"{content_name}.jpg", image_size=options.image_size)
        style = image.load(options.images / f"{style_name}.jpg", image_size=max(content.shape[1:3]))
        first: dict[str, float] = {}
        for candidate in options.candidates:
            parts, sizes = candidate.split("/")
            requested = parts.split(",")
            count = iterations_for(content.shape[1:3], requested, int(sizes), options.iterations)
            config = Config(
                iterations=count, scales=tuple(requested), style_pyramid_levels=int(sizes), strength=options.strength
            )
            jnst.stylize(content, style, replace(config, iterations=9), params)  # compiles
            result = jnst.stylize(content, style, config, params)
            errors = judge(params, result.image, content, style)
            first = first or errors
            row = {"pair": f"{content_name} x {style_name}", "candidate": candidate, "iterations": count,
                   "seconds": result.seconds, **errors}  # fmt: skip
            cells = [row["pair"], candidate, count, f"{result.seconds:.0f}",
                     *(f"{errors[key]:.4f} | {errors[key] / first[key]:.2f}" for key in ("style", "content")),
                     *(f"{errors[f'style 1/{k}']:.4f}" for k in JUDGED)]  # fmt: skip
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                name = f"{content_name}_{style_name}_{re.sub('[,/]', '-', candidate)}.png"
                image.save(result.image, options.pictures / name)
            yield row


if __name__ == "__main__":
    main()
