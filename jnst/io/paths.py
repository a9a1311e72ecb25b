"""Paths of this machine and of object stores, where a bucket works as a folder does.

Object stores are reached by etils.epath and fsspec. An object is there whole or not at all, and nothing is appended to
one; folders need not be made, they are parts of names.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from etils import epath

from jnst.errors import InputError

AnyPath = Path | epath.Path
STORES = ("gs://", "s3://", "az://")


def path_of(text: str | AnyPath) -> AnyPath:
    """The path that a text names.

    Raises:
        InputError: an address that is neither of this machine nor of a known store.
    """
    if isinstance(text, AnyPath):
        return text
    if text.startswith(STORES):
        return epath.Path(text)
    if "://" in text:
        raise InputError(f"{text}: give a path of this machine, or one that begins with {', '.join(STORES)}")
    return Path(text)


def local_path(text: str) -> Path:
    """The path on this machine that a text names.

    Raises:
        InputError: an address of something else.
    """
    if "://" in text:
        raise InputError(f"{text}: give a path of this machine")
    return Path(text)


def join(folder: AnyPath, text: str) -> AnyPath:
    """What a text in a file of that folder names: an address or a whole path itself, another path from the folder."""
    path = path_of(text)
    return path if is_object(path) or path.is_absolute() else folder / path


def resolved(path: AnyPath) -> AnyPath:
    """The path by which two that mean the same place are equal."""
    return path if is_object(path) else path.resolve()


def is_object(path: AnyPath) -> bool:
    """Whether the path lies in an object store."""
    return isinstance(path, epath.Path)


@contextlib.contextmanager
def reaching(path: AnyPath) -> Iterator[None]:
    """Brings what the clients of object stores raise, which is of no common kind, into one line.

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
        raise InputError(f"{path} cannot be reached ({one_line(error)}); {hint}") from None


def is_folder(path: AnyPath) -> bool:
    """Whether there is a folder.

    Raises:
        InputError: an object store that cannot be reached.
    """
    with reaching(path):
        return path.is_dir()


def names_in(folder: AnyPath) -> set[str]:
    """The names of what is in the folder; none where there is no folder.

    Raises:
        InputError: an object store that cannot be reached.
    """
    try:
        with reaching(folder):
            return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({one_line(error)}); choose another folder") from None


def read_object(path: AnyPath) -> bytes:
    """A whole object.

    Raises:
        InputError: an object store that cannot be reached.
        FileNotFoundError: no such object.
    """
    with reaching(path):
        return path.read_bytes()


def write_object(path: AnyPath, content: bytes) -> None:
    """Makes or replaces an object.

    Raises:
        InputError: an object store that cannot be reached, or does not take it.
    """
    try:
        with reaching(path):
            path.write_bytes(content)
    except FileNotFoundError as error:
        raise InputError(f"{path} cannot be written ({one_line(error)}); make the bucket first") from None


def one_line(error: BaseException) -> str:
    """What an exception says."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
