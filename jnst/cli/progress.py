"""What is shown while something is awaited: a bar on a terminal, plain lines on standard error elsewhere. Needs no JAX.

One display serves a single picture and a batch; what differs is what they count (`iteration_reporter`,
`BatchReporter`).
"""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn
from rich.progress import Progress as Bar

from jnst.cli.terminal import log

if TYPE_CHECKING:
    from jnst.jobs import Schedule
    from jnst.records import Progress
    from jnst.scheduler import Step

LINE_SECONDS = 5.0  # between two lines where standard error is no terminal

Show = Callable[[float, float, str], None]
"""(done, seconds, text): how much is done, the seconds since the start, and all that a line says"""


class PhaseTimer:
    """Where the seconds of a run go."""

    def __init__(self) -> None:
        """Starts the first phase."""
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def earlier(self, seconds: float) -> None:
        """Counts seconds of an earlier process as this phase's.

        Args:
            seconds: that it has taken.
        """
        self._last -= seconds

    def phase(self, name: str, **parts: float) -> None:
        """Ends a phase: the seconds since the last one ended are its own.

        Args:
            name: of the phase.
            parts: seconds of it that count by names of their own instead.
        """
        now = time.perf_counter()
        self.seconds |= {**parts, name: now - self._last - sum(parts.values())}
        self._last = now


class Pace:
    """Work done a second since the first report, so that what went by before it (compiling) does not count."""

    def __init__(self) -> None:
        """Waits for the first report."""
        self._first: tuple[float, float] | None = None

    def update(self, done: float, seconds: float) -> float:
        """Returns the work done a second.

        Args:
            done: work so far, in any unit.
            seconds: since the start.
        """
        if self._first is None or done == self._first[0]:
            self._first = done, seconds
            return done / seconds if seconds > 0 else 0.0
        return (done - self._first[0]) / max(seconds - self._first[1], 1e-9)


def time_left(work: float, rate: float) -> str:
    """Returns how long the rest takes, for people.

    Args:
        work: that is left.
        rate: work a second; 0 where nothing is known.
    """
    seconds = work / rate if rate else 0.0
    return f"{seconds:.0f} s left" if seconds < 120 else f"{seconds / 60:.1f} min left"


@contextlib.contextmanager
def display(total: float, *, quiet: bool, prefix: str = "") -> Iterator[Show]:
    """Shows how far something is: a bar on a terminal, a line every few seconds elsewhere, nothing where quiet.

    Args:
        total: what `done` reaches at the end; there a last line is printed.
        quiet: whether to show nothing.
        prefix: begins each plain line.

    Yields:
        A function to call whenever there is news.
    """
    console = Console(stderr=True)
    if quiet:
        yield lambda done, seconds, text: None
    elif console.is_terminal:
        with Bar(BarColumn(), TextColumn("{task.description}"), console=console) as bar:
            task = bar.add_task("compiling", total=total)
            yield lambda done, seconds, text: bar.update(task, completed=done, description=text)
    else:
        yield _plain_lines(total, prefix)


def _plain_lines(total: float, prefix: str) -> Show:
    last = -math.inf

    def show(done: float, seconds: float, text: str) -> None:
        nonlocal last
        if seconds - last >= LINE_SECONDS or done >= total:
            last = seconds
            print(f"{prefix}{text}", file=sys.stderr, flush=True)

    return show


@contextlib.contextmanager
def iteration_reporter(iterations: int, *, quiet: bool) -> Iterator[Callable[["Progress"], None]]:
    """Shows the iterations of a single picture, with loss, rate and time left.

    Args:
        iterations: of the whole run.
        quiet: whether to show nothing.

    Yields:
        A function of the run's progress.
    """
    pace = Pace()
    with display(iterations, quiet=quiet) as show:

        def report(progress: "Progress") -> None:
            rate = pace.update(progress.iteration, progress.seconds)
            left = time_left(progress.iterations - progress.iteration, rate)
            count = f"iteration {progress.iteration}/{progress.iterations}"
            text = f"{count}  loss {progress.best_loss:.4g}  {rate:.2f} it/s  {left}"
            show(progress.iteration, progress.seconds, text)

        yield report


