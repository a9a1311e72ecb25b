"""Clips, frame by frame: films by PyAV (extra `video`), moving .gif, .webp and .png by Pillow, folders of pictures.

One frame is in memory at a time. A film is opened as a file, never as an address, and only in formats that hold their
pictures themselves: a list of further files (HLS, concat) is refused. What cannot be read is said in one line.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from jnst.errors import InputError, single_line
from jnst.io import decode, image, optional
from jnst.io.paths import path_errors
from jnst.io.pipes import is_special

MOST_FRAMES = 10**6
MOST_PIXELS = 2**26  # of a frame; 8K has 2^25
FILMS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".ogv",
         ".wmv", ".flv")  # fmt: skip
"""endings that are read by PyAV"""
MOVING = (".gif", ".webp", ".png", ".apng")
"""endings that are read by Pillow"""
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,asf,flv,mpegvideo,h264,hevc"
_RATE = 25  # where a film does not tell
_MOST_RATE = 1000


@dataclass(frozen=True)
class Clip:
    """What is known of a clip before its frames are read.

    Attributes:
        path: of the file or folder.
        size: (height, width) as it is shown.
        frames: how many; of a film that does not tell, counted.
        rate: frames a second; None where it has none of its own: a folder.
        sound: whether it has any, which is not read.
        files: of a folder, in the order of the numbers in their names.
    """

    path: Path
    size: tuple[int, int]
    frames: int
    rate: Fraction | None
    sound: bool = False
    files: tuple[Path, ...] = ()

    def pictures(
        self, size: tuple[int, int], *, every: int = 1, most: int = 0
    ) -> Iterator[tuple[int, Float[np.ndarray, "1 _h _w 3"]]]:
        """Reads frames, one after the other.

        Args:
            size: (height, width) to bring each to.
            every: takes each so many-th, from the first.
            most: frames to take, 0: all.

        Yields:
            Its number in the clip, from 0, and RGB (sRGB) in [0, 1].

        Raises:
            InputError: a damaged clip, when it comes to that place.
        """
        if self.files:
            for number, path in islice(enumerate(self.files), 0, None if not most else most * every, every):
                yield number, image.load(path, size=size)
            return
        frames = _film_frames(self.path) if _is_film(self.path) else _moving_frames(self.path)
        taken = islice(frames, 0, None if not most else most * every, every)
        for number, pixels in enumerate(taken):
            yield number * every, image.resize(np.asarray(pixels, np.float32)[None] / np.float32(255), *size)


def open_clip(path: Path, *, files: Sequence[Path] = ()) -> Clip:
    """Looks at a clip.

    Args:
        path: of a film, of a moving picture, or of a folder.
        files: of a folder, its pictures.

    Returns:
        What is known of it.

    Raises:
        InputError: nothing there, no clip, one that is damaged or too large, a package that is not installed.
    """
    if files:
        ordered = tuple(sorted(files, key=_by_numbers))
        return _checked(Clip(path, decode.read_size(ordered[0]), len(ordered), None, files=ordered))
    with path_errors(path):
        if not path.exists():
            raise InputError(f"{path}: no such file; give the path of a clip")
        if is_special(path):
            raise InputError(f"{path} is a pipe or a device; give a film, or a folder of pictures")
    if _is_film(path):
        return _checked(_look_at_film(path))
    if path.suffix.lower() not in MOVING:
        raise InputError(
            f"{path} is no clip; give a folder of pictures, a .gif, or a film such as {', '.join(FILMS[:6])}"
        )
    with _told(path), _moving(path) as file:
        count = getattr(file, "n_frames", 1)
        milliseconds: list[float] = []
        for k in range(min(count, 100)):
            file.seek(k)
            file.load()  # before which a .webp does not tell
            milliseconds.append(float(file.info.get("duration", 0) or 0))
        shown = sum(milliseconds) / len(milliseconds)
        rate = Fraction(1000 / shown).limit_denominator(1000) if shown else Fraction(10)  # as browsers show 0
        return _checked(Clip(path, (file.height, file.width), count, min(rate, Fraction(_MOST_RATE))))


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in FILMS


def _checked(clip: Clip) -> Clip:
    _check_size(clip.path, clip.size)
    if clip.frames > MOST_FRAMES:
        raise InputError(f"{clip.path} has over {MOST_FRAMES} frames; give a shorter clip")
    if clip.frames < 1:
        raise InputError(f"{clip.path} has no frame; give a whole clip")
    return clip


def _check_size(path: Path, size: tuple[int, int]) -> None:
    height, width = size
    if height * width > MOST_PIXELS:
        raise InputError(f"{path} has {width}x{height} pixels a frame; reduce it first, to 8K or less")


def _by_numbers(path: Path) -> list[Any]:
    """So that frame2 comes before frame10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split("([0-9]{1,18})", path.name)]


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever a decoder raises, in one line."""
    try:
        yield
    except (InputError, GeneratorExit):
        raise
    except MemoryError:
        raise InputError(f"{path} needs more memory than there is; reduce it first") from None
    except Exception as error:  # FFmpeg's and Pillow's are many
        raise InputError(f"{path} cannot be read ({_reason(error)}); give a whole clip") from None


def _reason(error: Exception) -> str:
    """FFmpeg's errors have a number that says nothing and the path, which stands in the message already."""
    return getattr(error, "strerror", None) or single_line(error)


