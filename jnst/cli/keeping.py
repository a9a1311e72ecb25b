"""A painted picture is never lost for want of a place: where its own cannot be written, another one is found."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from jnst.errors import single_line
from jnst.io import image
from jnst.io.atomic import UnwritableError
from jnst.io.paths import AnyPath, canonical
from jnst.io.pipes import STANDARD_OUTPUT
from jnst.io.stores import is_object

MEMORY = Path("/dev/shm")
"""a disk in the memory, which is there where all others are full; gone when the machine is"""


class Kept(NamedTuple):
    """Where a picture is."""

    path: AnyPath | None
    """None: nowhere"""
    problem: str
    """why it is not where it should be, and where it is instead, in one line; empty where all is well"""


def save_or_keep(pixels: Any, path: AnyPath, **more: Any) -> Kept:
    """Writes a picture; where that fails, in another folder, or as PNG, under a name that is free.

    Args:
        pixels: RGB in [0, 1], (1, h, w, 3).
        path: where it should be.
        more: for `image.save`: description, origin, writing.

    Returns:
        Where it is, and what was wrong.
    """
    problem = _failure(pixels, path, more)
    if not problem:
        return Kept(path, "")
    failed = f"{path} cannot be written ({problem})"
    for place in _other_places(path):
        if not _failure(pixels, place, more):
            return Kept(place, f"{failed}; the picture is in {place} instead")
    return Kept(None, f"{failed}, nor any other folder; the picture is lost: make room first")


def _failure(pixels: Any, path: AnyPath, more: dict[str, Any]) -> str:
    """Tries to write; what stands in the way, in a few words."""
    try:
        if path == STANDARD_OUTPUT:
            _write_out(pixels, more)
        else:
            image.save(pixels, path, **more)
    except UnwritableError as error:
        return error.reason
    except Exception as error:  # encoders raise many kinds, as for a size that a format cannot have
        return single_line(error)
    return ""


def _write_out(pixels: Any, more: dict[str, Any]) -> None:
    """Writes PNG to standard output."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.png"
        image.save(pixels, whole, **more)
        sys.stdout.buffer.write(whole.read_bytes())
    sys.stdout.buffer.flush()


def _other_places(path: AnyPath) -> Iterator[Path]:
    """Free names in folders of this machine: beside the path, here, in the folders for what is temporary."""
    own = None if is_object(path) or path == STANDARD_OUTPUT else Path(canonical(path)).parent
    finders: tuple[Callable[[], Path | None], ...] = (
        lambda: own, Path.cwd, lambda: Path(tempfile.gettempdir()), lambda: MEMORY
    )  # fmt: skip
    suffixes = dict.fromkeys((path.suffix or ".png", ".png"))
    for find in finders:
        with contextlib.suppress(OSError):  # the current folder is deleted, there is no temporary one
            folder = find()
            for suffix in suffixes:
                if folder and folder.is_dir() and (folder, suffix) != (own, path.suffix):
                    yield _free(folder, path.stem, suffix)


def _free(folder: Path, stem: str, suffix: str) -> Path:
    """A path at which nothing is."""
    paths = (folder / f"{stem}{f'-{k}' if k else ''}{suffix}" for k in count())
    return next(path for path in paths if not os.path.lexists(path))
