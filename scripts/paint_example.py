"""Paints examples/swirls.jpg, the style image of the demo: brush strokes along a field of whirls.

    python scripts/paint_example.py examples/swirls.jpg

Everything follows from the seed, so the picture is as free as this script (MIT).
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 640
OVERSAMPLING = 2
# centre (x, y) in units of the side, turning sense, reach: where the whirls are
WHIRLS = [
    (0.24, 0.3, 1, 0.16),
    (0.68, 0.22, -1, 0.13),
    (0.55, 0.62, 1, 0.2),
    (0.14, 0.78, -1, 0.14),
    (0.9, 0.83, 1, 0.12),
]
# from the night between the whirls to the light in their middle
PALETTE = np.array(
    [(28, 38, 92), (40, 76, 140), (62, 122, 158), (116, 158, 150), (206, 122, 62), (234, 178, 88), (252, 228, 164)],
    float,
)


def flow(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Direction of the strokes at points in units of the side: a slow wave, bent around each whirl."""
    u, v = np.ones_like(x), 0.55 * np.sin(2.2 * np.pi * x + 1.5) + 0.3 * np.sin(3.1 * np.pi * y)
    for cx, cy, sense, reach in WHIRLS:
        dx, dy = x - cx, y - cy
        near = 5 * np.exp(-(dx**2 + dy**2) / (2 * reach**2)) / reach
        u, v = u - sense * near * dy, v + sense * near * dx
    norm = np.hypot(u, v) + 1e-9
    return u / norm, v / norm


def warmth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Place in the palette, 0 to 1: rings of light around each whirl, ripples between them."""
    light = 0.16 + 0.1 * np.sin(9 * np.pi * y + 5 * np.sin(2 * np.pi * x))
    for cx, cy, _, reach in WHIRLS:
        r = np.hypot(x - cx, y - cy) / reach
        light = light + np.exp(-(r**2) * 1.1) * (0.8 + 0.25 * np.cos(7 * r))
    return np.clip(light, 0, 1)


def colour(place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Palette colours with the small differences that a brush leaves."""
    position = np.clip(place + rng.normal(0, 0.07, place.shape), 0, 1) * (len(PALETTE) - 1)
    low = np.minimum(position.astype(int), len(PALETTE) - 2)
    part = (position - low)[:, None]
    mixed = PALETTE[low] * (1 - part) + PALETTE[low + 1] * part
    return np.clip(mixed * rng.normal(1, 0.1, (len(place), 1)) + rng.normal(0, 7, mixed.shape), 0, 255)


def paint(seed: int = 7) -> Image.Image:
    """The picture: four coats of strokes, from broad to fine."""
    rng = np.random.default_rng(seed)
    side = SIZE * OVERSAMPLING
    canvas = Image.new("RGB", (side, side), (16, 26, 70))
    draw = ImageDraw.Draw(canvas)
    for count, width, steps in ((1600, 26, 16), (3200, 15, 14), (5200, 9, 12), (4200, 5, 12)):
        x, y = rng.random(count), rng.random(count)
        tints = colour(warmth(x, y), rng)
        paths, step = [(x, y)], 0.0055
        for _ in range(steps):
            u, v = flow(*paths[-1])
            paths.append((paths[-1][0] + step * u, paths[-1][1] + step * v))
        points = np.stack([np.stack(p, -1) for p in paths], 1) * side
        for k in range(count):
            line = [tuple(p) for p in points[k]]
            brush = max(2, int(width * rng.uniform(0.6, 1.3)))
            tint = tuple(int(c) for c in tints[k])
            ridge = tuple(int(min(255, c * 1.25 + 12)) for c in tints[k])
            draw.line(line, fill=tint, width=brush, joint="curve")
            draw.line([(px, py - brush / 4) for px, py in line], fill=ridge, width=max(1, brush // 5), joint="curve")
    return canvas.filter(ImageFilter.GaussianBlur(0.6)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    paint(options.seed).save(options.output, quality=92, subsampling=0)


if __name__ == "__main__":
    main()
