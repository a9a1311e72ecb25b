"""The packages of the extras, which need not be installed, and what is said where they are not."""

import functools
import importlib
import logging
from typing import Any

from jnst.errors import InputError
from jnst.io.paths import AnyPath

EXTRAS = {
    "imagecodecs": "photo", "tifffile": "photo", "pi_heif": "photo",
    "av": "video", "matplotlib": "plot",
    "starlette": "web", "uvicorn": "web", "ray": "ray",
    "s3fs": "s3", "gcsfs": "gs", "adlfs": "az", "optimistix": "optimistix",
}  # fmt: skip
"""package, as it is imported -> the extra that brings it"""


def install(extra: str) -> str:
    """Returns the command that installs an extra.

    Args:
        extra: its name.
    """
    return f'pip install "jnst[{extra}]"'


INSTALL = install("photo")
_log = logging.getLogger("jnst")
_told: set[str] = set()


@functools.cache
def find(name: str) -> Any:
    """Imports a package, when it is first needed.

    Args:
        name: `imagecodecs`, `tifffile`, `pi_heif`, `av`, `matplotlib`, `starlette`, `uvicorn` or `ray`, or a
            module of one.

    Returns:
        The module, or None where it is not installed.
    """
    logging.getLogger(name).addHandler(logging.NullHandler())  # tifffile's remarks on odd files; trouble raises
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def require(name: str, path: AnyPath, what: str) -> Any:
    """Imports a package that a file needs.

    Args:
        name: as of `find`.
        path: of the file.
        what: the file is or will be, such as "HEIC".

    Returns:
        The module.

    Raises:
        InputError: it is not installed.
    """
    module = find(name)
    if module is None:
        raise InputError(f"{path}: {what} needs further packages: {install(EXTRAS[name.split('.')[0]])}")
    return module


def tell(text: str) -> None:
    """Logs a line about a file, once a process, as a warning of the logger `jnst`.

    Args:
        text: one line.
    """
    if text not in _told:
        _told.add(text)
        _log.warning(text)