class BatchReporter:
    """Shows how far a batch is: pictures done and failed, the share of the work, the time left."""

    def __init__(self, total: int, done_before: int, show: Show, *, quiet: bool) -> None:
        """Starts the clock.

        Args:
            total: pictures of this process.
            done_before: of them done by an earlier run.
            show: from `display(1)`: the bar shows the share of the work, as pictures come in waves.
            quiet: whether to print no lines of its own either.
        """
        self.total, self.done_before, self.quiet = total, done_before, quiet
        self.finished, self.failures, self.share, self.programs, self.planned = 0, 0, 0.0, 0, 0
        self._show, self._began = show, time.perf_counter()
        if done_before:
            self.log(f"{done_before} of {total} are done already")

    @property
    def done(self) -> int:
        """Pictures that are there, by this run or an earlier one."""
        return self.done_before + self.finished

    def seconds(self) -> float:
        """Returns the seconds since the batch began."""
        return time.perf_counter() - self._began

    def log(self, text: str) -> None:
        """Prints a line.

        Args:
            text: one line.
        """
        log(text, quiet=self.quiet)

    def schedule(self, schedule: "Schedule") -> None:
        """Says what will be computed.

        Args:
            schedule: of the whole batch.
        """
        self.planned = len(schedule.buckets)
        pictures, programs = counted(self.total - self.done_before, "picture"), counted(self.planned, "program")
        self.log(f"{pictures}, {programs} to compile, {schedule.waste:.0%} of pixels empty")

    def step(self, step: "Step") -> None:
        """Says what comes next; a program that must be compiled first takes a while.

        Args:
            step: that the device is about to take.
        """
        self.share = step.share
        if not step.compiles:
            self._report()
            return
        self.programs += 1
        height, width = step.program.canvas
        at_a_time = f"{step.slots} at a time" if step.slots > 1 else "one at a time"
        self.log(f"program {self.programs} of {self.planned}: up to {width}x{height} pixels, {at_a_time}")

    def overall(self, finished: int, failures: int, share: float) -> None:
        """Says how far others are, who paint the pictures.

        Args:
            finished: pictures of this run that are there.
            failures: jobs that have no picture.
            share: of the whole work that is done, 0 to 1.
        """
        if (finished, failures, share) != (self.finished, self.failures, self.share):
            self.finished, self.failures, self.share = finished, failures, share
            self._report()

    def picture_done(self) -> None:
        """Counts a picture."""
        self.finished += 1
        self._report()

    def picture_failed(self) -> None:
        """Counts a job that has no picture."""
        self.failures += 1
        self._report()

    def _report(self) -> None:
        seconds, gone = self.seconds(), self.done + self.failures
        parts = [f"{gone} of {self.total} done, {self.failures} failed", f"{60 * self.finished / seconds:.1f} a minute"]
        if gone < self.total and self.share:
            # by all seconds so far, compiling included: further programs are compiled on the way
            parts += [f"{self.share:.0%} of the work", time_left(1 - self.share, self.share / seconds)]
        self._show(1.0 if gone == self.total else min(self.share, 0.999), seconds, ", ".join(parts))


def counted(count: int, thing: str) -> str:
    """Returns a number of things in words.

    Args:
        count: how many.
        thing: one of them.
    """
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


@contextlib.contextmanager
def download_bar(*, quiet: bool) -> Iterator[Any]:
    """Draws a bar once there is a download.

    Args:
        quiet: whether to draw none.

    Yields:
        A callback `(done, total)` in bytes.
    """
    console = Console(stderr=True)
    bar = Bar(TextColumn("downloading VGG-19"), BarColumn(), DownloadColumn(), console=console, disable=quiet)
    task = bar.add_task("", total=None)

    def report(done: int, total: int) -> None:
        if not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()
