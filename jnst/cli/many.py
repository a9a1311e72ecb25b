"""The command line for many pictures: folders or a jobs file in, a folder of pictures and its manifest out.

Exit codes: 0 all done; 1 some failed, with a summary; 2 something given cannot be used; 130, 143 and 129 stopped by
Ctrl-C, SIGTERM and SIGHUP. Stopped at any time and begun again, it goes on where it was.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jnst.cli.batch_jobs import make_jobs
from jnst.cli.checks import (
    require_at_least,
    require_common,
    require_folder_place,
    require_jobs_file,
    require_output,
    require_output_folder,
)
from jnst.cli.interrupts import exit_code, stop_on_signals
from jnst.cli.jobfile import BatchRow, read_rows, require_row_outputs
from jnst.cli.options import MISSING_PATH, Options
from jnst.cli.paintings import is_blend
from jnst.cli.processes import join_processes, leave_processes
from jnst.cli.progress import BatchReporter, display
from jnst.cli.recipes import Recipes
from jnst.cli.shards import Share, require_share
from jnst.cli.sheet import write_sheet
from jnst.cli.strategy import memory_limit
from jnst.cli.terminal import log, say
from jnst.cli.traces import BatchTraces, require_trace_places, trace_path
from jnst.cli.weights import load_weights
from jnst.cli.writing import Writer
from jnst.config import check_for_batch
from jnst.errors import InputError
from jnst.io.atomic import sweep
from jnst.io.checksums import Checksums
from jnst.io.manifest import Manifest, is_begun, open_manifest
from jnst.io.paths import AnyPath, canonical, is_folder, listdir, require_writable_folder
from jnst.io.pipes import STANDARD_INPUT
from jnst.io.slots import Slots
from jnst.io.stores import is_object

if TYPE_CHECKING:
    from jnst.io.weights import Weights
    from jnst.jobs import Job
    from jnst.records import Result
    from jnst.scheduler import Step


def is_batch(options: Options) -> bool:
    """Returns whether the command line asks for many pictures.

    Args:
        options: of the command line.
    """
    styles = () if options.mixture.blend or options.more_styles else (options.style,)
    return options.batch.jobs is not None or any(is_folder(path) for path in (options.content, *styles))


def validate_batch(options: Options) -> AnyPath:
    """Refuses what can be refused before any file is looked at.

    Args:
        options: of the command line.

    Returns:
        The folder of the results.

    Raises:
        InputError: a combination that cannot be.
    """
    batch = options.batch
    if batch.jobs is not None and (options.content, options.style) != (MISSING_PATH, MISSING_PATH):
        raise InputError("`jobs` stands without CONTENT and STYLE; give one of the two")
    if batch.jobs is not None:
        require_jobs_file(batch.jobs)
    elif options.style == MISSING_PATH:
        raise InputError("STYLE is missing; give a painting or a folder of them; see --help")
    if STANDARD_INPUT in (options.content, options.style):
        raise InputError("standard input is for single pictures; give a file or a folder")
    given = options.mixture
    if batch.jobs is not None and is_blend(options):
        raise InputError("with `jobs`, several paintings, their weights and masks are columns of the file")
    if is_folder(options.style) and is_blend(options) and not given.blend and not options.more_styles:
        raise InputError(f"weights and masks are of one style; give `blend` to take {options.style} as one")
    out = require_output_folder(options.file.output)
    if options.report.trace:
        require_folder_place(options.report.trace, option="`trace`")
    require_common(options)
    single = {"save_every": options.report.save_every, "plan": options.machine.plan,
              "devices": options.machine.devices != 1, "animation": options.report.animation,
              "plot": options.report.plot, "checkpoint_file": options.report.checkpoint_file,
              "texture_maps": options.file.texture_maps}  # fmt: skip
    for name, value in single.items():
        if value:
            raise InputError(f"`{name}` is for single pictures")
    require_at_least(0, batch_size=batch.batch_size)
    require_share(batch)
    if not 0 <= batch.process < batch.processes:
        raise InputError(f"`process` {batch.process} of `processes` {batch.processes}: count from 0")
    if batch.contact_sheet:
        probe = batch.contact_sheet.parent != out  # which is made later
        require_output(batch.contact_sheet, option="contact_sheet", overwrite=True, probe=probe)
    return out


def run_batch(options: Options) -> int:
    """Paints all pictures.

    Args:
        options: of the command line.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    out = validate_batch(options)
    rows = read_rows(options, out)
    for config in {row.config for row in rows}:
        check_for_batch(config, normalized=options.weight.normalize_with is not None)
    if options.report.trace:
        make_trace_folder(options, options.report.trace, rows, out)
    make_folder(out)
    share = require_share(options.batch) or join_processes(options)
    own = share.of(rows)
    require_free_places(options, out, rows, own)
    if share.count == 1:
        for folder in filter(None, (out, options.report.trace)):
            sweep(folder)  # of several machines, one may not see the locks of another
    weights = load_weights(options)
    network = {"sha256": weights.sha256, "normalized": weights.normalized}
    manifest = open_manifest(out, share.part, network)
    todo = [row for row in own if not manifest.has(row)]
    slots = open_slots(out, own, share, options)
    quiet = options.report.quiet
    with (
        contextlib.closing(manifest),
        display(1.0, quiet=quiet or not todo, prefix="jnst: ") as show,
        stop_on_signals("to quit at once") as signals,
    ):
        reporter = BatchReporter(len(own), len(own) - len(todo), show, quiet=quiet)
        try:
            failures = paint(todo, manifest, reporter, options, weights, signals, slots=slots) if todo else {}
        except KeyboardInterrupt:
            log(f"interrupted; {reporter.done} of {len(own)} are done; begin again to go on")
            return exit_code(signal.SIGINT)
    if signals:
        report(failures, len(own), out, reporter, quiet=True)
        log(f"stopped; {reporter.done} of {len(own)} are done; begin again to go on")
        return exit_code(signals[0])
    leave_processes(options)
    code = report(failures, len(own), out, reporter, quiet=quiet)
    if options.batch.contact_sheet and share.index == 0:
        try:
            write_sheet(rows, options.batch.contact_sheet)
        except InputError as error:
            log(f"no contact sheet: {error}")
            return code or 2
    return code


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


