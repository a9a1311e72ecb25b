"""Server-sent events: what happens, numbered, for all pages that listen. Few are kept; no page is waited for."""

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

KEPT = 300
"""events; a page that is further behind fetches the state again"""
BEAT_SECONDS = 15.0
_RETRY = "retry: 1000\n\n"  # milliseconds until a page connects again


class Broker:
    """Takes events from any thread and gives each listener all since the last that it has seen.

    Numbers go on from the clock, so that those of an earlier server are older than any of this one.
    """

    def __init__(self, *, kept: int = KEPT, beat_seconds: float = BEAT_SECONDS) -> None:
        """Starts without events.

        Args:
            kept: how many events are kept for those who come back.
            beat_seconds: after which a line without meaning is sent, so that a dead connection is noticed.
        """
        self._events: deque[tuple[int, str]] = deque(maxlen=kept)
        self._last, self._lock, self._beat, self._closed = (
            int(time.time() * 1000),
            threading.Lock(),
            beat_seconds,
            False,
        )
        self._listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def last(self) -> int:
        """Number of the last event."""
        return self._last

    @property
    def listeners(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    def publish(self, kind: str, data: Any) -> None:
        """Tells all listeners.

        Args:
            kind: name of the event.
            data: as JSON has it.
        """
        text = json.dumps(data)
        with self._lock:
            self._last += 1
            self._events.append((self._last, f"id: {self._last}\nevent: {kind}\ndata: {text}\n\n"))
        self._wake()

    def close(self) -> None:
        """Ends all listening."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        for event, loop in list(self._listeners.items()):
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # its loop is closed
                self._listeners.pop(event, None)

    def _since(self, number: int) -> tuple[int, list[str]]:
        """The events after a number; where they are no longer there, or never were, one that says so."""
        with self._lock:
            oldest = self._events[0][0] if self._events else self._last + 1
            if not oldest - 1 <= number <= self._last:
                return self._last, [f"id: {self._last}\nevent: reset\ndata: {{}}\n\n"]
            return self._last, [text for other, text in self._events if other > number]

    async def follow(self, number: int | None) -> AsyncIterator[str]:
        """Gives the events of one listener, until it goes away or the broker is closed.

        Args:
            number: of the last that it has seen; None: only what comes from now on.

        Yields:
            Text of the stream.
        """
        woken = asyncio.Event()
        position = self._last if number is None else number
        self._listeners[woken] = asyncio.get_running_loop()
        try:
            yield _RETRY
            while not self._closed:
                woken.clear()
                position, texts = self._since(position)
                for text in texts:
                    yield text
                if not texts and not self._closed:
                    try:
                        await asyncio.wait_for(woken.wait(), self._beat)
                    except TimeoutError:
                        yield ": \n\n"
        finally:
            self._listeners.pop(woken, None)
