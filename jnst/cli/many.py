"""The command line for many pictures: folders or a jobs file in, a folder of pictures and its manifest out.

Exit codes: 0 all done; 1 some failed, with a summary; 2 something given cannot be used; 130 interrupted. Stopped at any
time and begun again, it goes on where it was.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jnst import memory
from jnst.cli.jobfile import REQUESTS, Entry, check_outputs, entries_of
from jnst.cli.options import NOT_GIVEN, Options, check_normalize, check_sizes
from jnst.config import AUTO, check_for_batch
from jnst.errors import InputError
from jnst.io import image
from jnst.io.manifest import Manifest, is_begun, open_manifest
from jnst.io.paths import AnyPath, canonical, is_folder, is_object, listdir, store_errors
from jnst.network.architecture import MIN_SIDE

if TYPE_CHECKING:
    from jnst.io.weights import Weights
    from jnst.scheduler import Job, Picture, Plan, Result, Step

WAIT_SECONDS = 7 * 24 * 3600  # of a process that is done, for the others: the first one of them holds them together
GAP = 6  # pixels around each cell of the contact sheet
SHEET_SIDE = 160  # longer side of a picture on the contact sheet, in pixels


def wanted(options: Options) -> bool:
    """Whether the command line asks for many pictures."""
    return options.batch.jobs is not None or any(is_folder(path) for path in (options.content, options.style))


def check(options: Options) -> AnyPath:
    """The folder of the results.

    Raises:
        InputError: a combination that cannot be.
    """
    if options.batch.jobs is not None and (options.content, options.style) != (NOT_GIVEN, NOT_GIVEN):
        raise InputError("--jobs stands without CONTENT and STYLE; give one of the two")
    if options.batch.jobs is not None:
        with store_errors(options.batch.jobs):
            if not options.batch.jobs.is_file():
                raise InputError(f"{options.batch.jobs}: no such file; give a .csv or .jsonl file of jobs")
    if options.batch.jobs is None and options.style == NOT_GIVEN:
        raise InputError("STYLE is missing; give a painting or a folder of them; see --help")
    if options.file.output is None:
        raise InputError("many pictures need a folder: give -o FOLDER")
    check_sizes(options.file.image_size, options.file.style_scale)
    check_normalize(options)
    if options.machine.max_memory:
        memory.parse_bytes(options.machine.max_memory)
    for given, name in ((options.report.trace, "--trace"), (options.report.save_every, "--save-every"),
                        (options.machine.plan, "--plan"), (options.machine.devices != 1, "--devices")):  # fmt: skip
        if given:
            raise InputError(f"{name} is for single pictures")
    if options.batch.batch_size < 0:
        raise InputError(f"--batch-size must be at least 0, got {options.batch.batch_size}")
    if not 0 <= options.batch.process < options.batch.processes:
        raise InputError(f"--process {options.batch.process} of --processes {options.batch.processes}: count from 0")
    out, sheet = options.file.output, options.batch.contact_sheet
    with store_errors(out):
        if out.exists() and not out.is_dir():
            raise InputError(f"{out} is a file; many pictures need a folder: give another -o")
    if sheet:
        image.require_image_format(sheet)
        if sheet.parent != out:
            image.require_writable(sheet)
    return out


def check_sheet(sheet: AnyPath, entries: list[Entry], *, replace: bool) -> None:
    """Raises InputError where the contact sheet would take the place of something else."""
    pictures = {canonical(path) for entry in entries for path in (entry.content, entry.style, entry.output)}
    if canonical(sheet) in pictures:
        raise InputError(f"{sheet} is also one of the pictures; give another --contact-sheet")
    with store_errors(sheet):
        if sheet.exists() and not replace:
            raise InputError(f"{sheet} exists; give --overwrite to replace it, or another --contact-sheet")


def run(options: Options, weights_of: Any) -> int:
    """All pictures; the exit code. `weights_of(options)` finds the weights.

    Raises:
        InputError: something given cannot be used.
    """
    out = check(options)
    entries = entries_of(options, out)
    for config in {entry.config for entry in entries}:
        check_for_batch(config, normalized=options.weight.normalize_with is not None)
    if not is_object(out):  # whose folders are parts of names
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{out} cannot be made ({error.strerror}); give another -o") from None
    process, processes = _join(options)
    mine, begun = entries[process::processes], is_begun(out)
    check_outputs(mine, set() if begun else listdir(out), overwrite=options.file.overwrite)
    if options.batch.contact_sheet:
        check_sheet(options.batch.contact_sheet, entries, replace=begun or options.file.overwrite)
    for left in out.glob(f"{image.UNFINISHED}*") if processes == 1 else ():
        left.unlink(missing_ok=True)
    weights = weights_of(options)
    network = {"sha256": weights.sha256, "normalized": weights.normalized}
    manifest = open_manifest(out, process, processes, network)
    todo = [entry for entry in mine if not manifest.has(entry)]
    tell = Teller(len(mine), len(mine) - len(todo), quiet=options.report.quiet)
    try:
        failed = paint(todo, manifest, tell, options, weights) if todo else {}
    except KeyboardInterrupt:
        gone = tell.before + tell.finished
        print(f"jnst: interrupted; {gone} of {len(mine)} are done; begin again to go on", file=sys.stderr)
        return 130
    finally:
        manifest.close()
    if options.batch.coordinator is not None:
        import jax

        jax.distributed.shutdown()  # waits for the others
    if options.batch.contact_sheet and process == 0:
        write_sheet(entries, options.batch.contact_sheet)
    for entry, reason in failed.items():
        print(f"jnst: {entry.content} x {entry.style}: {reason}", file=sys.stderr)
    if failed:
        print(f"jnst: {len(failed)} of {len(mine)} failed", file=sys.stderr)
    if not options.report.quiet:
        print(f"{out}  ({len(mine) - len(failed)} pictures, {tell.seconds():.0f} s)")
    return 1 if failed else 0


def paint(
    todo: list[Entry], manifest: Manifest, tell: "Teller", options: Options, weights: "Weights"
) -> dict[Entry, str]:
    """Paints what is to do, writes beside it, and returns what failed and why."""
    import jax

    from jnst import capacity as plan
    from jnst import scheduler as batch
    from jnst.io import compile_cache as compilation

    if not options.machine.no_compilation_cache:
        compilation.keep_compiled()
    failed: dict[Entry, str] = {}
    jobs: list[Job] = []
    files = dict.fromkeys(path for entry in todo for path in (entry.content, entry.style))
    with ThreadPoolExecutor(REQUESTS) as pool:
        sizes = dict(zip(files, pool.map(_size_of, files), strict=True))
    for entry in todo:
        try:
            jobs.append(job_of(entry, sizes))
        except InputError as error:
            failed[entry] = str(error)
            tell.failed()
    if any(AUTO in (job.config.content_layers, job.config.style_layers) for job in jobs if job.config):
        tell.say("measuring the images, whose layers are to be chosen")
    devices, limit = jax.local_devices(), options.machine.max_memory
    mesh = jax.sharding.Mesh(np.array(devices), ("batch",)) if len(devices) > 1 else None
    found = batch.stylize_many(
        jobs, weights, mesh=mesh, batch_size=options.batch.batch_size,
        memory=memory.parse_bytes(limit) if limit else plan.available(), tell=tell.plan, watch=tell.step,
    )  # fmt: skip
    with ThreadPoolExecutor(1) as writer:
        written: list[Future] = []
        for result in found:
            if result.error or result.image is None:
                failed[result.job.name] = result.error
                tell.failed()
            else:
                written.append(writer.submit(write, result, manifest))
                tell.done()
            while written and (written[0].done() or len(written) > 8):  # a full disk ends the run
                written.pop(0).result()
        for future in written:
            future.result()
    return failed


def job_of(entry: Entry, sizes: Mapping[AnyPath, tuple[int, int] | InputError]) -> "Job":
    """The entry, its images to be loaded later, by the (width, height) of the files.

    Raises:
        InputError: a file that is no image, or a too small one.
    """
    from jnst.scheduler import Job

    content = _picture(entry.content, sizes[entry.content], entry.image_size)
    side = round(max(content.size) * entry.style_scale)
    return Job(content, _picture(entry.style, sizes[entry.style], side), entry.config, entry)


def _size_of(path: AnyPath) -> tuple[int, int] | InputError:
    """Of the file, or why it has none."""
    try:
        return image.read_size(path)
    except InputError as error:
        return error


def _picture(path: AnyPath, size: tuple[int, int] | InputError, image_size: int) -> "Picture":
    from jnst.scheduler import Picture

    if isinstance(size, InputError):
        raise size
    height, width = image.fit(size, image_size)
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path} is {width}x{height} pixels; both sides need at least {MIN_SIDE}")
    return Picture((path, image_size), (height, width), partial(image.load, path, image_size=image_size))


def write(result: "Result", manifest: Manifest) -> None:
    """The picture, whole or not at all, and then its line."""
    assert result.image is not None
    entry: Entry = result.job.name
    image.save(result.image, entry.output)
    facts = {"loss": result.loss, "iterations": result.iterations, "evaluations": result.evaluations,
             "stop_reason": result.stop_reason}  # fmt: skip
    config = result.job.config or entry.config  # with the layers that were chosen, where they were
    manifest.add(entry, {**facts, "content_layers": config.content_layers, "style_layers": config.style_layers})


def contact_sheet(cells: Sequence[Sequence[AnyPath | None]], side: int) -> np.ndarray:
    """Pictures in rows and columns on white; None leaves a gap, and so does a file that is no picture."""
    step = side + GAP
    sheet = np.ones((1, GAP + len(cells) * step, GAP + len(cells[0]) * step, 3), np.float32)
    for row, paths in enumerate(cells):
        for column, path in enumerate(paths):
            if path is None:
                continue
            try:
                small = image.load(path, image_size=side)
            except (InputError, OSError):
                continue
            height, width = small.shape[1:3]
            top, left = GAP + row * step + (side - height) // 2, GAP + column * step + (side - width) // 2
            sheet[:, top : top + height, left : left + width] = small
    return sheet


def write_sheet(entries: list[Entry], path: AnyPath) -> None:
    """All results that are there, content down the side and style along the top."""
    contents, styles = (list(dict.fromkeys(getattr(e, name) for e in entries)) for name in ("content", "style"))
    found = {(entry.content, entry.style): entry.output for entry in entries}
    cells = [[None, *styles], *([c, *(found.get((c, style)) for style in styles)] for c in contents)]
    image.save(contact_sheet(cells, SHEET_SIDE), path)


def _join(options: Options) -> tuple[int, int]:
    """Which of how many processes this one is; they are joined by JAX's own runtime."""
    given = options.batch
    if given.coordinator is None:
        return given.process, given.processes
    import jax

    if given.coordinator == "auto":
        jax.distributed.initialize(shutdown_timeout_seconds=WAIT_SECONDS)
    else:
        place = given.coordinator, given.processes, given.process
        jax.distributed.initialize(*place, shutdown_timeout_seconds=WAIT_SECONDS)
    return jax.process_index(), jax.process_count()


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


