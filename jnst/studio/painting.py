"""An order of the page, painted: images read as the command line reads them, the recipe as it writes it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jnst.capacity import available, obviously_fits
from jnst.config import Config
from jnst.errors import InputError, is_out_of_memory
from jnst.io import image, masks
from jnst.io.checkpoint_file import CheckpointFile
from jnst.io.decode import read_size
from jnst.io.encode import Writing, encode
from jnst.io.metadata import Origin
from jnst.io.recipe import InputFile
from jnst.io.weights import Weights
from jnst.jobs import Job as Task
from jnst.jobs import Picture as Lazy
from jnst.memory import resident
from jnst.recipes import make_recipe
from jnst.records import Callback, Result
from jnst.scheduler import Step, stylize_many
from jnst.sizes import content_size, style_size
from jnst.strategies import TILES, cheapest_that_fits, choices, least_bytes
from jnst.studio.settings import Order
from jnst.studio.store import Store
from jnst.transfer import stylize

PREVIEW_SIDE = 768
"""most pixels of a side"""
DRAFT_SIDE, SHEET_SIDE = 192, 128
_EVERYWHERE = InputFile("all", "")
"""in a recipe, in place of a mask that is none"""
_PLAIN_BYTES, _TILED_BYTES = 2700, 800
"""a pixel, of a picture computed whole and in windows (docs/scales.md): for a plan that compiles nothing"""
_TILED_TIME = 2.5
"""how much longer windows take, about"""


class Images(NamedTuple):
    """What is read for an order, as `stylize` takes it."""

    content: Any
    styles: list[tuple[Any, ...]]
    origin: Origin


def size_of(store: Store, key: str, side: int) -> tuple[int, int]:
    """Returns the (height, width) of a result.

    Args:
        store: of the images.
        key: of the photograph.
        side: most pixels of its longer side.

    Raises:
        InputError: a side would be under 32 pixels.
    """
    upload = store.image(key)
    return content_size(Path(upload.name), (upload.height, upload.width), side)


def load(store: Store, order: Order, side: int) -> Images:
    """Reads the images of an order, transparent places of the photograph left out of the style.

    Args:
        store: of the images.
        order: what is asked for.
        side: most pixels of the result's longer side.

    Returns:
        The images, in the sizes in which they are computed.

    Raises:
        InputError: an image that is gone, or too narrow; a mask of another shape than the photograph.
    """
    size = size_of(store, order.photograph, side)
    longer = round(max(size) * order.settings.stroke)
    photograph = image.read(store.file_of(store.image(order.photograph)), size=size)
    seen = image.style_mask(photograph.origin)
    styles = []
    for part, weight in zip(order.paintings, _shares(order), strict=True):
        path = store.file_of(store.image(part.image))
        pixels = image.load(path, size=style_size(path, read_size(path), longer))
        mask = None if part.mask is None else masks.load_mask(store.file_of(store.image(part.mask)), size)
        mask = seen if mask is None else mask if seen is None else mask * seen
        styles.append((pixels, mask, weight, None))
    return Images(photograph.pixels, styles, photograph.origin)


def _shares(order: Order) -> list[float]:
    """The paintings' weights, which sum to their number, as those of the command line do."""
    total = sum(part.weight for part in order.paintings)
    return [len(order.paintings) * part.weight / total for part in order.paintings]


def recipe(store: Store, order: Order, size: tuple[int, int], config: Config, way: Config, weights: Weights) -> str:
    """Returns the recipe of an order's picture, by which `jnst replay` paints it again.

    Args:
        store: of the images.
        order: what was asked for.
        size: (height, width) of the picture.
        config: the settings.
        way: those by which it was computed.
        weights: of the network.
    """

    def file(key: str) -> InputFile:
        upload = store.image(key)
        return InputFile(upload.name, upload.sha256)

    settings, parts, shares = order.settings, order.paintings, _shares(order)
    inputs = {"content": (file(order.photograph),), "styles": tuple(file(part.image) for part in parts)}
    if any(part.mask for part in parts):
        inputs["content_masks"] = tuple(file(part.mask) if part.mask else _EVERYWHERE for part in parts)
    options: dict[str, Any] = {
        "image_size": settings.image_size, "upscale": False, "style_scale": settings.stroke, "bits": 8, "alpha": "keep",
        "colour_space": "srgb", "keep_gps": False,
    }  # fmt: skip
    if set(shares) != {1.0}:
        options["style_blend_weights"] = shares
    return make_recipe(size, config, inputs, weights.record(), way=way, options=options)


