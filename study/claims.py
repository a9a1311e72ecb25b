"""What is run for each claim, and where it is kept: the part that `run` and `report` share."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from jnst.io import weights

REMARKS = Path(__file__).parent / "remarks.md"
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PAIRS = (("cat", "swirls"), ("coffee", "facets"), ("rocket", "dabs"))
SEASON, LIGHT = ("summer", "winter"), ("summer", "rocket")
STRENGTH = 0.93
HIGH = ("conv3_1", "conv4_1", "conv5_1")
LAYERS = {
    "all, conv4_2": {}, "all, conv5_2": {"content_layers": ("conv5_2",)},
    "high, conv4_2": {"style_layers": HIGH}, "high, conv5_2": {"style_layers": HIGH, "content_layers": ("conv5_2",)},
}  # fmt: skip
STRENGTHS = (0.5, 0.8, 0.93)
ENTRIES = tuple((layer, pair) for layer in ("conv2_1", "conv3_1", "conv4_1") for pair in ((5, 5), (5, 40), (90, 90)))
CLAIMS = ("forms", "starts", "gradients", "layers", "bounds", "partial", "entries")
EVERY = 5  # iterations between two points of a curve


@dataclass(frozen=True)
class Run:
    """One run: its name and settings, and the function that makes its picture and curve."""

    claim: str
    pair: tuple[str, str]
    name: str
    paint: Callable[["Study", "Run"], dict[str, Any]]
    settings: dict[str, Any]

    @property
    def key(self) -> str:
        """Its name among all runs."""
        return "/".join((self.claim, "_".join(self.pair), self.name))


@dataclass(frozen=True)
class Study:
    """Where the runs are kept, and how large they are made."""

    folder: Path
    size: int
    """longer side of the pictures in pixels"""
    effort: float
    """times the quick version's iterations"""
    network: weights.Weights

    @cached_property
    def params(self) -> Any:
        """The network's parameters on the device."""
        return jax.device_put(self.network.params)

    def image(self, name: str, shape: tuple[int, int] | None = None) -> np.ndarray:
        """An example, its middle cut to the common shape (4:3, so that all runs share their programs)."""
        (path,) = EXAMPLES.glob(f"{name}.*")
        height, width = shape or (round(self.size * 3 / 4), self.size)
        with Image.open(path) as picture:
            scale = min(picture.width / width, picture.height / height)
            w, h = width * scale, height * scale
            box = ((picture.width - w) / 2, (picture.height - h) / 2, (picture.width + w) / 2, (picture.height + h) / 2)
            cut = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS, box=box)
        return np.asarray(cut, np.float32)[None] / 255

    def images(self, pair: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
        """Content and style, each (1, h, w, 3)."""
        return self.image(pair[0]), self.image(pair[1])

    def count(self, iterations: int) -> int:
        """Iterations of this study where the quick version has so many."""
        return round(iterations * self.effort)

    def path(self, run: Run) -> Path:
        """Where the run is kept."""
        return self.folder / f"{run.key.replace(', ', '_').replace(' ', '_')}.npz"

    def is_done(self, run: Run) -> bool:
        """Whether this very run, with these settings, is in the folder."""
        path = self.path(run)
        if not path.exists():
            return False
        with np.load(path) as file:
            return str(file["about"]) == self.description(run)

    def description(self, run: Run) -> str:
        """All that decides the run's outcome, as JSON."""
        common = {"size": self.size, "effort": self.effort, "weights": self.network.sha256}
        return json.dumps({"key": run.key, "settings": run.settings, **common}, sort_keys=True, default=list)

    def keep(self, run: Run, arrays: dict[str, Any]) -> None:
        """Writes the file of a run, whole or not at all."""
        path = self.path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, about=self.description(run), **arrays)
        part.replace(path)


@cache
def remarks() -> dict[str, str]:
    """The sections of remarks.md by their headings."""
    _, *parts = re.split(r"^## (\w+)\n", REMARKS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))
