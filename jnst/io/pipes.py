"""Pictures that come through pipes: standard input, and what a shell's `<(...)` holds open.

A pipe is read once and kept, since a picture is looked at twice: for its size and for its pixels. Other pipes and
devices are no files: opening one may wait for ever.
"""

import os
import re
import stat
from functools import cache
from pathlib import Path
from typing import Any

from jnst.errors import InputError

STANDARD_INPUT = Path("/dev/stdin")
STANDARD_OUTPUT = Path("/dev/stdout")
MOST_BYTES = 2**32
_OPEN = re.compile(r"/dev/stdin|/(?:dev|proc/self)/fd/([0-9]+)")


def is_open_pipe(path: Any) -> bool:
    """Tells whether a path names a pipe or a file that this process has open: standard input, `/dev/fd/63`.

    Args:
        path: any.

    Returns:
        False also where nothing is open there.
    """
    match = _OPEN.fullmatch(str(path))
    try:
        return bool(match) and bool(os.fstat(int(match[1] or 0)))
    except OSError:
        return False


@cache
def read_pipe(path: Path) -> bytes:
    """Reads all that comes through an open pipe; the next time it is what was read then.

    Args:
        path: for which `is_open_pipe` holds.

    Returns:
        Its content.

    Raises:
        InputError: a terminal, or over 4 GiB.
        OSError: what the system says.
    """
    match = _OPEN.fullmatch(str(path))
    assert match is not None
    number = int(match[1] or 0)
    if os.isatty(number):
        raise InputError(f"{path} is a terminal; send a picture to it, as by < photo.jpg")
    with open(number, "rb", closefd=False) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InputError(f"{path} has over {MOST_BYTES // 2**30} GiB; give an image file")
    return content


def is_special(path: Path) -> bool:
    """Tells whether a pipe, a device or a socket is at a path: reading it may wait for ever, or have no end.

    Args:
        path: of this machine; it need not exist.

    Returns:
        False for files, folders, and where nothing is.

    Raises:
        OSError: a path that cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
