"""Where painted frames go: a film, or a folder of pictures that is filled as they come."""

import re
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from jnst.cli.checks import require_folder_place, require_output
from jnst.errors import InputError
from jnst.io import image
from jnst.io.atomic import UnwritableError
from jnst.io.film import KEPT_BYTES, Film, kept_bytes, require_film
from jnst.io.paths import canonical, is_folder, listdir


class FrameOutput(Protocol):
    """Takes frames. A context manager."""

    @property
    def frames(self) -> int:
        """Taken so far."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) as written."""
        ...

    def add(self, number: int, picture: Any) -> None:
        """Takes one.

        Args:
            number: of the frame in the clip, from 0.
            picture: RGB in [0, 1], (1, h, w, 3).
        """
        ...

    def __enter__(self) -> Any: ...

    def __exit__(self, kind: Any, error: Any, at: Any) -> None: ...


def is_film(path: Path) -> bool:
    """Returns whether an output names a film; what has no ending, or is there as a folder, is one of pictures.

    Args:
        path: of the output.
    """
    return bool(path.suffix) and not is_folder(path)


def require_frame_output(
    path: Path, frames: int, size: tuple[int, int], *, inputs: Collection[Path], overwrite: bool
) -> None:
    """Refuses a place where the frames must not, or cannot, go; makes nothing.

    Args:
        path: of the output.
        frames: to paint.
        size: (height, width) of them.
        inputs: what is read.
        overwrite: whether existing files may be replaced.

    Raises:
        InputError: no format, no place, existing files, more than memory should hold.
    """
    read = {canonical(place) for place in inputs}
    if is_film(path):
        require_film(path)
        require_output(path, inputs=read, overwrite=overwrite, as_image=False)
        if kept_bytes(path, size, frames) > KEPT_BYTES:
            raise InputError(
                f"{path} would hold {frames} frames, too many for a {path.suffix}; give an .mp4, or `every`"
            )
        return
    if canonical(path) in read:
        raise InputError(f"{path} is the clip; give another folder as `output`")
    require_folder_place(path, option="-o")
    there = next((name for name in sorted(listdir(path)) if re.fullmatch(r"frame-[0-9]+\.png", name)), None)
    if there and not overwrite:
        raise InputError(f"{path / there} exists; give `overwrite` to replace it, or another `output`")


def open_output(path: Path, size: tuple[int, int], rate: Fraction) -> FrameOutput:
    """Begins the output.

    Args:
        path: as `require_frame_output` takes it.
        size: (height, width) of the frames.
        rate: frames a second.

    Returns:
        What takes the frames.

    Raises:
        UnwritableError: a place that cannot be written.
    """
    return _FilmOutput(path, size, rate) if is_film(path) else _Folder(path, size)


class _FilmOutput:
    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction) -> None:
        self.film = Film(path, size, rate)

    @property
    def frames(self) -> int:
        return self.film.frames

    @property
    def size(self) -> tuple[int, int]:
        return self.film.size

    def add(self, number: int, picture: Any) -> None:
        self.film.add(picture)

    def __enter__(self) -> "_FilmOutput":
        return self

    def __exit__(self, kind: Any, error: Any, at: Any) -> None:
        if isinstance(error, UnwritableError):
            self.film.abandon()
        else:
            self.film.close()  # whatever it was: hours may be in it


class _Folder:
    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path, self.size, self.frames = path, size, 0

    def add(self, number: int, picture: Any) -> None:
        image.save(picture, self.path / f"frame-{number:06d}.png")
        self.frames += 1

    def __enter__(self) -> "_Folder":
        return self

    def __exit__(self, kind: Any, error: Any, at: Any) -> None: ...
