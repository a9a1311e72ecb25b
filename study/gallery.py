"""Makes docs/gallery.md: every control in pictures, each by the command that it shows.

python -m study.gallery ../shared/images --weights vgg19.h5 [--only colours masks] [--image-size 256]

Pictures that are there already are not painted again, so that a run that was stopped goes on.
"""

import argparse
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

ROOT = Path(__file__).parents[1]
HEAD = """# Every control in a picture

Made by `python -m study.gallery ../shared/images --weights vgg19.h5` (FACTS, all else by default, VGG-19): each picture
by the command below it, with `--image-size` and `--iterations` beside. The photograph is Tuebingen's front on the
Neckar, the paintings are The Starry Night and The Scream. The same options hold for folders and jobs files
([batch.md](batch.md)).
"""
HEIGHT = 220
"""of a picture in the document, in pixels"""
GAP = 6


@dataclass(frozen=True)
class Row:
    """Pictures beside each other: a caption and what the command says beyond the photograph and the painting."""

    title: str
    text: str
    pictures: dict[str, str]
    photograph: str = "tubingen.jpg"
    style: str = "starry_night.jpg"
    inputs: tuple[str, ...] = ()
    """shown before the results"""
    tiles: int = 1
    """copies of each result beside and below each other"""


ROWS = {
    "several": Row(
        "Several paintings",
        "Two paintings as one style, by weights. A folder is one style with `--blend`.",
        {"3 : 1": "--style-blend-weights 3 1", "1 : 1": "", "1 : 3": "--style-blend-weights 1 3"},
        style="starry_night.jpg the_scream.jpg",
    ),
    "masks": Row(
        "Masks",
        "The sky in one manner, the town in the other; the same by an image whose colours are regions; and one "
        "painting for the sky alone, where the rest stays a photograph.",
        {"two masks": "starry_night.jpg the_scream.jpg --content-masks sky.png land.png",
         "regions": "starry_night.jpg the_scream.jpg --regions regions.png blue.png red.png",
         "the sky alone": "starry_night.jpg --content-masks sky.png"},
        style="", inputs=("sky.png", "regions.png"),
    ),
    "part": Row(
        "A part of a painting",
        "`--style-masks`: only the sky of The Scream, or only what is below it.",
        {"its sky": "--style-masks top.png", "below": "--style-masks bottom.png"},
        style="the_scream.jpg", inputs=("the_scream.jpg",),
    ),
    "colours": Row(
        "The photograph's colours",
        "The painting's colours; the photograph's, of which only the luminance is painted; the painting recoloured "
        "before the run by its mean and deviation, its covariance, its whole distribution.",
        {"the painting's": "", "original": "--original-colors", "mean": "--match-colors mean",
         "covariance": "--match-colors covariance", "histogram": "--match-colors histogram"},
        style="the_scream.jpg",
    ),
    "file": Row(
        "A style file",
        "By the painting, and by the file that `jnst style starry_night.jpg` makes of it, which holds no picture.",
        {"the painting": "starry_night.jpg", "its style file": "starry_night.style.h5"}, style="",
    ),
    "strokes": Row(
        "Strokes",
        "The painting's size over the result's.",
        {"0.4": "--style-scale 0.4", "0.7": "--style-scale 0.7", "1": ""},
    ),
    "smoothness": Row(
        "Smoothness",
        "Total variation: none, the default, much of squares, much of absolute values, which flattens and keeps edges.",
        {"0": "--tv-weight 0", "default": "", "squares, 0.2": "--tv-weight 0.2",
         "absolute, 0.2": "--tv-weight 0.2 --tv-form absolute"},
    ),
    "noise": Row(
        "Noise in the start",
        "No noise, and four tenths with two seeds: other strokes each time.",
        {"0": "", "0.4": "--noise-blend 0.4", "0.4, seed 1": "--noise-blend 0.4 --seed 1"},
    ),
    "tileable": Row(
        "Pictures that repeat",
        "Four copies of each: a texture of The Starry Night and the town, as they come, and made to repeat "
        "([textures.md](textures.md), which shows the maps of a material, `--texture-maps`, as well).",
        {"texture": "starry_night.jpg --content-weight 0 --init noise",
         "texture, repeating": "starry_night.jpg --content-weight 0 --init noise --tileable xy",
         "town": "tubingen.jpg starry_night.jpg",
         "town, repeating": "tubingen.jpg starry_night.jpg --tileable xy"},
        photograph="", style="", tiles=2,
    ),
}  # fmt: skip


