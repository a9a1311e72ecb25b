"""How alike pictures of different sizes look: distances of their Gram matrices, all brought to one size.

python -m benchmarks.similarity 256.png 512.png 1024.png 2048.png --size 256

The network that judges is the VGG-16 that is installed with jnst, not the VGG-19 that paints by default. The
distance of two pictures is `|G - H| / |H|` over the Gram matrices of each style layer, the mean of both directions and
of the layers: 0 for the same look. Give pictures of other strengths or paintings too, to see what a distance means.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jnst.config import Config
from jnst.errors import InputError
from jnst.io import image, weights
from jnst.losses import statistics as losses
from jnst.network import vgg


def distances(paths: list[Path], size: int) -> np.ndarray:
    """Style distances of pictures.

    Args:
        paths: n image files.
        size: the longer side in pixels at which they are compared.

    Returns:
        (n, n), symmetric, 0 on the diagonal.

    Raises:
        InputError: a file that is no image, or no weights.
    """
    params = jax.device_put(weights.find(backbone="vgg16").params)
    readers = dict.fromkeys(Config().style_layers, losses.mean_gram)
    grams = []
    for path in paths:
        picture = image.load(path)
        height, width = (round(side * size / max(picture.shape[1:3])) for side in picture.shape[1:3])
        grams.append(vgg.observe(params, jnp.asarray(image.resize(picture, height, width)), readers))

    def distance(a: dict, b: dict) -> float:
        return float(np.mean([jnp.linalg.norm(a[name] - b[name]) / jnp.linalg.norm(b[name]) for name in a]))

    return np.array([[(distance(a, b) + distance(b, a)) / 2 for a in grams] for b in grams])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--size", type=int, default=256, help="longer side at which they are compared")
    options = parser.parse_args()
    try:
        table = distances(options.pictures, options.size)
    except InputError as error:
        parser.exit(2, f"similarity: {error}\n")
    names = [path.stem for path in options.pictures]
    print("| | " + " | ".join(names) + " |\n|" + " --- |" * (len(names) + 1))
    for name, row in zip(names, table, strict=True):
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    if len(names) > 2:
        print("each and the next: " + ", ".join(f"{table[a, b]:.3f}" for a, b in pairwise(range(len(names)))))


if __name__ == "__main__":
    main()