def paint(images: Images, config: Config, weights: Weights, callback: Callback, checkpoint: Path | None) -> Result:
    """Paints by the fastest way that the memory allows, and by another where it does not last.

    Args:
        images: that are read.
        config: the settings.
        weights: of the network.
        callback: as `stylize` takes it.
        checkpoint: where the run is kept; None: nowhere.

    Returns:
        The result.

    Raises:
        InputError: more memory is needed than there is.
    """
    size, limit = images.content.shape[1:3], available()
    if limit is not None and not obviously_fits(size[0] * size[1], limit):
        config = cheapest_that_fits(config, weights.params, size, limit).config
    kept = None if checkpoint is None else CheckpointFile(checkpoint)
    for _, choice in choices(config, size):
        try:
            return stylize(
                images.content, images.styles, choice, weights, callback=callback, checkpoint=kept
            )  # fmt: skip
        except InputError:
            if kept is None or not kept.path.exists():
                raise
            kept.remove()  # of another way of computing, or another version: the run begins anew
            return paint(images, config, weights, callback, checkpoint)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if kept is not None:
                kept.begin_anew()
    raise InputError(f"not enough memory for {size[1]}x{size[0]} pixels; choose a smaller size")


def paint_sheet(
    store: Store, photograph: str, paintings: Sequence[str], config: Config, weights: Weights, callback: Callback,
    on_step: Callable[[Step], object],
) -> Iterator[Result]:  # fmt: skip
    """Paints a photograph in the manner of each painting, all in one batch.

    Args:
        store: of the images.
        photograph: its id.
        paintings: theirs.
        config: the settings.
        weights: of the network.
        callback: as `stylize_many` takes it.
        on_step: as well.

    Returns:
        The results, named by the paintings.
    """
    size = size_of(store, photograph, SHEET_SIDE)
    content = image.load(store.file_of(store.image(photograph)), size=size)
    tasks = []
    for key in paintings:
        path = store.file_of(store.image(key))
        style = image.load(path, size=style_size(path, read_size(path), max(size)))
        tasks.append(Task(Lazy.from_array(content), Lazy.from_array(style), name=key))
    return stylize_many(
        tasks, weights, config=config, memory=available(), callback=callback, on_step=on_step
    )  # fmt: skip


def plan(size: tuple[int, int], config: Config, rate: float | None) -> dict[str, Any]:
    """Estimates what a picture takes, without compiling anything.

    Args:
        size: (height, width).
        config: the settings.
        rate: seconds of an iteration a pixel, as measured here; None: nothing was painted yet.

    Returns:
        As the page has it.
    """
    from jnst.losses.sizes import scales

    pixels, limit = size[0] * size[1], available()
    work = sum(s.iterations * s.height * s.width for s in scales(*size, config.iterations, config.scales))
    base = (resident() if jax.default_backend() == "cpu" else 0) + least_bytes(config, size)
    need, slower = base + _PLAIN_BYTES * pixels, 1.0
    if limit is not None and need > limit and max(size) > TILES[-1]:
        need, slower = base + _TILED_BYTES * pixels, _TILED_TIME
    return {
        "width": size[1], "height": size[0], "seconds": None if rate is None else rate * work * slower,
        "memory_bytes": need, "limit_bytes": limit, "fits": limit is None or need <= limit,
    }  # fmt: skip


def preview(pixels: np.ndarray, side: int) -> bytes:
    """Returns a picture as WebP.

    Args:
        pixels: (1, h, w, 3), RGB in [0, 1].
        side: most pixels of its longer side.
    """
    size = image.fit((pixels.shape[1], pixels.shape[2]), side)
    return encode(image.resize(np.asarray(pixels), *size), Path("preview.webp"))


def origin_of(store: Store, key: str, size: tuple[int, int]) -> Origin:
    """Returns what of a photograph goes with its painted picture; nothing where it is gone.

    Args:
        store: of the images.
        key: of the photograph.
        size: (height, width) of the picture.
    """
    try:
        return image.read_origin(store.file_of(store.image(key)), size)
    except InputError:
        return Origin()


def finished_file(
    pixels: np.ndarray, ending: str, *, origin: Origin, recipe: str, deep: bool = False, wide: bool = False
) -> bytes:
    """Returns a picture as a file, with its recipe.

    Args:
        pixels: (1, h, w, 3), RGB in [0, 1].
        ending: that names the format.
        origin: of the photograph.
        recipe: of the picture.
        deep: 16 bits a channel.
        wide: in Display P3 instead of sRGB.

    Raises:
        InputError: a package that is not installed.
    """
    from jnst.io.color import display_p3_profile
    from jnst.io.optional import require

    path, writing = Path(f"picture{ending}"), Writing(bits=16 if deep else 8)
    if wide:
        require("imagecodecs", path, "Display P3")
        origin, writing = origin._replace(profile=display_p3_profile()), replace(writing, colour_space="input")
    return encode(pixels, path, recipe=recipe, origin=origin, writing=writing)
