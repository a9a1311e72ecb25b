"""Seconds to quality as a user waits for it: the judges over the wall clock, from the start of a process.

python -m benchmarks.curves photo.jpg painting.jpg --paint out/jnst --weights vgg19.h5 --size 256
python -m benchmarks.curves photo.jpg painting.jpg --size 256 --folders out/jnst out/neural-style-pt

--paint runs jnst in a process of its own (with the settings of --set) and keeps the best picture after every so many
iterations as `SECONDS.png`; other programs' intermediate pictures can be given as folders of such files, too. Then each
picture is judged (`benchmarks.judges`), and told are the seconds after which the content error and the style distance
stay within 5 % of their end, and those after which a picture's style is as near to the painting as the last folder's
at its end.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from jnst.errors import InputError
from jnst.io import image

NEAR = 0.05
JUDGES = ("content", "swd")
BEGAN = "JNST_CURVES_BEGAN"


def paint(options: argparse.Namespace) -> None:
    """Paints in this process, and keeps the pictures of the finest scale by the seconds since it was started."""
    import jnst
    from jnst.io import compile_cache

    began = float(os.environ[BEGAN])
    compile_cache.keep_compiled()
    settings = dict(text.split("=", 1) for text in options.set)
    config = jnst.Config(**{name: json.loads(value) for name, value in settings.items()})
    content, style = (image.load(path, image_size=options.size) for path in (options.content, options.style))
    options.paint.mkdir(parents=True, exist_ok=True)

    def keep(pixels: np.ndarray) -> None:
        image.save(pixels, options.paint / f"{time.time() - began:.2f}.png")

    def callback(progress: Any) -> bool:
        pixels = progress.image()
        if pixels.shape == content.shape:
            keep(pixels)
        return False

    weights = jnst.find_weights(path=options.weights)
    result = jnst.stylize(content, style, config, weights, callback=callback, callback_every=options.every)
    keep(np.asarray(result.image))


def curve(folder: Path, content: np.ndarray, style: np.ndarray) -> list[tuple[float, dict[str, float]]]:
    """Seconds and judgement of each of a folder's pictures, in their order."""
    from benchmarks.judges import judge

    rows = []
    for path in sorted(folder.glob("*.png"), key=lambda path: float(path.stem)):
        picture = image.load(path)
        if picture.shape != content.shape:
            picture = image.resize(picture, *content.shape[1:3])
        rows.append((float(path.stem), judge(content, style, picture)))
    if not rows:
        raise InputError(f"{folder} has no pictures named SECONDS.png")
    return rows


def settled(rows: list[tuple[float, dict[str, float]]]) -> float:
    """Seconds after which all judges stay within 5 % of their end."""
    end, seconds = rows[-1][1], rows[-1][0]
    for at, values in reversed(rows):
        if any(abs(values[name] - end[name]) > NEAR * end[name] for name in JUDGES):
            break
        seconds = at
    return seconds


def as_near(rows: list[tuple[float, dict[str, float]]], goal: dict[str, float]) -> float | None:
    """Seconds after which the style distance is at most the goal's; None where it never is."""
    return next((at for at, values in rows if values["swd"] <= goal["swd"]), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", type=Path, help="the photograph")
    parser.add_argument("style", type=Path, help="the painting")
    parser.add_argument("--size", type=int, default=256, help="longer side in pixels")
    parser.add_argument("--weights", help="a weight file")
    parser.add_argument("--paint", type=Path, help="a folder for jnst's pictures")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=JSON", help="settings of --paint")
    parser.add_argument("--every", type=int, default=5, help="iterations between pictures")
    parser.add_argument("--folders", type=Path, nargs="*", default=[], help="what is judged; the last is the rival")
    options = parser.parse_args()
    try:
        if options.paint and BEGAN in os.environ:
            paint(options)
            return
        if options.paint:
            environment = {**os.environ, BEGAN: str(time.time())}
            subprocess.run([sys.executable, "-m", "benchmarks.curves", *sys.argv[1:]], env=environment, check=True)
        content, style = (image.load(path, image_size=options.size) for path in (options.content, options.style))
        curves = {folder: curve(folder, content, style) for folder in options.folders}
    except InputError as error:
        parser.exit(2, f"curves: {error}\n")
    print("| | content | style distance | end, s | within 5 % of it, s | style as near as the rival's end, s |")
    print("|" + " --- |" * 6)
    for folder, rows in curves.items():
        end, rival = rows[-1][1], next(reversed(curves.values()))
        reached = as_near(rows, rival[-1][1])
        print(
            f"| {folder.name} | {end['content']:.3f} | {end['swd']:.3f} | {rows[-1][0]:.1f} | {settled(rows):.1f} |"
            f" {'never' if reached is None else f'{reached:.1f}'} |"
        )


if __name__ == "__main__":
    main()
