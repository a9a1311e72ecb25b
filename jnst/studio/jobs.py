"""One job of the studio as the page sees it: how far it is, its losses, its previews."""

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jnst.losses.sizes import Scale
from jnst.studio.settings import Order

Kind = Literal["draft", "sheet", "paint"]
RANKS: dict[Kind, int] = {"draft": 0, "sheet": 1, "paint": 2}
"""who waits for whom: the lower goes first, and in between"""
MOST_LOSSES = 200
_ENDS = ("done", "stopped", "cancelled", "failed")


@dataclass
class Job:
    """A job. The worker's thread changes it, others read; `stop` may be set by all."""

    kind: Kind
    order: Order | None = None
    """None: a sheet"""
    paintings: tuple[str, ...] = ()
    """of a sheet"""
    photograph: str = ""
    """of a sheet"""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    number: int = 0
    """in the queue's order"""
    state: str = "queued"
    phase: str | None = None
    progress: float = 0.0
    scale: int = 0
    scales: int = 0
    iteration: int = 0
    iterations: int = 0
    seconds: float = 0.0
    seconds_left: float | None = None
    loss: float | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    width: int = 0
    height: int = 0
    result: str | None = None
    error: str | None = None
    version: int | None = None
    previews: dict[str, bytes] = field(default_factory=dict)
    """WebP; of a sheet by painting, else by the empty name"""
    versions: dict[str, int] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    paused: float = 0.0
    """seconds that went to others in between"""
    _every: int = 1

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in _ENDS

    def public(self) -> dict[str, Any]:
        """Returns what the page is told."""
        names = ("id", "kind", "state", "phase", "progress", "scale", "scales", "iteration", "iterations", "seconds",
                 "seconds_left", "loss", "version", "width", "height", "result", "error")  # fmt: skip
        sheet = [{"painting": name, "version": self.versions.get(name)} for name in self.paintings]
        return {
            **{name: getattr(self, name) for name in names},
            "losses": list(self.losses),
            "request": self.order.public() if self.order else None,
            "photograph": self.order.photograph if self.order else self.photograph,
            "sheet": sheet if self.kind == "sheet" else None,
        }

    def record(self) -> dict[str, Any]:
        """Returns what is kept over a restart, as JSON has it."""
        request = self.order.public() if self.order else None
        return {"id": self.id, "kind": self.kind, "number": self.number, "request": request}

    def preview(self, name: str, content: bytes) -> None:
        """Takes a picture to show.

        Args:
            name: of the painting, in a sheet; else empty.
            content: of a file.
        """
        self.previews[name] = content
        self.versions[name] = self.versions.get(name, 0) + 1
        self.version = (self.version or 0) + 1

    def add_losses(self, rows: Sequence[tuple[int, float]]) -> None:
        """Adds to the curve, which never has more than MOST_LOSSES points.

        Args:
            rows: iterations and losses.
        """
        self.losses += [row for row in rows if row[0] % self._every == 0]
        while len(self.losses) > MOST_LOSSES:
            self._every *= 2
            self.losses = [row for row in self.losses if row[0] % self._every == 0]


class Pace:
    """How far a run over several scales is, and how long the rest takes, by the time since the first look."""

    def __init__(self, stages: Sequence[Scale]) -> None:
        """Begins.

        Args:
            stages: of the run.
        """
        self.stages = stages
        self._first: tuple[float, float] | None = None
        self._at = 0
        self._rate: float | None = None

    @property
    def total(self) -> float:
        """Iterations times pixels of the whole run."""
        return max(1.0, self.work(sum(stage.iterations for stage in self.stages)))

    def work(self, iteration: int) -> float:
        """Returns iterations times pixels so far.

        Args:
            iteration: over all scales.
        """
        done = 0.0
        for stage in self.stages:
            count = min(iteration, stage.iterations)
            done, iteration = done + count * stage.height * stage.width, iteration - count
        return done

    def scale(self, iteration: int) -> int:
        """Returns which scale is at work, from 1.

        Args:
            iteration: over all scales.
        """
        for k, stage in enumerate(self.stages, 1):
            if iteration < stage.iterations:
                return k
            iteration -= stage.iterations
        return len(self.stages)

    def left(self, iteration: int, seconds: float) -> float | None:
        """Returns the seconds that the rest takes; None while nothing is known.

        What goes by before a scale's first iteration, compiling for the most part, does not count.

        Args:
            iteration: over all scales.
            seconds: since the start.
        """
        done = self.work(iteration)
        if self._first is None or done <= self._first[0] or self.scale(iteration) != self._at:
            self._first, self._at = (done, seconds), self.scale(iteration)
        else:
            self._rate = (seconds - self._first[1]) / (done - self._first[0])
        return None if self._rate is None else self._rate * (self.total - done)


def now() -> str:
    """Returns the time in ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
