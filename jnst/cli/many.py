"""The command line for many pictures: folders or a jobs file in, a folder of pictures and its manifest out.

Exit codes: 0 all done; 1 some failed, with a summary; 2 something given cannot be used; 130, 143 and 129 stopped by
Ctrl-C, SIGTERM and SIGHUP. Stopped at any time and begun again, it goes on where it was. What paints is an engine
(`jnst.cli.engines`).
"""

import contextlib
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from jnst.cli.checks import (
    require_at_least,
    require_common,
    require_folder_place,
    require_jobs_file,
    require_output,
    require_output_folder,
)
from jnst.cli.engines.base import Batch, Engine
from jnst.cli.engines.chosen import require_engine
from jnst.cli.engines.local import local_engine
from jnst.cli.interrupts import exit_code, stop_on_signals
from jnst.cli.jobfile import BatchRow, read_rows, require_row_outputs
from jnst.cli.options import MISSING_PATH, Options
from jnst.cli.paintings import is_blend
from jnst.cli.processes import join_processes, leave_processes
from jnst.cli.progress import BatchReporter, display
from jnst.cli.shards import require_share
from jnst.cli.sheet import write_sheet
from jnst.cli.terminal import log, say
from jnst.cli.traces import require_trace_places, trace_path
from jnst.config import check_for_batch
from jnst.errors import InputError
from jnst.io.atomic import sweep
from jnst.io.manifest import is_begun
from jnst.io.paths import AnyPath, canonical, is_folder, listdir, require_writable_folder
from jnst.io.pipes import STANDARD_INPUT
from jnst.io.stores import is_object


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
    require_engine(batch)
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
    with open_engine(Batch(options, out, own, share)) as engine:
        code, complete = _paint_all(engine, options, out, own)
    if not complete:
        return code
    leave_processes(options)
    if options.batch.contact_sheet and share.index == 0:
        try:
            write_sheet(rows, options.batch.contact_sheet)
        except InputError as error:
            log(f"no contact sheet: {error}")
            return code or 2
    return code


def open_engine(batch: Batch) -> contextlib.AbstractContextManager[Engine]:
    """Returns what paints, as the command line names it.

    Args:
        batch: what is asked for.
    """
    if batch.options.batch.engine == "ray":
        from jnst.cli.engines.ray_driver import ray_engine

        return ray_engine(batch)
    return local_engine(batch)


def _paint_all(engine: Engine, options: Options, out: AnyPath, own: Sequence[BatchRow]) -> tuple[int, bool]:
    """Paints what is not done; the exit code, and whether nobody has stopped it."""
    todo = [row for row in own if not engine.manifest.has(row)]
    quiet = options.report.quiet
    with (
        display(1.0, quiet=quiet or not todo, prefix="jnst: ") as show,
        stop_on_signals("to quit at once") as signals,
    ):
        reporter = BatchReporter(len(own), len(own) - len(todo), show, quiet=quiet)
        try:
            failures = engine.paint(todo, reporter, signals) if todo else {}
        except KeyboardInterrupt:
            log(f"interrupted; {reporter.done} of {len(own)} are done; begin again to go on")
            return exit_code(signal.SIGINT), False
    code = report(failures, len(own), out, reporter, quiet=quiet or bool(signals))
    if signals:
        log(f"stopped; {reporter.done} of {len(own)} are done; begin again to go on")
        return exit_code(signals[0]), False
    return code, True


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
