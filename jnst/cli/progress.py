"""What a terminal shows while something is awaited: a bar, or plain lines on standard error. Needs no JAX."""

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from jnst.transfer import Progress

PLAIN_SECONDS = 5.0  # between two lines where standard error is no terminal


Reporter = Callable[["Progress"], None]


@contextlib.contextmanager
def reporter(iterations: int, *, quiet: bool) -> Iterator[Reporter]:
    """A bar on a terminal, plain lines elsewhere, nothing where quiet."""
    console = Console(stderr=True)
    if quiet:
        yield lambda progress: None
    elif console.is_terminal:
        with _bar(console, iterations) as report:
            yield report
    else:
        yield _PlainLines()


@contextlib.contextmanager
def _bar(console: Console, iterations: int) -> Iterator[Reporter]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"), TextColumn("{task.fields[rate]}"), TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("compiling", total=iterations, loss="", rate="")

        pace = _Pace()

        def report(progress: "Progress") -> None:
            rate = f"{pace(progress):.2f} it/s"
            loss = f"loss {progress.best_loss:.4g}"
            bar.update(task, description="painting", completed=progress.iteration, loss=loss, rate=rate)

        yield report


class _Pace:
    """Iterations a second since the first report, so that compiling does not count."""

    def __init__(self) -> None:
        self.first: Progress | None = None

    def __call__(self, progress: "Progress") -> float:
        if self.first is None or progress.iteration == self.first.iteration:
            self.first = progress
            return progress.iteration / progress.seconds
        return (progress.iteration - self.first.iteration) / (progress.seconds - self.first.seconds)


class _PlainLines:
    """A line every few seconds, and one at the end."""

    def __init__(self) -> None:
        self.last, self.pace = -math.inf, _Pace()

    def __call__(self, progress: "Progress") -> None:
        rate, finished = self.pace(progress), progress.iteration == progress.iterations
        if progress.seconds - self.last < PLAIN_SECONDS and not finished:
            return
        self.last = progress.seconds
        left = (progress.iterations - progress.iteration) / rate if rate else 0  # after iteration 0
        print(
            f"iteration {progress.iteration}/{progress.iterations}  loss {progress.best_loss:.4g}  "
            f"{rate:.2f} it/s  {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )


@contextlib.contextmanager
def download_bar(*, quiet: bool) -> Iterator[Any]:
    """A callback `(done, total)` in bytes that draws a bar once it is first called."""
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
