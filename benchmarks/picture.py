"""How good the pictures are: jnst beside other programs' pictures, by judges that no run optimises, and in sheets.

python -m benchmarks.picture ../shared/images --weights vgg19.h5 --sizes 256 --out out/pictures

Every pair of PAIRS is painted with the defaults, or with what --set names (`--set strength=0.8`), then measured
(`benchmarks.judges`), and laid beside its photograph and painting in `SIZE/CONTENT_STYLE.sheet.png`. Pictures of other
programs are measured too where they lie as `SIZE/CONTENT_STYLE.PEER.png` in --peers. The rows `photograph` (nothing is
done) and `painting` (it is put in the photograph's place) keep the judges honest. With several values of strength
(`--set strength=0.4,0.6,0.8`) the table is the curve of style against content.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import jnst
from benchmarks.judges import NAMES, judge
from benchmarks.problem import load_params
from jnst.errors import InputError
from jnst.io import compile_cache, image
from tools.montage import montage

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PAIRS = [
    ("astronaut", "the_scream"),  # a face
    ("astronaut", "starry_night"),
    ("astronaut", "facets"),  # under large flat shapes
    ("cat", "shipwreck"),
    ("cat", "dabs"),
    ("tubingen", "starry_night"),  # buildings
    ("tubingen", "the_scream"),
    ("hoovertowernight", "wave_crop"),
    ("hoovertowernight", "swirls"),
    ("coffee", "the_scream"),
    ("rocket", "wave_crop"),  # flat
    ("summer", "starry_night"),  # a landscape
    ("line_art", "swirls"),
]


@dataclass(frozen=True)
class Row:
    """One measured picture."""

    pair: str
    size: int
    program: str
    seconds: float
    measures: dict[str, float]


def find(name: str, folder: Path) -> Path | None:
    """The image file of that name, in the folder or among the examples."""
    files = (path for place in (folder, EXAMPLES) for path in sorted(place.glob(f"{name}.*")))
    return next(files, None)


def load(name: str, folder: Path, size: int) -> np.ndarray | None:
    """An image with its longer side at `size`; None where there is none of that name."""
    if name == "line_art":
        from benchmarks.solver import line_art

        return np.asarray(line_art(size))
    path = find(name, folder)
    return None if path is None else image.load(path, image_size=size)


def variants(settings: list[str]) -> Iterator[tuple[str, jnst.Config]]:
    """Every combination of the values of `name=value,value`, as a Config, with its name."""
    from jnst.cli.options import RowOptions
    from jnst.cli.parsing import make_config, parse_over
    from jnst.cli.settings import settings_to_flags, text_to_setting

    names = [setting.split("=", 1)[0] for setting in settings]
    choices = [setting.split("=", 1)[1].split(",") for setting in settings]
    for values in itertools.product(*choices):
        chosen = {name: text_to_setting(name, value) for name, value in zip(names, values, strict=True)}
        config = make_config(parse_over(RowOptions, settings_to_flags(chosen), RowOptions(0, 1.0)))
        yield " ".join(["jnst", *(f"{name}={value}" for name, value in zip(names, values, strict=True))]), config


def rows_of(pair: tuple[str, str], size: int, options: Any, params: Any) -> Iterator[tuple[Row, Path]]:
    """Paints and measures one pair at one size."""
    loaded = [load(name, options.images, size) for name in pair]
    if loaded[0] is None or loaded[1] is None:
        return
    content, style = loaded[0], loaded[1]
    name, folder = "_".join(pair), options.out / str(size)
    folder.mkdir(parents=True, exist_ok=True)
    height, width = content.shape[1:3]

    def row(program: str, picture: np.ndarray, seconds: float) -> tuple[Row, Path]:
        path = folder / f"{name}.{program.replace(' ', '_')}.png"
        image.save(picture, path)
        return Row(name, size, program, seconds, judge(content, style, picture)), path

    yield row("photograph", content, 0)
    yield row("painting", image.resize(style, height, width), 0)
    for program, config in variants(options.set):
        began = time.perf_counter()
        result = jnst.stylize(content, style, config, params)
        yield row(program, result.image, time.perf_counter() - began)
    if options.peers:
        for path in sorted((options.peers / str(size)).glob(f"{name}.*.png")):
            yield row(path.name.split(".")[-2], image.load(path, size=(height, width)), float("nan"))


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| pair | size | picture | seconds | " + " | ".join(NAMES) + " |", "| --- " * (len(NAMES) + 4) + "|"]
    for row in rows:
        values = " | ".join(f"{row.measures[name]:.3g}" for name in NAMES)
        lines.append(f"| {row.pair} | {row.size} | {row.program} | {row.seconds:.0f} | {values} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of photographs and paintings, beside the examples")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256])
    parser.add_argument("--out", type=Path, default=Path("out/pictures"))
    parser.add_argument("--peers", type=Path, help="folder of other programs' pictures")
    parser.add_argument("--pairs", nargs="+", help="some pairs only, as CONTENT_STYLE")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE[,VALUE]", help="settings in place of defaults"
    )
    options = parser.parse_args()
    compile_cache.keep_compiled()
    try:
        params = load_params(options.weights)
        rows: list[Row] = []
        for size, pair in itertools.product(options.sizes, PAIRS):
            if options.pairs and "_".join(pair) not in options.pairs:
                continue
            found = list(rows_of(pair, size, options, params))
            rows += [row for row, _ in found]
            if found:
                originals, others = [path for _, path in found[:2]], [path for _, path in found[2:]]
                sheet = options.out / str(size) / f"{'_'.join(pair)}.sheet.png"
                montage([*originals, *others], size).save(sheet)
                print(table([row for row, _ in found]), flush=True)
        (options.out / "rows.json").write_text(json.dumps([row.__dict__ for row in rows], indent=1))
        print(table(rows))
    except InputError as error:
        parser.exit(2, f"picture: {error}\n")


if __name__ == "__main__":
    main()