@contextlib.contextmanager
def _film(path: Path) -> Iterator[tuple[Any, Any]]:
    """A film's container and its first video stream."""
    av = optional.require("av", path, "a film")
    # as a file that is open already: no address is followed, and no further file is opened
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"}
    with open(path, "rb") as file, av.open(file, options=options) as container:
        if not container.streams.video:
            raise InputError(f"{path} has no picture; give a film")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None:
            raise InputError(f"{path} is in a coding that PyAV does not read; give another")
        _check_size(path, (context.height, context.width))
        context.options = {"max_pixels": str(MOST_PIXELS)}  # the stream may say more than the head does
        yield container, stream


def _look_at_film(path: Path) -> Clip:
    with _told(path):
        with _film(path) as (container, stream):
            first = next(container.decode(stream), None)
            if first is None:
                raise InputError(f"{path} has no frame; give a whole clip")
            height, width = _upright(first.to_ndarray(format="rgb24"), first).shape[:2]
            wide = stream.sample_aspect_ratio  # pixels of old formats are not square
            if wide and Fraction(1, 8) < wide < 8 and wide != 1:
                turned = first.rotation % 180 != 0
                height, width = (round(height * wide), width) if turned else (height, round(width * wide))
            rate = stream.average_rate or stream.guessed_rate or Fraction(_RATE)
            frames, sound = stream.frames, bool(container.streams.audio)
        if not frames:  # Matroska and others do not tell
            with _film(path) as (container, stream):
                frames = sum(1 for packet in islice(container.demux(stream), MOST_FRAMES + 2) if packet.size)
    rate = Fraction(rate).limit_denominator(1001) if 0 < rate <= _MOST_RATE else Fraction(_RATE)
    return Clip(path, (height, width), frames, rate or Fraction(_RATE), sound)


def _film_frames(path: Path) -> Iterator[np.ndarray]:
    with _told(path), _film(path) as (container, stream):
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            _check_size(path, (frame.height, frame.width))
            yield _upright(frame.to_ndarray(format="rgb24"), frame)


def _upright(pixels: np.ndarray, frame: Any) -> np.ndarray:
    """Telephones turn a film by a note beside it."""
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


@contextlib.contextmanager
def _moving(path: Path) -> Iterator[Image.Image]:
    with Image.open(path, formats=("GIF", "WEBP", "PNG")) as file:  # Pillow refuses what is far too large
        _check_size(path, (file.height, file.width))
        yield file


def _moving_frames(path: Path) -> Iterator[np.ndarray]:
    with _told(path), _moving(path) as file:
        for number in range(getattr(file, "n_frames", 1)):
            file.seek(number)
            frame = file.convert("RGBA")
            white = Image.new("RGBA", frame.size, "white")
            yield np.asarray(Image.alpha_composite(white, frame).convert("RGB"))
