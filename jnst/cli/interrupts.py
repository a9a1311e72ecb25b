"""Ctrl-C: the first ends a run softly, the second at once."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from jnst.cli.progress import log


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[list[int]]:
    """Takes Ctrl-C as a wish to stop soon; a second one ends the program at once.

    Yields:
        A list that is empty until the first.
    """
    signals: list[int] = []

    def handle(number: int, frame: Any) -> None:
        signals.append(number)
        log("stopping after this step; Ctrl-C again to quit without a picture")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield signals
    finally:
        signal.signal(signal.SIGINT, before)