class Teller:
    """How far the batch is: a line when it begins and every few seconds."""

    SECONDS = 5.0

    def __init__(self, total: int, before: int, *, quiet: bool) -> None:
        self.total, self.before, self.quiet = total, before, quiet
        self.finished, self.failures, self.share, self.programs, self.planned = 0, 0, 0.0, 0, 0
        self.began = self.last = time.perf_counter()
        if before:
            self.say(f"{before} of {total} are done already")

    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def plan(self, plan: "Plan") -> None:
        self.planned = count = len(plan.buckets)
        pictures, programs = _counted(self.total - self.before, "picture"), _counted(count, "program")
        self.say(f"{pictures}, {programs} to compile, {plan.waste:.0%} of pixels empty")

    def step(self, step: "Step") -> None:
        """What comes next; a program that must be compiled first takes a while."""
        self.share = step.share
        if step.compiles:
            self.programs += 1
            height, width = step.bucket.canvas
            at_a_time = f"{step.slots} at a time" if step.slots > 1 else "one at a time"
            self.say(f"program {self.programs} of {self.planned}: up to {width}x{height} pixels, {at_a_time}")
        else:
            self._report()

    def done(self) -> None:
        self.finished += 1
        self._report()

    def failed(self) -> None:
        self.failures += 1
        self._report()

    def _report(self) -> None:
        gone = self.before + self.finished + self.failures
        if time.perf_counter() - self.last < self.SECONDS and gone < self.total:
            return
        self.last = time.perf_counter()
        rate = 60 * self.finished / self.seconds()
        parts = [f"{gone} of {self.total} done, {self.failures} failed", f"{rate:.1f} a minute"]
        if gone < self.total and self.share:
            left = self.seconds() * (1 / self.share - 1) / 60
            parts.append(f"{self.share:.0%} of the work, {left:.1f} min left")
        self.say(", ".join(parts))

    def say(self, text: str) -> None:
        if not self.quiet:
            print(f"jnst: {text}", file=sys.stderr, flush=True)
