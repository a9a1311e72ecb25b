"""Object stores, reached by etils.epath and fsspec: an object is there whole or not at all, nothing is appended to one.

Stores refuse for a moment, and connections break: what is read, written or listed is tried again, with longer and
longer waits, after whatever the store's own client has tried.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from etils import epath

from jnst.errors import InputError, single_line

AnyPath = Path | epath.Path
T = TypeVar("T")
WAITS = (0.5, 2.0, 8.0)
"""seconds before each further try, a half more or less, so that many machines do not come at once"""
LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, InputError)
"""what another try would not change"""


def is_object(path: AnyPath) -> bool:
    """Tells whether a path lies in an object store.

    Args:
        path: it need not exist.

    Returns:
        True for a path of a store, False for one of this machine.
    """
    return isinstance(path, epath.Path)


@contextlib.contextmanager
def store_errors(path: AnyPath) -> Iterator[None]:
    """Turns what the clients of object stores raise, which has no common type, into one line: a context manager.

    Args:
        path: what is read or written inside; on this machine nothing is changed.

    Yields:
        Nothing.

    Raises:
        InputError: instead of any exception but FileNotFoundError, where the path is in an object store.
    """
    try:
        yield
    except (InputError, FileNotFoundError):
        raise
    except Exception as error:
        if not is_object(path):
            raise
        hint = "install what it names" if isinstance(error, ImportError) else "see to the network and the credentials"
        raise InputError(f"{path} cannot be reached ({single_line(error)}); {hint}") from None


def patiently(action: Callable[[], T]) -> T:
    """Tries something again where a store or the way to it fails.

    Args:
        action: what to do; each time from the beginning.

    Returns:
        What it returns.

    Raises:
        Exception: of the last try; at once where another try would not change it.
    """
    for wait in WAITS:
        try:
            return action()
        except LASTING:
            raise
        except Exception as error:  # the clients have no common type
            if "credentials" in str(error).lower():
                raise
            time.sleep(wait * random.uniform(0.5, 1.5))
    return action()


def read_object(path: AnyPath) -> bytes:
    """Reads a whole object.

    Args:
        path: of a store.

    Returns:
        Its content.

    Raises:
        InputError: an object store that cannot be reached.
        FileNotFoundError: no such object.
    """
    with store_errors(path):
        return patiently(path.read_bytes)


def write_object(path: AnyPath, content: bytes) -> None:
    """Makes or replaces an object, whole or not at all.

    Args:
        path: of a store.
        content: all of it.

    Raises:
        InputError: an object store that cannot be reached, or does not take it.
    """
    try:
        with store_errors(path):
            patiently(lambda: path.write_bytes(content))
    except FileNotFoundError as error:
        raise InputError(f"{path} cannot be written ({single_line(error)}); make the bucket first") from None
