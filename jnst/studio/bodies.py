"""Bodies of requests: read piece by piece, never more than was allowed, and not from somebody who stalls."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from jnst.errors import InputError

MOST_UPLOAD = 200 * 10**6
MOST_JSON = 10**6
STALL_SECONDS = 30.0
"""after which a body that brings nothing more is given up"""
_BUFFER = 2**20


class TooLargeError(InputError):
    """A body of more bytes than are taken."""


class StalledError(InputError):
    """A body that came to no end."""


async def _pieces(request: Any, most: int) -> AsyncIterator[bytes]:
    """The body in pieces. Who announces too much is refused before anything is read."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > most):
        raise _too_large(most)
    count, stream = 0, request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream, None), STALL_SECONDS)
        except TimeoutError:
            raise StalledError(f"nothing came for {STALL_SECONDS:.0f} s; send it again") from None
        if piece is None:
            return
        count += len(piece)
        if count > most:
            raise _too_large(most)
        yield piece


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"at most {most / 1e6:.0f} MB are taken; give a smaller file")


async def save_body(request: Any, path: Path, *, most: int) -> None:
    """Writes a request's body to a file, which is gone where anything is wrong with it.

    Args:
        request: of Starlette.
        path: of a new file.
        most: bytes that are taken.

    Raises:
        TooLargeError: it has more.
        StalledError: it stopped coming.
        InputError: it is empty, or there is no room.
    """
    file = await asyncio.to_thread(path.open, "xb")
    try:
        waiting = bytearray()
        async for piece in _pieces(request, most):
            waiting += piece
            if len(waiting) >= _BUFFER:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(file.write, bytes(waiting))
        empty = file.tell() == 0
        await asyncio.to_thread(file.close)
        if empty:
            raise InputError("the file is empty; give an image")
    except BaseException as error:  # whoever sends it may have gone
        file.close()
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"the file cannot be kept ({error.strerror}); make room on the disk") from None
        raise


async def read_json(request: Any) -> Any:
    """Returns what a request's body holds.

    Args:
        request: of Starlette.

    Raises:
        TooLargeError: it is too long.
        InputError: no JSON.
    """
    content = bytearray()
    async for piece in _pieces(request, MOST_JSON):
        content += piece
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise InputError("the body must be JSON; use the studio's own page") from None
