"""Ctrl-C, SIGTERM and SIGHUP: the first ends a run softly, with what is there so far; a second Ctrl-C at once.

SIGTERM is what a cluster sends before it takes a machine back, and what `docker stop` and `timeout` send (some of them
twice); SIGHUP comes when a terminal goes. Where the caller has switched one off, as `nohup` does, it stays off.

Before anything is painted these two end the program as they end any other. An exception, which Ctrl-C raises, may be
lost where it cannot pass, as in JAX's hook into the garbage collector.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from jnst.cli.terminal import log

Handler = Callable[[int, Any], None]


def exit_code(number: int) -> int:
    """Returns the exit code of a program that a signal has ended, as shells have it: 130, 143, 129.

    Args:
        number: of the signal.
    """
    return 128 + number


@contextlib.contextmanager
def stop_on_signals(again: str) -> Iterator[list[int]]:
    """Takes Ctrl-C, SIGTERM and SIGHUP as a wish to stop soon: a context manager.

    Args:
        again: what a second Ctrl-C does, which ends what is inside at once.

    Yields:
        A list that is empty until the first of them, and then begins with its number.
    """
    signals: list[int] = []

    def handle(number: int, frame: Any) -> None:
        signals.append(number)
        if number == signal.SIGINT:
            if len(signals) > 1:
                raise KeyboardInterrupt
            log(f"stopping after this step; Ctrl-C again {again}")
        elif len(signals) == 1:
            log(f"{signal.Signals(number).name}: stopping after this step")

    with _handlers(handle, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield signals


@contextlib.contextmanager
def _handlers(handle: Handler, *numbers: int) -> Iterator[None]:
    """Handles signals inside, but for those that are ignored; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    mine = [number for number, handler in before.items() if handler not in (None, signal.SIG_IGN)]
    for number in mine:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
