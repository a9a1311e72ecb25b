"""Puts pictures side by side at one height, for the README and for comparing by eye.

python -m tools.montage --height 300 out.jpg examples/cat.png examples/swirls.jpg out/demo.png
"""

import argparse
from pathlib import Path

from PIL import Image

GAP = 8


def montage(paths: list[Path], height: int) -> Image.Image:
    """One row on white."""
    pictures = []
    for path in paths:
        with Image.open(path) as picture:
            width = round(picture.width * height / picture.height)
            pictures.append(picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))
    row = Image.new("RGB", (sum(p.width + GAP for p in pictures) - GAP, height), "white")
    x = 0
    for picture in pictures:
        row.paste(picture, (x, 0))
        x += picture.width + GAP
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--height", type=int, default=300)
    options = parser.parse_args()
    montage(options.pictures, options.height).save(options.output, quality=90, subsampling=0)


if __name__ == "__main__":
    main()
