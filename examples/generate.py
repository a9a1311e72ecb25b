"""Paints the project's own example images, each from nothing but a seed, so they are as free as this script (MIT).

    python examples/generate.py swirls examples/swirls.jpg

swirls: brush strokes along a field of whirls, the style image of the demo
facets: large flat polygons and arcs, outlined in black
dabs: thick bright dabs over a few colour regions
summer, winter: one landscape in two seasons
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
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


def swirls(seed: int, size: int = SIZE) -> Image.Image:
    """Four coats of strokes, from broad to fine."""
    rng = np.random.default_rng(seed)
    side = size * OVERSAMPLING
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
            brush = max(2, int(width * rng.uniform(0.6, 1.3) * size / SIZE))
            tint = tuple(int(c) for c in tints[k])
            ridge = tuple(int(min(255, c * 1.25 + 12)) for c in tints[k])
            draw.line(line, fill=tint, width=brush, joint="curve")
            draw.line([(px, py - brush / 4) for px, py in line], fill=ridge, width=max(1, brush // 5), joint="curve")
    return canvas.filter(ImageFilter.GaussianBlur(0.6)).resize((size, size), Image.Resampling.LANCZOS)


# ochre, pale ochre, slate blue, deep slate, rust, off-white, near black, grey green
FACET_TINTS = np.array(
    [
        (204, 148, 52),
        (226, 192, 120),
        (84, 108, 142),
        (46, 62, 92),
        (168, 74, 42),
        (238, 230, 210),
        (36, 33, 36),
        (128, 138, 118),
    ],
    float,
)


def split(polygon: np.ndarray, rng: np.random.Generator, smallest: float) -> list[np.ndarray]:
    """Parts of a convex polygon (in units of the side), cut by random lines until they are small enough."""
    x, y = polygon.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    if area < smallest * rng.uniform(1, 4):
        return [polygon]
    offset = polygon - polygon.mean(0)
    longest = np.linalg.svd(offset)[2][0]  # cut across the long way, more or less
    angle = np.arctan2(longest[1], longest[0]) + rng.normal(0, 0.5)
    height = (offset + rng.normal(0, 0.03, 2)) @ (np.cos(angle), np.sin(angle))
    parts: list[list[np.ndarray]] = [[], []]
    for k in range(len(polygon)):
        nxt = (k + 1) % len(polygon)
        parts[int(height[k] > 0)].append(polygon[k])
        if (height[k] > 0) != (height[nxt] > 0):
            crossing = polygon[k] + (polygon[nxt] - polygon[k]) * height[k] / (height[k] - height[nxt])
            parts[0].append(crossing)
            parts[1].append(crossing)
    return [piece for part in parts for piece in split(np.array(part), rng, smallest)]


def facets(seed: int, size: int = SIZE) -> Image.Image:
    """Flat facets with slight gradients; rings and discs cut through them and change their colours."""
    rng = np.random.default_rng(seed)
    side = size * OVERSAMPLING
    polygons = split(np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float), rng, 0.012)
    labels = Image.new("I", (side, side))
    draw = ImageDraw.Draw(labels)
    for k, polygon in enumerate(polygons):
        draw.polygon([tuple(p) for p in polygon * side], fill=k)
    label = np.asarray(labels).astype(np.int64)
    y, x = np.mgrid[:side, :side] / side
    ink = np.zeros((side, side), bool)
    for cx, cy, radius in (
        (0.42, 0.4, 0.27),
        (0.66, 0.63, 0.22),
        (0.3, 0.78, 0.13),
        (0.78, 0.2, 0.12),
        (0.1, 0.1, 0.3),
    ):
        start, bow = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1)
        distance = np.hypot(x - cx, y - cy) - radius
        label = 2 * label + (distance < 0)
        swell = np.clip(np.cos((np.arctan2(y - cy, x - cx) - start) / 2), -1, 1) ** 2
        ink |= np.abs(distance) < 0.008 * swell * bow
    _, label = np.unique(label, return_inverse=True)
    label = label.reshape(side, side)
    count = label.max() + 1
    tint = FACET_TINTS[rng.choice(len(FACET_TINTS), count, p=(0.2, 0.14, 0.17, 0.11, 0.14, 0.14, 0.04, 0.06))]
    tint = tint * rng.normal(1, 0.05, (count, 1)) + rng.normal(0, 4, (count, 3))
    slope = rng.normal(0, 0.55, (count, 2))
    centre = np.stack([np.bincount(label.ravel(), v.ravel()) / np.bincount(label.ravel()) for v in (x, y)], -1)
    shade = slope[label, 0] * (x - centre[label, 0]) + slope[label, 1] * (y - centre[label, 1])
    pixels = tint[label] * (1 + np.clip(shade, -0.2, 0.2))[..., None]
    pixels[ink] = (24, 21, 22)
    canvas = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for polygon in polygons:
        for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            across = np.array((a[1] - b[1], b[0] - a[0])) / (np.hypot(*(b - a)) + 1e-9)
            thin, thick = rng.uniform(0.0004, 0.002), rng.choice((0.001, 0.0025, 0.0055), p=(0.4, 0.4, 0.2))
            stroke = np.array((a - thin * across, a + thin * across, b + thick * across, b - thick * across)) * side
            draw.polygon([tuple(p) for p in stroke], fill=(24, 21, 22))
    return canvas.resize((size, size), Image.Resampling.LANCZOS)


# each region of the dabs: its ground, then the colours of its blossoms
BLOSSOMS = np.array(
    [
        [(40, 70, 150), (70, 130, 220), (120, 190, 240), (240, 240, 250), (120, 80, 190)],
        [(150, 30, 50), (225, 40, 60), (250, 110, 90), (255, 190, 190), (240, 70, 140)],
        [(190, 120, 20), (250, 190, 30), (255, 230, 90), (255, 140, 30), (255, 250, 210)],
        [(30, 90, 50), (60, 150, 70), (150, 200, 70), (30, 120, 110), (230, 230, 110)],
        [(90, 40, 120), (160, 80, 190), (220, 130, 220), (250, 200, 240), (90, 90, 210)],
        [(200, 70, 30), (250, 120, 40), (255, 170, 70), (230, 50, 50), (255, 220, 150)],
        [(20, 100, 120), (40, 170, 170), (130, 220, 200), (240, 250, 230), (40, 110, 190)],
        [(190, 60, 120), (245, 110, 170), (255, 170, 200), (255, 235, 240), (210, 40, 90)],
    ],
    float,
)


def dabs(seed: int, size: int = SIZE) -> Image.Image:
    """Three coats of short thick dabs, each with a shadow and a lit ridge; their colours follow coarse regions."""
    rng = np.random.default_rng(seed)
    side = size * OVERSAMPLING
    middles, kinds = rng.random((26, 2)), np.append(rng.permutation(np.tile(np.arange(8), 3)), (3, 3))
    canvas = Image.new("RGB", (side, side), (60, 50, 80))
    draw = ImageDraw.Draw(canvas)
    for count, length, width, variety in (
        (2600, 0.06, 0.034, 0.25),
        (6400, 0.03, 0.022, 0.9),
        (6400, 0.015, 0.013, 1.6),
    ):
        at = rng.uniform(-0.02, 1.02, (count, 2))
        blurred = at + rng.normal(0, 0.018, at.shape)
        kind = kinds[((blurred[:, None] - middles) ** 2 * (1, 2.2)).sum(-1).argmin(1)]
        stray = rng.random(count) < 0.06 * variety
        kind[stray] = rng.integers(0, 8, stray.sum())
        accent = np.minimum(rng.exponential(1.3 * variety, count), 4).astype(int)
        tints = BLOSSOMS[kind, accent] * rng.normal(1, 0.1, (count, 1)) + rng.normal(0, 12, (count, 3))
        angle = 0.7 * kind + 2 * np.sin(5 * at[:, 0] + 4 * at[:, 1]) + rng.normal(0, 0.5, count)
        along = np.stack((np.cos(angle), np.sin(angle)), -1) * length * rng.uniform(0.2, 0.6, (count, 1))
        for k in range(count):
            brush = width * side * rng.uniform(0.5, 1.25)
            a, b = (at[k] - along[k]) * side, (at[k] + along[k]) * side
            across = np.array((np.sin(angle[k]), -np.cos(angle[k])))
            for shift, part, light in ((0.1, 1, 0.74), (0, 0.96, 1), (-0.18, 0.5, 1.08), (-0.3, 0.12, 1.22)):
                fill = tuple(int(c) for c in np.clip(tints[k] * light + 12 * (light > 1), 0, 255))
                radius = np.array((1, 0.4)) * part * brush / 2  # a drop: broad where the brush was set down
                ends = np.array((a, b)) + shift * brush
                drop = np.concatenate((ends + across * radius[:, None], (ends - across * radius[:, None])[::-1]))
                draw.polygon([tuple(p) for p in drop], fill=fill)
                for (px, py), r in zip(ends, radius, strict=True):
                    draw.ellipse((px - r, py - r, px + r, py + r), fill=fill)
    return canvas.filter(ImageFilter.GaussianBlur(0.8)).resize((size, size), Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Season:
    """Colours of the landscape; ramps run from shadow to light."""

    sky: tuple[tuple[int, int, int], tuple[int, int, int]]  # top, horizon
    cloud: tuple[tuple[int, int, int], tuple[int, int, int]]
    ground: tuple[tuple[int, int, int], ...]
    blades: tuple[tuple[int, int, int], ...]
    flowers: tuple[tuple[int, int, int], ...]
    path: tuple[tuple[int, int, int], ...]
    bark: tuple[tuple[int, int, int], ...]
    leaves: tuple[tuple[int, int, int], ...]  # none: bare branches
    needles: tuple[tuple[int, int, int], ...]
    snow: float  # share of branches and boughs that carry snow


SUMMER = Season(
    sky=((52, 112, 190), (186, 214, 232)),
    cloud=((168, 182, 200), (255, 253, 248)),
    ground=((38, 60, 22), (70, 98, 34), (112, 136, 50), (158, 168, 78)),
    blades=((34, 62, 18), (66, 104, 30), (112, 146, 46), (172, 184, 86)),
    flowers=((236, 226, 120), (240, 240, 230), (204, 84, 70), (150, 110, 190)),
    path=((112, 88, 60), (168, 140, 102), (206, 182, 144)),
    bark=((36, 28, 22), (84, 66, 50), (128, 106, 82)),
    leaves=((14, 30, 12), (30, 60, 20), (62, 100, 32), (112, 146, 50), (172, 190, 90)),
    needles=((10, 26, 18), (22, 50, 30), (46, 82, 44), (86, 118, 64)),
    snow=0,
)
WINTER = Season(
    sky=((126, 142, 164), (216, 220, 226)),
    cloud=((150, 160, 176), (236, 238, 242)),
    ground=((130, 148, 178), (182, 196, 216), (222, 230, 240), (250, 251, 253)),
    blades=((150, 166, 192), (206, 216, 230), (240, 244, 250), (255, 255, 255)),
    flowers=((120, 100, 76), (146, 124, 92), (96, 84, 70), (170, 150, 118)),
    path=((120, 122, 132), (164, 170, 184), (206, 212, 224)),
    bark=((30, 26, 26), (64, 56, 54), (104, 96, 92)),
    leaves=(),
    needles=((18, 26, 28), (36, 50, 48), (62, 80, 74), (104, 120, 116)),
    snow=0.6,
)
LIGHT = np.array((-0.62, -0.78))  # where the sun stands, seen from a tree


def octaves(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int], count: int) -> np.ndarray:
    """Fractal noise of mean 0 and deviation 1: grids of random numbers, each twice as fine and 0.55 as strong."""
    height, width = shape
    total = np.zeros(shape)
    for k in range(count):
        grid = rng.normal(0, 0.55**k, (cells[0] * 2**k + 1, cells[1] * 2**k + 1)).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
    return (total - total.mean()) / total.std()


def ramp(colours: tuple[tuple[int, int, int], ...], place: np.ndarray) -> np.ndarray:
    """Colours at places 0 to 1 of a ramp."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(place, stops, channel) for channel in np.array(colours, float).T], -1)


