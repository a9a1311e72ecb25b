"""Paths of this machine and of object stores (`stores`), where a bucket works as a folder does.

In a store folders need not be made, they are parts of names.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from etils import epath

from jnst.errors import InputError, single_line
from jnst.io.pipes import is_open_pipe, is_special, read_pipe
from jnst.io.stores import AnyPath, is_object, patiently, read_object, store_errors, write_object

STORES = ("gs://", "s3://", "az://")
UNFINISHED = ".jnst-"
"""begins the name of a file that is being written"""


def parse_path(text: str | AnyPath) -> AnyPath:
    """Turns a text into a path of this machine or of an object store.

    Args:
        text: a path, or an address that begins with one of `STORES`; a path stays as it is.

    Returns:
        The path.

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


def parse_local_path(text: str) -> Path:
    """Turns a text into a path of this machine.

    Args:
        text: a path.

    Returns:
        The path.

    Raises:
        InputError: an address of something else.
    """
    if "://" in text:
        raise InputError(f"{text}: give a path of this machine")
    return Path(text)


def resolve_relative(folder: AnyPath, text: str) -> AnyPath:
    """Resolves a path that stands in a file: absolute paths and addresses as they are, others against a folder.

    Args:
        folder: of the file.
        text: what stands there.

    Returns:
        The path.

    Raises:
        InputError: an address of no known store.
    """
    path = parse_path(text)
    return path if is_object(path) or path.is_absolute() else folder / path


def canonical(path: AnyPath) -> AnyPath:
    """Brings a path into the form in which two paths to the same file are equal.

    Args:
        path: it need not exist.

    Returns:
        The absolute path without links; one of a store as it is.

    Raises:
        InputError: links that lead in a circle, or letters that no path has.
    """
    if is_object(path):
        return path
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a circle, before Python 3.13
        raise InputError(f"{path} cannot be found ({single_line(error)}); give another path") from None


@contextlib.contextmanager
def path_errors(path: AnyPath) -> Iterator[None]:
    """Turns what the system says of a path that cannot even be looked at into one line: a context manager.

    Args:
        path: that is asked about inside.

    Yields:
        Nothing.

    Raises:
        InputError: of what the system raises, as for a name that is too long or a folder that may not be entered.
    """
    try:
        with store_errors(path):
            yield
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: letters that no path has
        raise InputError(f"{path} cannot be used ({single_line(error)}); give another path") from None


def is_folder(path: AnyPath) -> bool:
    """Tells whether there is a folder.

    Args:
        path: of this machine or of a store.

    Returns:
        False also where nothing is.

    Raises:
        InputError: a path that cannot be looked at, or an object store that cannot be reached.
    """
    with path_errors(path):
        return path.is_dir()


def is_there(path: AnyPath) -> bool:
    """Tells whether anything has that path.

    Args:
        path: of this machine or of a store.

    Returns:
        False where nothing has.

    Raises:
        InputError: a path that cannot be looked at, or an object store that cannot be reached.
    """
    with path_errors(path):
        return patiently(path.exists)


def listdir(folder: AnyPath) -> set[str]:
    """Lists a folder.

    Args:
        folder: of this machine or of a store.

    Returns:
        The names of what is in it; none where there is no folder.

    Raises:
        InputError: a folder that cannot be read, or a store that cannot be reached.
    """
    try:
        with store_errors(folder):
            return patiently(lambda: {path.name for path in folder.iterdir()})
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({single_line(error)}); choose another folder") from None


def read_streamed(path: AnyPath) -> bytes | None:
    """Reads at once what is no file to look around in: an object, or an open pipe.

    Args:
        path: of anything.

    Returns:
        Its content; None where it is a file of this machine.

    Raises:
        InputError: an object store that cannot be reached, a terminal.
        FileNotFoundError: no such object.
    """
    if is_object(path):
        return read_object(path)
    return read_pipe(Path(path)) if is_open_pipe(path) else None


def require_file(path: AnyPath) -> None:
    """Refuses a path where no file is.

    Args:
        path: of an image to read.

    Raises:
        InputError: nothing, a folder, a pipe or a device is there, or a store cannot be reached.
    """
    with path_errors(path):
        if not path.exists():
            raise InputError(f"{path}: no such file; give the path of an image")
        if path.is_dir():
            raise InputError(f"{path} is a directory; give the path of an image file")
        if isinstance(path, Path) and is_special(path) and not is_open_pipe(path):
            raise InputError(f"{path} is a pipe or a device; give an image file, or - for standard input")


def require_writable_folder(path: AnyPath) -> None:
    """Refuses a path beside which no file can be made; tries it.

    Args:
        path: of a file to write; its folder counts.

    Raises:
        InputError: the folder is missing or cannot be written, or a store cannot be reached.
    """
    if is_object(path):
        probe = path.parent / f"{UNFINISHED}probe"
        write_object(probe, b"")
        with contextlib.suppress(Exception):  # one may write and not delete
            probe.unlink()
        return
    folder = canonical(path).parent  # of a link's target, which is what is written
    if not folder.is_dir():
        shown = path.parent if path.parent.resolve() == folder else folder
        raise InputError(f"{path} cannot be written: there is no folder {shown}; make it first")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(f"{path} cannot be written ({single_line(error)}); choose another folder") from None
