"""What is printed. No failure of printing ends a run: a pipe that is closed, a disk that is full, letters that the
terminal lacks. Needs no JAX.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # a file's name may hold any of them


class Lenient:
    """A text stream whose `write` and `flush` raise nothing. After the first failure all else is thrown away."""

    def __init__(self, stream: TextIO) -> None:
        """Writes to a stream.

        Args:
            stream: open; all but writing is its own.
        """
        self.stream = stream

    def write(self, text: str) -> int:
        """Writes a text; letters that the encoding lacks are written with backslashes.

        Args:
            text: of any length.

        Returns:
            The number of its letters, as if all had been written.
        """
        with self._forgiven():
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                encoding = self.stream.encoding or "ascii"
                self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Sends what is buffered."""
        with self._forgiven():
            self.stream.flush()

    @contextlib.contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError):  # ValueError: closed; RuntimeError: a signal came while it wrote
            with contextlib.suppress(OSError, ValueError):  # what its buffer holds would fail again at the very end
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self.stream.fileno())
                os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def lenient_streams() -> Iterator[None]:
    """Makes standard output and standard error lenient, and opens what the caller has closed: a context manager.

    Yields:
        Nothing.
    """
    for number in range(3):  # the next file that is opened would take the place of a closed one
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    streams = [Lenient(stream if stream is not None else open(os.devnull, "w")) for stream in before]  # noqa: SIM115
    sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in streams)
    try:
        yield
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before


def one_line(text: str) -> str:
    """Returns a text with its control characters as backslash escapes.

    Args:
        text: such as a message with the name of a file.
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def log(text: str, *, quiet: bool = False) -> None:
    """Prints a line on standard error (above a bar, where there is one).

    Args:
        text: one line.
        quiet: whether to print nothing.
    """
    if not quiet:
        print(f"jnst: {one_line(text)}", file=sys.stderr, flush=True)


def say(text: str, *, quiet: bool = False) -> None:
    """Prints a result's line on standard output.

    Args:
        text: one line.
        quiet: whether to print nothing.
    """
    if not quiet:
        print(one_line(text), flush=True)