def make_trace_folder(options: Options, folder: Path, rows: Sequence[BatchRow], out: AnyPath) -> None:
    """Makes the folder of the traces, where all of them have a place.

    Where a batch has begun, its traces may be replaced.

    Args:
        options: of the command line.
        folder: of the traces.
        rows: of all processes.
        out: the folder of the results.

    Raises:
        InputError: a trace that would take the place of something else, or a folder that cannot be made or written.
    """
    jobs = [] if options.batch.jobs is None else [options.batch.jobs]
    require_trace_places(folder, rows, out, inputs=jobs, overwrite=options.file.overwrite or is_begun(out))
    make_folder(folder, option="`trace`")
    for row in rows[:1]:
        require_writable_folder(trace_path(folder, row))


def make_folder(out: AnyPath, *, option: str = "-o") -> None:
    """Makes the folder of the results, or of the traces; in an object store folders are parts of names.

    Args:
        out: the folder.
        option: that names it.

    Raises:
        InputError: it cannot be made.
    """
    if is_object(out):
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror}); give another {option}") from None


def require_free_places(options: Options, out: AnyPath, rows: Sequence[BatchRow], own: Sequence[BatchRow]) -> None:
    """Refuses pictures and a contact sheet that would take the place of something else.

    A folder in which a batch has begun may have its pictures and its sheet replaced.

    Args:
        options: of the command line.
        out: the folder of the results.
        rows: of all processes.
        own: of this process.

    Raises:
        InputError: naming the first.
    """
    begun, overwrite = is_begun(out), options.file.overwrite
    require_row_outputs(own, set() if begun else listdir(out), overwrite=overwrite, writing=options.writing)
    if options.batch.contact_sheet:
        taken = {canonical(path) for row in rows for path in (*row.inputs, row.output)}
        require_output(
            options.batch.contact_sheet, option="contact_sheet", inputs=taken, overwrite=begun or overwrite, probe=False
        )  # fmt: skip


def paint(
    todo: Sequence[BatchRow], manifest: Manifest, reporter: BatchReporter, options: Options, weights: "Weights",
    signals: Sequence[int], *, slots: MutableMapping[str, int] | None = None,
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

        for result in results(jobs, weights, reporter, stop_before, options, slots=slots):
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
    options: Options, *, slots: MutableMapping[str, int] | None = None,
) -> Iterator["Result"]:  # fmt: skip
    """Returns the results of the jobs as they come, on all devices of this machine.

    Args:
        jobs: to paint.
        weights: of the network.
        reporter: is told the schedule.
        on_step: is told every step; a true answer ends the work.
        options: of the command line.
        slots: as `stylize_many` takes them.
    """
    import jax

    from jnst.scheduler import stylize_many

    devices = jax.local_devices()
    mesh = jax.sharding.Mesh(np.array(devices), ("batch",)) if len(devices) > 1 else None
    return stylize_many(
        jobs, weights, mesh=mesh, batch_size=options.batch.batch_size,
        memory=memory_limit(options), on_schedule=reporter.schedule, on_step=on_step, slots=slots,
    )  # fmt: skip


def report(failures: Mapping[BatchRow, str], total: int, out: AnyPath, reporter: BatchReporter, *, quiet: bool) -> int:
    """Prints what failed and the last line.

    Args:
        failures: why there is no picture, of each row without one.
        total: rows of this process.
        out: the folder of the results.
        reporter: of the batch.
        quiet: whether to print errors only.

    Returns:
        The exit code.
    """
    for row, reason in failures.items():
        log(f"{row.content} x {row.style}: {reason}")
    if failures:
        log(f"{len(failures)} of {total} failed")
    say(f"{out}  ({total - len(failures)} pictures, {reporter.seconds():.0f} s)", quiet=quiet)
    return 1 if failures else 0