class Landscape:
    """Hills, path and trees. What stands where follows from the seed alone, so every season shows the same place."""

    # middle and swing of each crest as parts of the height, waves along it, trees on it, share of conifers
    HILLS = (
        (0.315, 0.05, 3, 0, 0),
        (0.385, 0.035, 2, 190, 0.6),
        (0.455, 0.045, 2, 80, 0.4),
        (0.56, 0.05, 2, 26, 0.3),
        (0.72, 0.05, 1, 7, 0.3),
    )
    HORIZON = 0.33

    def __init__(self, season: Season, seed: int, size: int) -> None:
        self.season, self.seed = season, seed
        self.width, self.height = size * OVERSAMPLING, size * 3 // 4 * OVERSAMPLING
        self.y, self.x = np.mgrid[: self.height, : self.width] / self.height
        self.canvas = Image.new("RGB", (self.width, self.height))
        self.draw = ImageDraw.Draw(self.canvas)

    def rng(self, *place: int) -> np.random.Generator:
        """A generator of its own for each part, so that no season's colours move the next part."""
        return np.random.default_rng((self.seed, *place))

    def nearness(self, y: np.ndarray | float) -> np.ndarray:
        """Scale of things that stand at height y: 0 at the horizon, 1 at the lower edge."""
        return np.clip((y - self.HORIZON) / (1 - self.HORIZON), 0.02, 1)

    def from_path(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Distance from the middle of the path in units of half its breadth; x and y are in heights of the picture."""
        near = self.nearness(y)
        middle = 0.62 + 0.26 * np.sin(7.5 * np.clip(y - 0.4, 0, 1) ** 0.8) * (0.4 + near)
        return np.abs(x - middle) / (0.012 + 0.13 * near**1.3)

    def hazy(self, tints: np.ndarray, near: np.ndarray | float) -> np.ndarray:
        """Colours under the air between them and the painter."""
        air = np.asarray(0.72 * np.exp(-5.5 * np.asarray(near)))[..., None]
        return np.clip(tints * (1 - air) + np.array(self.season.sky[1]) * air * 0.94, 0, 255)

    def paste(self, pixels: np.ndarray, mask: np.ndarray) -> None:
        """Lays pixels over the canvas, as opaque as the mask says."""
        over = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        self.canvas.paste(over, mask=Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8)))

    def sky(self) -> None:
        """A gradient, and clouds that are brighter towards the sun."""
        rng, shape = self.rng(0), self.y.shape
        depth = np.clip(self.y / self.HORIZON, 0, 1)
        self.paste(ramp(self.season.sky, depth**0.8), np.ones(shape))
        billows = octaves(rng, shape, (7, 5), 6)
        lit = billows - np.roll(billows, (-14, -10), (0, 1))
        cover = np.clip((billows - 0.1 + 0.5 * octaves(rng, shape, (3, 2), 2)) * 0.9, 0, 1) * (1 - 0.6 * depth**3)
        self.paste(ramp(self.season.cloud, 0.72 + 0.35 * lit - 0.25 * billows * cover), cover**0.8)

    def crest(self, hill: int) -> np.ndarray:
        """Height of a hill's upper edge in each column."""
        middle, swing, waves, *_ = self.HILLS[hill]
        rng = self.rng(1, hill)
        along = np.linspace(0, 2 * np.pi, self.width)
        edge = sum(np.sin(along * waves * k / 2 + rng.uniform(0, 6.3)) / k for k in (1, 2, 3))
        rough = octaves(rng, (1, self.width), (1, 12), 5)[0]
        return middle + swing * (0.6 * edge + (0.35 if hill == 0 else 0.06) * rough)

    def ground(self, hill: int, crest: np.ndarray, shadow: np.ndarray) -> None:
        """The hill itself: rolling light, patches of growth, the path, and the shadows of the trees."""
        rng, shape = self.rng(2, hill), self.y.shape
        near = self.nearness(self.y)
        grain = octaves(rng, shape, (26, 8), 6)
        patches = octaves(rng, shape, (8, 3), 4)
        smooth = np.convolve(np.pad(crest, 20, "edge"), np.full(41, 1 / 41), "valid")
        turn = np.gradient(smooth) * self.height * np.exp(-(self.y - crest) * 9)
        light = 0.55 - 1.2 * turn + 0.16 * patches + 0.11 * grain - 0.5 * np.clip(self.y - crest - 0.1, 0, 0.3)
        pixels = ramp(self.season.ground, light * (1 - 0.62 * shadow))
        if hill >= 2:
            across = self.from_path(self.x, self.y)
            trodden = np.clip((1 - across + 0.12 * grain) * 5, 0, 1)
            ruts = np.exp(-((across - 0.5) ** 2) / 0.02)
            stones = 0.6 + 0.13 * grain + 0.08 * octaves(rng, shape, (90, 60), 3) - 0.28 * ruts - 0.5 * shadow
            pixels += trodden[..., None] * (ramp(self.season.path, stones) - pixels)
        else:
            trodden = np.zeros(shape)
        self.paste(self.hazy(pixels, near), (self.y - crest) * self.height)
        self.growth(hill, crest, shadow, trodden, light)

    def growth(self, hill: int, crest: np.ndarray, shadow: np.ndarray, trodden: np.ndarray, light: np.ndarray) -> None:
        """Tufts of blades, from far to near, and some flowers (dry stalks in winter) among the near ones."""
        rng, count = self.rng(3, hill), (0, 3000, 5000, 8000, 9000)[hill]
        column = rng.integers(0, self.width, count)
        y = np.sort(crest[column] + rng.random(count) * (0.16, 0.16, 0.16, 0.22, 0.42)[hill])
        keep = y < 1
        column, y = column[keep], y[keep]
        row = (y * self.height).astype(int)
        keep = trodden[row, column] < rng.uniform(0, 0.7, len(y))
        column, y, row = column[keep], y[keep], row[keep]
        near = self.nearness(y)
        place = light[row, column] * (1 - 0.6 * shadow[row, column]) + rng.normal(0, 0.17, len(y))
        tints = ramp(self.season.blades, place)
        bloom = rng.random(len(y)) < 0.03
        petals = np.array(self.season.flowers)[rng.integers(0, 4, len(y))]
        if self.season.snow:
            tints[bloom] = petals[bloom]
        tints, petals = (self.hazy(colours, near).astype(int) for colours in (tints, petals))
        length = near * rng.uniform(0.012, 0.045, len(y)) * self.height * (1 - 0.75 * self.season.snow * ~bloom)
        lean = rng.normal(0.15, 0.35, len(y)) * length
        for k, tint in enumerate(map(tuple, tints)):
            x0, y0 = column[k], row[k] + 2
            self.draw.line((x0, y0, x0 + lean[k], y0 - length[k]), fill=tint, width=1 + int(near[k] > 0.75))
            if bloom[k] and not self.season.snow:
                head = np.array([(x0 + lean[k], y0 - length[k])])
                self.dots(head, np.array([0.7 + 1.8 * near[k]]), petals[k : k + 1])

    def trees(self, hill: int, crest: np.ndarray) -> list[tuple[float, float, float, bool, int]]:
        """Foot (x, y), tallness, kind and number of each tree of a hill, from far to near."""
        rng, (*_, count, conifers) = self.rng(4, hill), self.HILLS[hill]
        found = []
        for k in range(count):
            x = rng.normal((0.1, 0.47, 0.95)[k % 3], 0.085) if k % 4 else rng.random()  # most stand in groves
            column = int(self.width * x) % self.width
            y = crest[column] + rng.random() ** 1.3 * (0, 0.06, 0.08, 0.11, 0.17)[hill]
            tall = self.nearness(y) * rng.uniform(0.55, 0.95) * (0.62 if hill > 3 else 0.56)
            conifer = bool(rng.random() < conifers)
            if hill < 2 or self.from_path(column / self.height, y) > 1.6:
                found.append((column, y * self.height, tall * self.height, conifer, k))
        return sorted(found, key=lambda tree: tree[1])

    def shadows(self, trees: list[tuple[float, float, float, bool, int]]) -> np.ndarray:
        """How much of the light the trees of a hill keep from it: 0 to 1."""
        mask = Image.new("L", self.canvas.size)
        draw = ImageDraw.Draw(mask)
        for x, y, tall, conifer, _ in trees:
            reach = tall * (0.3 if conifer else 0.42)
            draw.ellipse((x - reach * 0.5, y - reach * 0.2, x + reach * 1.7, y + reach * 0.24), fill=220)
        return np.asarray(mask.filter(ImageFilter.GaussianBlur(4)), float) / 255

    def dots(self, at: np.ndarray, radius: np.ndarray, tints: np.ndarray) -> None:
        """Leaves and petals."""
        boxes = np.concatenate((at - radius[:, None] * (1, 0.8), at + radius[:, None] * (1, 0.8)), -1)
        for box, tint in zip(boxes.tolist(), map(tuple, tints.astype(int)), strict=True):
            self.draw.ellipse(box, fill=tint)

    def broadleaf(self, x: float, y: float, tall: float, rng: np.random.Generator, near: float) -> None:
        """A trunk that forks until its twigs are thin; leaves gather around the ends."""
        season = self.season
        levels = int(np.clip(np.log2(tall) - 0.5, 3, 7))
        tips, forks = [], [(np.array((x, y)), -np.pi / 2 + rng.normal(0, 0.05), tall * 0.27, tall * 0.05, 0)]
        while forks:
            start, angle, length, thick, level = forks.pop()
            end = start + length * np.array((np.cos(angle), np.sin(angle)))
            tint = self.hazy(ramp(season.bark, np.array(0.35 + rng.normal(0, 0.15))), near)
            width = max(1, round(thick))
            line = [tuple(start), tuple(end)]
            self.draw.line(line, fill=tuple(tint.astype(int)), width=width)
            if width > 2:  # the lit side
                lit = self.hazy(ramp(season.bark, np.array(0.95)), near).astype(int)
                self.draw.line([(px - width / 3, py) for px, py in line], fill=tuple(lit), width=max(1, width // 4))
            if rng.random() < season.snow * (level > 0):
                snow = tuple(self.hazy(np.array((240.0, 244, 250)), near).astype(int))
                self.draw.line([(px, py - width / 2) for px, py in line], fill=snow, width=max(1, width // 3))
            if level >= levels:
                tips.append(end)
                continue
            children = 2 + int(rng.random() < 0.45)
            spread = np.linspace(-0.55, 0.55, children) + rng.normal(0, 0.16, children)
            for turn in spread:
                grown = length * rng.uniform(0.68, 0.86)
                forks.append((end, angle + turn - 0.04 * np.cos(angle), grown, thick * 0.64, level + 1))
        if not season.leaves:
            return
        ends = np.array(tips)
        middle, reach = ends.mean(0), np.ptp(ends, 0) / 2 + tall * 0.02
        per = int(np.clip(0.75 * tall**1.6 / len(ends), 4, 70))
        clump = tall * 0.042
        offset = rng.normal(0, 1, (len(ends), per, 2))
        at = (ends[:, None] + offset * clump).reshape(-1, 2)
        shade = ((at - middle) / reach) @ LIGHT * 0.26 + offset.reshape(-1, 2) @ LIGHT * 0.13
        shade = shade + 0.42 + np.repeat(rng.normal(0, 0.06, len(ends)), per) + rng.normal(0, 0.09, len(at))
        order = np.argsort(shade + rng.normal(0, 0.12, len(at)))
        own = rng.normal(1, 0.06, 3) * rng.normal(1, 0.07)
        radius = np.clip(tall * 0.0075, 0.7, 2.6) * rng.uniform(0.6, 1.4, len(at))
        self.dots(at[order], radius, self.hazy(ramp(season.leaves, shade[order]) * own, near))

    def conifer(self, x: float, y: float, tall: float, rng: np.random.Generator, near: float) -> None:
        """Boughs that hang from a straight trunk, shorter towards the top."""
        season = self.season
        bark = tuple(self.hazy(np.array(season.bark[1], float), near).astype(int))
        self.draw.line((x, y, x, y - tall), fill=bark, width=max(1, int(tall * 0.022)))
        count = int(np.clip(tall * 3.2, 24, 900))
        up = np.sort(rng.uniform(0.06, 1, count))
        side = rng.uniform(-1, 1, count)
        step = 0.8 + 0.2 * np.sin(up * 60)  # tiers
        span = side * tall * 0.24 * (1.02 - up) ** 0.85 * step * rng.uniform(0.75, 1.1, count)
        drop = np.abs(span) * rng.uniform(0.25, 0.6, count)
        shade = 0.42 - 0.3 * side + 0.15 * (step - 0.8) * 5 + rng.normal(0, 0.14, count)
        tints = self.hazy(ramp(season.needles, shade), near).astype(int)
        snowy = rng.random(count) < season.snow * 0.7
        tints[snowy] = self.hazy(ramp(WINTER.ground, shade[snowy] + 0.25), near)
        width = max(1, round(tall * 0.011))
        for k in range(count):
            base = y - up[k] * tall
            line = ((x + 0.35 * span[k], base), (x + span[k], base + drop[k]))
            self.draw.line(line, fill=tuple(tints[k]), width=width)
            self.draw.line((*line[1], line[1][0] - 0.2 * span[k], line[1][1] + width * 2), fill=tuple(tints[k]))

    def paint(self) -> Image.Image:
        """The picture, from the sky to the nearest trees."""
        self.sky()
        for hill in range(len(self.HILLS)):
            crest = self.crest(hill)
            trees = self.trees(hill, crest)
            self.ground(hill, crest, self.shadows(trees))
            for x, y, tall, conifer, number in trees:
                grow = self.conifer if conifer else self.broadleaf
                grow(x, y, tall, self.rng(5, hill, number), float(self.nearness(y / self.height)))
        small = self.canvas.resize((self.width // OVERSAMPLING, self.height // OVERSAMPLING), Image.Resampling.LANCZOS)
        pixels = np.asarray(small) + self.rng(6).normal(0, 1.5, (small.height, small.width, 1))
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def summer(seed: int, size: int = 512) -> Image.Image:
    """Green hills with trees in leaf under a blue sky."""
    return Landscape(SUMMER, seed, size).paint()


def winter(seed: int, size: int = 512) -> Image.Image:
    """The hills of summer under snow."""
    return Landscape(WINTER, seed, size).paint()


PAINTERS: dict[str, Callable[..., Image.Image]] = {
    painter.__name__: painter for painter in (swirls, facets, dabs, summer, winter)
}


def paint(name: str = "swirls", seed: int = 7, size: int | None = None) -> Image.Image:
    """The picture of that name; size is its longer side, by default that of the kept file."""
    return PAINTERS[name](seed) if size is None else PAINTERS[name](seed, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PAINTERS)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    quality = 92 if options.name == "swirls" else 90
    paint(options.name, options.seed).save(options.output, quality=quality, subsampling=0)


if __name__ == "__main__":
    main()
