"""Pictures of a batch painted by this process, on all of its devices; by a worker of a cluster, on its own."""

import contextlib
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jnst.cli.batch_jobs import make_jobs
from jnst.cli.engines.base import Batch
from jnst.cli.jobfile import BatchRow
from jnst.cli.options import Options
from jnst.cli.progress import BatchReporter
from jnst.cli.recipes import Recipes
from jnst.cli.shards import Share
from jnst.cli.strategy import memory_limit
from jnst.cli.terminal import log
from jnst.cli.traces import BatchTraces
from jnst.cli.weights import load_weights
from jnst.cli.writing import Writer
from jnst.io.checksums import Checksums
from jnst.io.manifest import Manifest, open_manifest
from jnst.io.paths import AnyPath
from jnst.io.slots import Slots

if TYPE_CHECKING:
    from jnst.io.weights import Weights
    from jnst.jobs import Job
    from jnst.records import Result
    from jnst.scheduler import Step


class LocalEngine:
    """Paints in this process."""

    def __init__(self, batch: Batch, weights: "Weights", manifest: Manifest) -> None:
        """Remembers what is painted.

        Args:
            batch: what is asked for.
            weights: of the network.
            manifest: open.
        """
        self.batch, self.weights, self.manifest = batch, weights, manifest

    def paint(self, todo: Sequence[BatchRow], reporter: BatchReporter, signals: Sequence[int]) -> dict[BatchRow, str]:
        """Paints what is to do.

        Args:
            todo: rows without a picture.
            reporter: of the batch.
            signals: that came; the first ends the batch after the running step.

        Returns:
            Why there is no picture, of each row that failed.
        """
        batch = self.batch
        slots = open_slots(batch.out, batch.own, batch.share, batch.options)
        return paint(todo, self.manifest, reporter, batch.options, self.weights, signals, slots=slots)


@contextlib.contextmanager
def local_engine(batch: Batch) -> Iterator[LocalEngine]:
    """Loads the weights and opens the manifest: a context manager.

    Args:
        batch: what is asked for.

    Yields:
        The engine.

    Raises:
        InputError: no weights, or a folder that cannot be read or written.
    """
    weights = load_weights(batch.options)
    manifest = open_manifest(batch.out, batch.share.part, identity(weights))
    with contextlib.closing(manifest):
        yield LocalEngine(batch, weights, manifest)


def identity(weights: "Weights") -> dict[str, str]:
    """Returns what tells weights from others, as a manifest has it.

    Args:
        weights: of the network.
    """
    return {"sha256": weights.sha256, "normalized": weights.normalized}


def open_slots(out: AnyPath, own: Sequence[BatchRow], share: Share, options: Options) -> MutableMapping[str, int]:
    """Returns how many pictures are advanced at a time, as an earlier run of the same batch has decided.

    Args:
        out: the folder of the results.
        own: rows of this process, those that are done as well.
        share: the part that this process does.
        options: of the command line.
    """
    name = f"slots-{share.part}.json" if share.part else "slots.json"
    return Slots(out / name, [[row.record() for row in own], options.batch.batch_size, options.machine.max_memory])


def paint(
    todo: Sequence[BatchRow], manifest: Manifest, reporter: BatchReporter, options: Options, weights: "Weights",
    signals: Sequence[int], *, slots: MutableMapping[str, int] | None = None, devices: Sequence[Any] | None = None,
) -> dict[BatchRow, str]:  # fmt: skip
    """Paints what is to do and writes it meanwhile.

    Args:
        todo: rows without a picture.
        manifest: open.
        reporter: of the batch.
        options: of the command line.
        weights: of the network.
        signals: that came; the first ends the batch after the running step.
        slots: as `stylize_many` takes them.
        devices: of JAX, to paint on; None: all of this machine.

    Returns:
        Why there is no picture, of each row that failed.
    """
    if not options.machine.no_compilation_cache:
        from jnst.io.compile_cache import keep_compiled

        keep_compiled()
    traces = BatchTraces(options.report.trace, weights) if options.report.trace else None
    checksums = Checksums()
    recipes = Recipes(options, weights, checksums)
    with Writer(manifest, reporter, options.writing, traces=traces, recipes=recipes) as writer:
        unreadable: dict[BatchRow, str] = {}
        keep_alpha, quiet = options.writing.alpha == "keep", options.report.quiet
        jobs = make_jobs(todo, unreadable, keep_alpha=keep_alpha, load=checksums.load, quiet=quiet)
        for row, reason in unreadable.items():
            writer.fail(row, reason)

        def stop_before(step: "Step") -> bool:
            reporter.step(step)
            return bool(signals) or writer.in_vain

        for result in results(jobs, weights, reporter, stop_before, options, slots=slots, devices=devices):
            if result.error or result.image is None:
                writer.fail(result.name, result.error)
            else:
                writer.submit(result.name, result)
    if traces and traces.missing > 1:  # of the first it was told
        log(f"{traces.missing} traces could not be written")
    if writer.in_vain:
        log("no folder takes a picture any more, so no more are painted; make room and begin again")
    return writer.failures


def results(
    jobs: Sequence["Job"], weights: "Weights", reporter: BatchReporter, on_step: "Callable[[Step], bool]",
    options: Options, *, slots: MutableMapping[str, int] | None = None, devices: Sequence[Any] | None = None,
) -> Iterator["Result"]:  # fmt: skip
    """Returns the results of the jobs as they come.

    Args:
        jobs: to paint.
        weights: of the network.
        reporter: is told the schedule.
        on_step: is told every step; a true answer ends the work.
        options: of the command line.
        slots: as `stylize_many` takes them.
        devices: as of `paint`.
    """
    import jax

    from jnst.scheduler import stylize_many

    devices = jax.local_devices() if devices is None else devices
    mesh = jax.sharding.Mesh(np.array(devices), ("batch",)) if len(devices) > 1 else None
    return stylize_many(
        jobs, weights, mesh=mesh, batch_size=options.batch.batch_size,
        memory=memory_limit(options), on_schedule=reporter.schedule, on_step=on_step, slots=slots,
    )  # fmt: skip
