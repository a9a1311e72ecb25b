"""Painting in the form of Ray Data's actors: `dataset.map_batches(Painter, ...)`. Needs no Ray itself.

    painted = ray.data.read_csv("jobs.csv").map_batches(
        Painter, fn_constructor_kwargs={"config": Config(), "styles": "swirls.jpg", "weights": "vgg19.h5"},
        batch_size=16, concurrency=4, num_gpus=1,
    )

A batch is a mapping from columns to arrays of as many rows:

    content     the photograph's path or address, or
    image       its pixels: (h, w, 3), uint8 or float in [0, 1], as `ray.data.read_images` gives them
    style       which of the styles, by its name or place; may be missing where there is one

What comes back has the same columns and

    painting    (h, w, 3), uint8; (0, 0, 3) where there is none
    loss, iterations
    error       why there is no painting, in one line; empty where there is one
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jnst.config import Config, check_for_batch
from jnst.errors import InputError
from jnst.io import decode, image
from jnst.io import weights as weight_files
from jnst.io.paths import AnyPath, parse_path
from jnst.jobs import Job, Picture
from jnst.network.architecture import Backbone
from jnst.records import Result
from jnst.scheduler import stylize_many
from jnst.sizes import content_size, style_size

BACKBONES: dict[str, Backbone] = {"auto": "auto", "vgg19": "vgg19", "vgg16": "vgg16"}
Style = str | AnyPath | np.ndarray
"""a path or an address, or pixels as of the column `image`"""


class Painter:
    """Paints batches of rows on one device."""

    def __init__(
        self, config: Config, styles: Style | Sequence[Style] | Mapping[str, Style], weights: str | Path, *,
        image_size: int = 512, batch_size: int = 0,
    ) -> None:  # fmt: skip
        """Loads the weights, once an actor.

        Args:
            config: all settings.
            styles: a painting, several in order, or several by name.
            weights: a weight file that each actor's machine has, or "auto", "vgg19" or "vgg16", to be searched for
                (`jnst.find_weights`).
            image_size: longer side of the results; smaller photographs keep their size, 0: all do.
            batch_size: pictures at a time; 0: as many as the device uses well, as the first batch decides.

        Raises:
            InputError: no weights, or settings that a batch cannot have.
        """
        check_for_batch(config, normalized=False)
        self.config, self.image_size, self.batch_size = config, image_size, batch_size
        several = isinstance(styles, Mapping | list | tuple)
        named = dict(styles) if isinstance(styles, Mapping) else dict(enumerate(styles if several else [styles]))
        self.styles: dict[str, Any] = {str(name): style for name, style in named.items()}
        backbone = BACKBONES.get(str(weights))
        self.weights = weight_files.find(backbone=backbone) if backbone else weight_files.load(Path(weights))
        self.slots: dict[str, int] = {}

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Paints a batch.

        Args:
            batch: as the module says.

        Returns:
            Its columns and those of the results, in the same order.

        Raises:
            InputError: a column is missing, or a style image that the memory does not hold.
        """
        column = next((name for name in ("content", "image") if name in batch), None)
        if column is None:
            raise InputError(f"a batch needs a column content or image, got {', '.join(batch)}")
        if "style" not in batch and len(self.styles) != 1:
            raise InputError(f"{len(self.styles)} styles need a column style with {', '.join(self.styles)}")
        count = len(batch[column])
        names = batch["style"] if "style" in batch else [*self.styles] * count
        results = [Result(None)] * count
        jobs = []
        for k in range(count):
            try:
                jobs.append(self._job(k, batch[column][k], str(names[k])))
            except InputError as error:
                results[k] = Result(None, error=str(error))
        for result in stylize_many(jobs, self.weights, batch_size=self.batch_size, slots=self.slots):
            results[result.name] = result
        return {**batch, **_columns(results)}

    def _job(self, place: int, content: Any, name: str) -> Job:
        """A row, whose images are loaded when they are needed."""
        if name not in self.styles:
            raise InputError(f"style {name} is not known; there are {', '.join(self.styles)}")
        path, size = _head(content)
        height, width = content_size(path, size, self.image_size)
        style = self.styles[name]
        style_path, whole = _head(style)
        own = style_size(style_path, whole, max(height, width))
        return Job(_picture(content, path, (height, width)), _picture(style, style_path, own), self.config, place)


def _head(source: Any) -> tuple[AnyPath, tuple[int, int]]:
    """A path for messages, and (height, width)."""
    if not isinstance(source, np.ndarray):
        path = parse_path(source if isinstance(source, AnyPath) else str(source))
        return path, decode.read_head(path).size
    if source.ndim != 3 or source.shape[2] != 3:
        raise InputError(f"an image must have the shape (h, w, 3), got {source.shape}")
    return Path("image"), (source.shape[0], source.shape[1])


def _picture(source: Any, path: AnyPath, size: tuple[int, int]) -> Picture:
    if isinstance(source, np.ndarray):
        return Picture((id(source), size), size, partial(_resized, source, size))
    return Picture((path, size), size, partial(image.load, path, size=size))


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    scale = 255 if pixels.dtype == np.uint8 else 1
    return image.resize(pixels[None].astype(np.float32) / scale, *size)


def _columns(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """The results as columns."""
    paintings = np.empty(len(results), object)  # of different sizes
    for k, result in enumerate(results):
        painted = np.zeros((0, 0, 3)) if result.error or result.image is None else np.asarray(result.image)[0]
        paintings[k] = np.rint(painted * 255).astype(np.uint8)
    return {
        "painting": paintings,
        "loss": np.array([result.loss for result in results], np.float64),
        "iterations": np.array([result.iterations for result in results], np.int64),
        "error": np.array([result.error for result in results], object),
    }