def make_inputs(folder: Path, images: Path) -> None:
    """Makes masks and regions; the sky of the town is what is blue in its upper half."""
    with Image.open(images / "tubingen.jpg") as photograph:
        small = photograph.convert("RGB").resize((photograph.width // 4, photograph.height // 4))
        size = photograph.size
    pixels = np.asarray(small).astype(int)
    upper = np.arange(len(pixels))[:, None] < len(pixels) / 2
    sky = (pixels[..., 2] > pixels[..., 0] + 8) & (pixels[..., 2] > 90) & upper
    mask = Image.fromarray((sky * 255).astype(np.uint8)).filter(ImageFilter.MedianFilter(9)).resize(size)
    mask.save(folder / "sky.png")
    Image.eval(mask, lambda value: 255 - value).save(folder / "land.png")
    there = np.asarray(mask)[..., None] > 127
    Image.fromarray(np.where(there, [0, 0, 255], [255, 0, 0]).astype(np.uint8)).save(folder / "regions.png")
    for name, style, color in (("blue", "starry_night.jpg", "#0000ff"), ("red", "the_scream.jpg", "#ff0000")):
        with Image.open(images / style) as painting:
            Image.new("RGB", painting.size, color).save(folder / f"{name}.png")
    with Image.open(images / "the_scream.jpg") as painting:
        half = np.zeros((painting.height, painting.width), np.uint8)
    half[: int(0.4 * len(half))] = 255
    Image.fromarray(half).save(folder / "top.png")
    Image.fromarray(255 - half).save(folder / "bottom.png")


def jnst(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "jnst.run", *arguments], check=True)


def words_of(row: Row, options: str) -> list[str]:
    """What stands after `jnst` in the command of a picture, with plain names."""
    return [word for part in (row.photograph, row.style, options) for word in shlex.split(part)]


def paint(row: Row, name: str, folder: Path, images: Path, settings: list[str]) -> list[Path]:
    """Paints what is missing of a row; all its results."""
    results = []
    for k, (caption, options) in enumerate(row.pictures.items()):
        output = folder / f"{name}-{k}.png"
        results.append(output)
        if output.exists():
            continue
        places = ((folder if (folder / word).is_file() else images) / word for word in words_of(row, options))
        words = [str(place) if place.is_file() else place.name for place in places]
        jnst(*words, "-o", str(output), "--quiet", *settings)
        print(f"{name}: {caption}", flush=True)
    return results


def tiled(picture: Image.Image, count: int) -> Image.Image:
    """A picture beside and below itself."""
    return Image.fromarray(np.tile(np.asarray(picture), (count, count, 1)))


def strip(paths: list[Path], *, tiles: int = 1) -> Image.Image:
    """Pictures beside each other, each as often as it is to be seen."""
    shown = []
    for path in paths:
        with Image.open(path) as file:
            size = round(file.width * HEIGHT / file.height), HEIGHT
            shown.append(tiled(file.convert("RGB"), tiles).resize(size, Image.Resampling.LANCZOS))
    whole = Image.new("RGB", (sum(p.width for p in shown) + GAP * (len(shown) - 1), HEIGHT), "white")
    left = 0
    for picture in shown:
        whole.paste(picture, (left, 0))
        left += picture.width + GAP
    return whole


def section(name: str, row: Row) -> str:
    captions = [*row.inputs, *row.pictures]
    commands = "\n".join(f"    jnst {' '.join(words_of(row, options))}" for options in row.pictures.values())
    return f"## {row.title}\n\n{row.text}\n\n![{', '.join(captions)}](pictures/gallery/{name}.jpg)\n\n" \
           f"{' · '.join(captions)}\n\n{commands}\n"  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder with the photographs and paintings that the rows name")
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("out/gallery"), help="where the pictures themselves go")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    make_inputs(given.out, given.images)
    weights = ["--weights", str(given.weights)]
    settings = [*weights, "--image-size", str(given.image_size), "--iterations", str(given.iterations)]
    stored = given.out / "starry_night.style.h5"
    if "file" in given.only and not stored.exists():
        jnst("style", str(given.images / "starry_night.jpg"), "-o", str(stored), "--quiet", *weights)
    place = ROOT / "docs" / "pictures" / "gallery"
    place.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        row = ROWS[name]
        results = paint(row, name, given.out, given.images, settings)
        inputs = [next(p / n for p in (given.out, given.images) if (p / n).is_file()) for n in row.inputs]
        strip([*inputs, *results], tiles=row.tiles).save(place / f"{name}.jpg", quality=88)
    made = [section(name, row) for name, row in ROWS.items() if (place / f"{name}.jpg").exists()]
    facts = f"{given.image_size} px, {given.iterations} iterations"
    (ROOT / "docs" / "gallery.md").write_text("\n".join([HEAD.replace("FACTS", facts), *made]))


if __name__ == "__main__":
    main()
