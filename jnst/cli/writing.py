"""The pictures of a batch on their way to the disk: by a thread of its own, while the device paints the next ones."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING

from jnst.cli.jobfile import BatchRow
from jnst.cli.keeping import Kept, save_or_keep
from jnst.cli.progress import BatchReporter
from jnst.cli.recipes import Recipes
from jnst.cli.terminal import log
from jnst.cli.traces import BatchTraces
from jnst.errors import InputError
from jnst.io import image
from jnst.io.encode import Writing
from jnst.io.manifest import Manifest
from jnst.io.metadata import Origin

if TYPE_CHECKING:
    from jnst.records import Result

UNWRITTEN = 8  # finished pictures that wait for the disk: with more, painting waits
MOST_LOST = 8  # pictures one after the other that no folder takes: painting more would be in vain


class Writer:
    """Writes pictures, each whole or not at all and then its line in the manifest. A context manager.

    A picture that cannot be written fails by itself. A manifest that cannot is told once: what it lacks is painted
    again by the next run.

    Attributes:
        failures: why a row's picture is not where it should be.
    """

    def __init__(
        self, manifest: Manifest, reporter: BatchReporter, writing: Writing, *, traces: BatchTraces | None = None,
        recipes: Recipes | None = None,
    ) -> None:  # fmt: skip
        """Begins the thread.

        Args:
            manifest: open.
            reporter: is told of each picture, when it is written.
            writing: how the pictures are written.
            traces: of the pictures, where they are asked for.
            recipes: that go into the pictures; None: none do.
        """
        self.manifest, self.reporter, self.writing, self.traces = manifest, reporter, writing, traces
        self.recipes = recipes
        self.failures: dict[BatchRow, str] = {}
        self._pool, self._pending = ThreadPoolExecutor(1), list[tuple[BatchRow, Future[Kept]]]()
        self._lost, self._unrecorded = 0, False

    @property
    def in_vain(self) -> bool:
        """Whether the last pictures could be written nowhere."""
        return self._lost >= MOST_LOST

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._pending:
            self._take()
        self._pool.shutdown()

    def submit(self, row: BatchRow, result: "Result") -> None:
        """Takes a picture; where many wait for the disk, waits as well.

        Args:
            row: that it is of.
            result: with a picture.
        """
        self._pending.append((row, self._pool.submit(self._write, row, result)))
        while self._pending and (self._pending[0][1].done() or len(self._pending) > UNWRITTEN):
            self._take()

    def fail(self, row: BatchRow, reason: str) -> None:
        """Counts a row without a picture.

        Args:
            row: of the batch.
            reason: in one line.
        """
        self.failures[row] = reason
        self.reporter.picture_failed()

    def _take(self) -> None:
        """Counts the picture that has waited longest, when it is written or cannot be."""
        row, future = self._pending.pop(0)
        kept = future.result()
        self._lost = self._lost + 1 if kept.path is None else 0
        if kept.problem:
            self.fail(row, kept.problem)
        else:
            self.reporter.picture_done()

    def _recipe(self, row: BatchRow, result: "Result") -> str:
        assert self.recipes is not None
        return self.recipes.text(
            row.content, row.all_paintings, result.image.shape[1:3], row.config, way=result.config, batch=True,
            image_size=row.image_size, upscale=row.upscale, style_scale=row.style_scale,
        )  # fmt: skip

    def _write(self, row: BatchRow, result: "Result") -> Kept:
        assert result.image is not None
        try:
            origin = image.read_origin(row.content, result.image.shape[1:3])
        except InputError:  # moved away meanwhile
            origin = Origin()
        begun = time.perf_counter()
        more = {"recipe": self._recipe(row, result)} if self.recipes else {}
        kept = save_or_keep(result.image, row.output, origin=origin, writing=self.writing, **more)
        if self.traces:  # before the manifest's line, so that no picture that counts as done lacks its trace
            self.traces.write(row, result, kept.path or row.output, time.perf_counter() - begun)
        if kept.problem:
            return kept
        facts = {"loss": result.loss, "iterations": result.iterations, "evaluations": result.evaluations,
                 "stop_reason": result.stop_reason}  # fmt: skip
        config = result.config  # with the layers that were chosen, where they were
        layers = {"content_layers": config.content_layers, "style_layers": config.style_layers}
        try:
            self.manifest.add(row, {**facts, **layers})
        except InputError as error:
            if not self._unrecorded:
                log(f"{error}; what it does not name, the next run paints again")
            self._unrecorded = True
        return kept
