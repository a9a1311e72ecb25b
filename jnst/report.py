"""What a run tells while it works: a progress bar or plain lines on standard error, and the trace file."""

import contextlib
import importlib.metadata
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from jnst.memory import peak_of_process
from jnst.transfer import Progress, Result

PLAIN_SECONDS = 5.0  # between two lines where standard error is no terminal


Reporter = Callable[[Progress], None]


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

        def report(progress: Progress) -> None:
            rate = f"{pace(progress):.2f} it/s"
            loss = f"loss {progress.best_loss:.4g}"
            bar.update(task, description="painting", completed=progress.iteration, loss=loss, rate=rate)

        yield report


class _Pace:
    """Iterations a second since the first report, so that compiling does not count."""

    def __init__(self) -> None:
        self.first: Progress | None = None

    def __call__(self, progress: Progress) -> float:
        if self.first is None or progress.iteration == self.first.iteration:
            self.first = progress
            return progress.iteration / progress.seconds
        return (progress.iteration - self.first.iteration) / (progress.seconds - self.first.seconds)


class _PlainLines:
    """A line every few seconds, and one at the end."""

    def __init__(self) -> None:
        self.last, self.pace = -math.inf, _Pace()

    def __call__(self, progress: Progress) -> None:
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


class Trace:
    """A file with one JSON object a line: a header, one line an iteration, a footer (docs/trace.md)."""

    def __init__(self, path: Path | None):
        self.file = path.open("w", encoding="utf-8", buffering=1) if path else None

    def header(self, **fields: Any) -> None:
        """All settings; versions and device are added here."""
        device = jax.local_devices()[0]
        about = {"device": f"{device.platform}: {device.device_kind}", "versions": versions()}
        self._line({"record": "header", **fields, **about})

    def iterations(self, rows: list[Any]) -> None:
        """One line for each `transfer.Iteration`."""
        for row in rows:
            self._line({"record": "iteration", **asdict(row)})

    def footer(self, result: Result, output: Path, laps: dict[str, float]) -> None:
        """How the run ended, and where the seconds of the whole job went."""
        fields = {key: getattr(result, key) for key in ("loss", "iterations", "evaluations", "seconds", "stop_reason")}
        more = {"laps": laps, "peak_memory": peak_memory()}
        self._line({"record": "footer", "output": str(output), **fields, **more})

    def close(self) -> None:
        """Also after a failure: the lines so far are on disk."""
        if self.file:
            self.file.close()

    def _line(self, content: dict[str, Any]) -> None:
        if self.file:
            self.file.write(json.dumps(_finite(content), default=str, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for them."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions() -> dict[str, str]:
    """Of jnst, Python and the packages that results depend on."""
    packages = ("jnst", "jax", "jaxlib", "flax", "optax", "jaxopt", "numpy", "pillow")
    found = {"python": sys.version.split()[0]}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # jnst itself, run from a checkout
            found[package] = importlib.metadata.version(package)
    return found


def peak_memory() -> dict[str, int | None]:
    """Peak bytes of the process and, where its runtime counts them, of the device."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return {"process": peak_of_process(), "device": statistics.get("peak_bytes_in_use")}
