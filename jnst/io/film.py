"""Films out of pictures: H.264 in .mp4 by PyAV (extra `video`), .gif and animated .webp by Pillow.

A film is there whole or not at all (`jnst.io.atomic`). Frames of an .mp4 are encoded as they come; those of the other
two, which Pillow wants together, are kept, so these are bounded in size.
"""

import contextlib
import math
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, features

from jnst.errors import InputError, single_line
from jnst.io import optional
from jnst.io.atomic import UnwritableError, whole_by_name, write_whole
from jnst.io.image import fit, resize

KEPT_BYTES = 10**9
"""of frames that a .gif or .webp keeps until its end"""
_CODEC = {"crf": "16", "preset": "veryfast", "x264-params": "log-level=none"}
_BT709, _SRGB, _LIMITED = 1, 13, 1  # ITU-T H.273 and FFmpeg's number of the studio range


class Kind(NamedTuple):
    """A format of films."""

    name: str
    most: int
    """pixels of the longer side: what players take, and what people send around"""


KINDS = {".mp4": Kind("MP4", 4096), ".gif": Kind("GIF", 1024), ".webp": Kind("WEBP", 1024)}
"""extension -> format"""


def require_film(path: Path) -> Kind:
    """Returns the format that a path's extension names.

    Args:
        path: of the film to write.

    Raises:
        InputError: an extension of no format, a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise InputError(f"{path} has the extension {path.suffix!r}; a film can be written as {', '.join(KINDS)}")
    if suffix == ".mp4":
        optional.require("av", path, "a film of this kind")
    if suffix == ".webp" and not features.check("webp"):
        raise InputError(f"{path}: this machine's Pillow writes no WEBP; give a .gif or .mp4")
    return KINDS[suffix]


def film_size(path: Path, size: tuple[int, int]) -> tuple[int, int]:
    """Returns the size of a film: the pictures', but for what the format cannot have.

    Args:
        path: whose extension counts.
        size: (height, width) of the pictures.

    Returns:
        (height, width): even in .mp4, whose colours are kept by twos; reduced where it is larger than the format's.
    """
    kind = KINDS[path.suffix.lower()]
    height, width = fit(size, kind.most)
    return (height // 2 * 2, width // 2 * 2) if kind.name == "MP4" else (height, width)


class Film:
    """A film under way: `close` puts it into its place, `abandon` leaves nothing of it.

    Attributes:
        path: of the film.
        size: (height, width) of it.
        frames: how many were added.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction) -> None:
        """Begins.

        Args:
            path: as `require_film` takes it.
            size: (height, width) of the pictures.
            rate: frames a second.

        Raises:
            UnwritableError: a place that cannot be written.
        """
        self.path, self.rate, self.frames = path, rate, 0
        self.size = film_size(path, size)
        self._inside = contextlib.ExitStack()
        self._encoder: _Encoder | None = None
        self._kept: list[Image.Image] = []
        if path.suffix.lower() == ".mp4":
            name = self._inside.enter_context(whole_by_name(path))
            try:
                self._encoder = self._inside.enter_context(_Encoder(name, path, self.size, rate))
            except BaseException:
                self.abandon()
                raise

    def close(self) -> None:
        """Puts the film into its place; one of no frame is none.

        Raises:
            UnwritableError: a disk that is full.
        """
        if not self.frames:
            self.abandon()
            return
        self._inside.close()
        if self._kept:
            write_whole(self.path, self._write_kept)

    def abandon(self) -> None:
        """Leaves nothing behind."""
        self.frames = 0
        self._kept.clear()
        with contextlib.suppress(_Abandoned), self._inside:
            raise _Abandoned

    def add(self, picture: Float[np.ndarray, "1 _h _w 3"], *, seconds: float = 0.0) -> None:
        """Adds a frame.

        Args:
            picture: RGB (sRGB) in [0, 1], of any size: brought to the film's.
            seconds: how long it is shown; 0: as the film's rate says.

        Raises:
            UnwritableError: a disk that is full.
        """
        height, width = self.size
        if self._encoder and (picture.shape[1] - height, picture.shape[2] - width) in ((0, 1), (1, 0), (1, 1)):
            picture = picture[:, :height, :width]  # the odd line is left out: to resample for it would blur
        pixels = np.round(np.clip(resize(picture, height, width)[0], 0, 1) * 255).astype(np.uint8)
        count = max(1, round(seconds * self.rate))
        if self._encoder is None:
            frame = Image.fromarray(pixels)
            frame.info["duration"] = max(20, round(1000 * count / self.rate))  # below 20 ms browsers show 100
            self._kept.append(frame)
        else:
            for _ in range(count):
                self._encoder.add(pixels)
        self.frames += 1

    def _write_kept(self, file: Any) -> None:
        first, *others = self._kept
        durations = [frame.info["duration"] for frame in self._kept]
        kind = KINDS[self.path.suffix.lower()].name
        more = {"quality": 90, "method": 4} if kind == "WEBP" else {"optimize": False}
        first.save(file, kind, save_all=True, append_images=others, duration=durations, loop=0, **more)


class _Abandoned(Exception):  # noqa: N818 - it never leaves this module
    """Unwinds what is half written."""


class _Encoder:
    """H.264 in a file, 4:2:0, sRGB's colours as BT.709 has them."""

    def __init__(self, name: str, path: Path, size: tuple[int, int], rate: Fraction) -> None:
        self.av, self.path = optional.require("av", path, "a film of this kind"), path
        self.container = self.av.open(name, "w", format="mp4", options={"movflags": "faststart"})
        self.stream = self.container.add_stream("libx264", rate=rate, options=_CODEC)
        self.stream.height, self.stream.width = size
        self.stream.pix_fmt = "yuv420p"
        context = self.stream.codec_context
        context.colorspace = context.color_primaries = _BT709
        context.color_trc, context.color_range = _SRGB, _LIMITED
        context.thread_count = 2  # each holds frames

    def __enter__(self) -> "_Encoder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None:
        if kind is None:
            self._mux(None)
            with self._errors():
                self.container.close()
        else:
            with contextlib.suppress(Exception):
                self.container.close()

    def add(self, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        frame = self.av.VideoFrame.from_ndarray(pixels, format="rgb24")
        self._mux(frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED))

    def _mux(self, frame: Any) -> None:
        with self._errors():
            for packet in self.stream.encode(frame):
                self.container.mux(packet)

    @contextlib.contextmanager
    def _errors(self) -> Any:
        try:
            yield
        except (self.av.error.FFmpegError, OSError) as error:
            reason = error if isinstance(error, OSError) else OSError(single_line(error))
            raise UnwritableError(self.path, reason) from None


def kept_bytes(path: Path, size: tuple[int, int], frames: int) -> int:
    """Returns the bytes that a film keeps in memory until its end.

    Args:
        path: whose extension counts.
        size: (height, width) of the pictures.
        frames: of the film.
    """
    return 0 if path.suffix.lower() == ".mp4" else 3 * frames * math.prod(film_size(path, size))
