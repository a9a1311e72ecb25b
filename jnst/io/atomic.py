"""Files that are there whole or not at all: written beside their place, forced to the disk, renamed.

A file under way has a hidden name and is locked by its process, so that what a killed one left behind can be told from
what another one still writes (`sweep`). A symbolic link stays one: its target is replaced.
"""

import contextlib
import fcntl
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from jnst.errors import InputError, single_line
from jnst.io.paths import UNFINISHED, AnyPath, canonical
from jnst.io.stores import is_object, write_object

_asking = threading.Lock()


class UnwritableError(InputError):
    """A file cannot be written where it should be.

    Attributes:
        path: of the file.
        reason: what the system says, in a few words.
    """

    def __init__(self, path: AnyPath, error: OSError) -> None:
        """Makes the error.

        Args:
            path: of the file.
            error: why.
        """
        self.path, self.reason = path, single_line(error)
        super().__init__(f"{path} cannot be written ({self.reason}); choose another place")


def write_whole(path: AnyPath, write: Callable[[BinaryIO], object]) -> None:
    """Makes or replaces a file or an object: with all of its bytes, or not at all.

    Args:
        path: of the file; its folder must be there.
        write: puts the bytes into a file that is open for reading and writing.

    Raises:
        UnwritableError: a place that cannot be written, or is full.
        InputError: an object store that cannot be reached.
    """
    if is_object(path):
        whole = io.BytesIO()
        write(whole)
        write_object(path, whole.getvalue())
        return
    target = Path(canonical(path))
    try:
        with _unfinished(target) as (file, name):
            write(file)
            _finish(file, name, target)
    except OSError as error:
        raise UnwritableError(path, error) from None
    force_folder(target.parent)


@contextlib.contextmanager
def whole_by_name(path: Path) -> Iterator[str]:
    """Makes or replaces a file of this machine that others write by its name: a context manager.

    Args:
        path: of the file; its folder must be there.

    Yields:
        The name of a hidden file to write instead; it takes the path's place at the end, and is gone if anything is
        raised inside.

    Raises:
        UnwritableError: a place that cannot be written, or what the system says inside.
    """
    target = Path(canonical(path))
    try:
        with _unfinished(target) as (file, name):
            yield name
            _finish(file, name, target)
    except OSError as error:
        raise UnwritableError(path, error) from None
    force_folder(target.parent)


def _finish(file: BinaryIO, name: str, target: Path) -> None:
    """Puts an unfinished file into its place."""
    file.flush()
    os.fsync(file.fileno())  # on disk before it takes the place of another
    os.fchmod(file.fileno(), 0o666 & ~_umask())
    os.replace(name, target)  # while it is locked: a sweep would take it for left behind


@contextlib.contextmanager
def _unfinished(target: Path) -> Iterator[tuple[BinaryIO, str]]:
    """A locked file of a hidden name beside the target; it is gone if anything is raised, which stays what it was."""
    while True:
        number, name = tempfile.mkstemp(dir=target.parent, prefix=UNFINISHED, suffix=target.suffix)
        file = os.fdopen(number, "w+b")
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(number, fcntl.LOCK_EX)
            if os.path.exists(name):  # else a sweep was quicker than the lock
                yield file, name
                return
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        finally:
            with contextlib.suppress(OSError):  # a full disk says so once more, for what the buffer still holds
                file.close()


def append(file: io.FileIO, content: bytes) -> None:
    """Writes at the end of a file: all, or nothing that stays there.

    Args:
        file: open for writing, without a buffer, at its end.
        content: to append.

    Raises:
        OSError: what the system says, as of a full disk.
    """
    before, left = os.fstat(file.fileno()).st_size, memoryview(content)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file.fileno(), before)
        raise


def sweep(folder: AnyPath) -> None:
    """Deletes what killed processes have left half-written in a folder; what another one still writes stays.

    Args:
        folder: of this machine; nothing is done in an object store, whose objects are whole, or where none is.
    """
    if is_object(folder):
        return
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(UNFINISHED) and entry.is_file(follow_symlinks=False):
                _delete_if_stale(entry.path)


def _delete_if_stale(name: str) -> None:
    with contextlib.suppress(OSError):  # BlockingIOError: its process is alive
        number = os.open(name, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(name), os.fstat(number)):
                os.unlink(name)
        finally:
            os.close(number)


def force_folder(folder: Path) -> None:
    """Forces the names of a folder to the disk, where the system can do that.

    Args:
        folder: in which a file was made or renamed.
    """
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _umask() -> int:
    with _asking:  # of two threads at once one would put back the other's 0
        mask = os.umask(0)
        os.umask(mask)
    return mask
