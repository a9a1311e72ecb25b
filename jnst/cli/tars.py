"""The command line for photographs in tar files: `photos-{000000..000999}.tar` in, a tar of pictures each out.

One tar is unpacked, painted as a folder is, and packed, then the next: however many pictures there are, the names of
one tar are held. A tar that is done has a line in the manifest; one that was begun is gone on with where its pictures
were (`NAME.part`, beside it; in an object store such a tar is begun again).
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from jnst.cli.engines.local import identity, open_slots, paint
from jnst.cli.interrupts import exit_code, stop_on_signals
from jnst.cli.jobfile import BatchRow, Manner, manners_of
from jnst.cli.many import make_folder, validate_batch
from jnst.cli.options import Options
from jnst.cli.parsing import make_config, render
from jnst.cli.progress import BatchReporter, counted, display
from jnst.cli.shards import Share, require_share
from jnst.cli.terminal import log, say
from jnst.cli.weights import load_weights
from jnst.config import check_for_batch
from jnst.errors import InputError
from jnst.io.manifest import Manifest, is_begun, open_manifest, read_facts
from jnst.io.paths import AnyPath, listdir, path_errors
from jnst.io.stores import is_object
from jnst.io.suffixes import picture_suffixes
from jnst.io.tars import expand, members, pack, split_key, unpack

if TYPE_CHECKING:
    from jnst.io.weights import Weights

ENDINGS = (".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class TarJob:
    """A tar of photographs, each of which is painted in every manner."""

    tar: AnyPath
    output: AnyPath
    rows: tuple[BatchRow, ...]
    """the tar in each manner, as if it were a photograph"""
    manners: tuple[Manner, ...]

    def record(self) -> dict[str, Any]:
        """Returns what tells it from another one, as JSON has it."""
        return {"output": self.output.name, "manners": [row.record() for row in self.rows]}


@dataclass(frozen=True)
class Painted:
    """What became of a tar."""

    pictures: int = 0
    failures: tuple[str, ...] = ()
    """one line each"""


def is_tars(options: Options) -> bool:
    """Returns whether the photographs are in tars.

    Args:
        options: of the command line.
    """
    return options.batch.jobs is None and options.content.name.lower().endswith(ENDINGS)


def run_tars(options: Options) -> int:
    """Paints all tars of this process's part.

    Args:
        options: of the command line.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    out = validate_batch(options)
    for name in ("trace", "contact_sheet"):
        if getattr(options.report, name, None) or getattr(options.batch, name, None):
            raise InputError(f"`{name}` is for folders and `jobs`; photographs in tars are too many to list")
    if options.batch.coordinator or options.batch.processes > 1:
        raise InputError("tars are shared by `shard`; leave out `coordinator`, `processes` and `process`")
    if options.batch.engine != "local":
        raise InputError("tars are shared by `shard`; leave out `engine`, or list the photographs by `jobs`")
    share = require_share(options.batch) or Share()
    check_for_batch(make_config(options), normalized=options.weight.normalize_with is not None)
    jobs = [job for job in list_tars(options, out) if share.has(job.output.name)]
    for job in jobs:
        with path_errors(job.tar):
            if not is_object(job.tar) and not job.tar.is_file():  # of a store it is told when its turn comes
                raise InputError(f"{job.tar}: no such file; give the path of a tar")
    make_folder(out)
    if not (is_begun(out) or options.file.overwrite) and (taken := listdir(out) & {job.output.name for job in jobs}):
        raise InputError(f"{out / min(taken)} exists; give --overwrite to replace it, or another -o")
    weights = load_weights(options)
    manifest = open_manifest(out, share.part, identity(weights))
    with contextlib.closing(manifest), stop_on_signals("to quit at once") as signals:
        return _paint_all(jobs, manifest, options, weights, signals)


def list_tars(options: Options, out: AnyPath) -> list[TarJob]:
    """Returns the tars that the command line names.

    Args:
        options: with a tar, or numbers in braces for many.
        out: the folder of the results.

    Raises:
        InputError: a range that ends before it begins, a tar of a name that is taken, no painting.
    """
    jobs, manners = dict[str, TarJob](), tuple(manners_of(options))
    for tar in expand(str(options.content)):
        output = out / f"{split_key(tar.name)[0]}.tar"
        job = TarJob(tar, output, _rows(tar, output, manners, options), manners)
        if jobs.setdefault(output.name, job) is not job:
            raise InputError(f"{output} would be written twice; give tars of different names")
        if output == tar:
            raise InputError(f"{tar} would be replaced by its own pictures; give another -o")
    return list(jobs.values())


def _rows(content: AnyPath, output: AnyPath, manners: Sequence[Manner], options: Options) -> tuple[BatchRow, ...]:
    """A photograph in every manner; of several, each picture is named after its own."""
    file, config = options.file, make_config(options)
    return tuple(
        BatchRow(
            content, manner.style, output.parent / f"{split_key(output.name)[0]}{_ending(manner)}.png", file.image_size,
            file.style_scale, config, file.upscale, manner.paintings,
        )
        for manner in manners
    )  # fmt: skip


def _ending(manner: Manner) -> str:
    """What a picture's name says of its manner; a dot would end the key of its sample."""
    return "_" + manner.name.replace(".", "_")


def _paint_all(
    jobs: Sequence[TarJob], manifest: Manifest, options: Options, weights: "Weights", signals: Sequence[int]
) -> int:
    """Paints what is not done, tar by tar."""
    quiet = options.report.quiet
    todo = [job for job in jobs if not manifest.has(job)]
    if len(todo) < len(jobs):
        log(f"{len(jobs) - len(todo)} of {counted(len(jobs), 'tar')} are done already", quiet=quiet)
    if todo:
        log(f"{counted(len(todo), 'tar')} to do{told(todo)}", quiet=quiet)
    pictures, broken = 0, list[str]()
    for k, job in enumerate(todo):
        prefix = f"jnst: tar {k + 1} of {len(todo)}: "
        try:
            painted = paint_tar(job, manifest, options, weights, signals, prefix=prefix)
        except InputError as error:
            reason = render(error)
            painted = Painted(failures=(reason if reason.startswith(str(job.tar)) else f"{job.tar}: {reason}",))
        if painted is None:
            log(f"stopped; {len(jobs) - len(todo) + k} of {counted(len(jobs), 'tar')} are done; begin again to go on")
            return exit_code(signals[0])
        pictures += painted.pictures
        broken += painted.failures
        for line in painted.failures:
            log(line)
    if broken:
        log(f"{len(broken)} failed")
    say(f"{options.file.output}  ({counted(pictures, 'picture')} in {counted(len(todo), 'tar')})", quiet=quiet)
    return 1 if broken else 0


def paint_tar(
    job: TarJob, manifest: Manifest, options: Options, weights: "Weights", signals: Sequence[int], *, prefix: str
) -> Painted | None:
    """Paints the photographs of a tar into a tar.

    Args:
        job: which.
        manifest: of the tars, open.
        options: of the command line.
        weights: of the network.
        signals: that came; the first ends the work.
        prefix: of the bar.

    Returns:
        What became of it; None where a signal came before it was done.

    Raises:
        InputError: a tar that cannot be read or written, or has no picture.
    """
    with _work_folder(job) as work:
        photographs, pictures = work / "photographs", work / "pictures"
        shutil.rmtree(photographs, ignore_errors=True)  # of a run that was killed
        photographs.mkdir(parents=True)
        pictures.mkdir(exist_ok=True)
        found = unpack(job.tar, photographs, suffixes=picture_suffixes())
        if not found:
            raise InputError("holds no picture; it needs files such as KEY.jpg or KEY.png")
        rows = {key: _rows(path, pictures / path.name, job.manners, options) for key, path in found.items()}
        every = [row for of_one in rows.values() for row in of_one]
        begun = open_manifest(pictures, "", manifest.network)
        todo = [row for row in every if not begun.has(row)]
        quiet = options.report.quiet
        with contextlib.closing(begun), display(1.0, quiet=quiet or not todo, prefix=prefix) as show:
            reporter = BatchReporter(len(every), len(every) - len(todo), show, quiet=quiet)
            slots = open_slots(pictures, every, Share(), options)
            failed = paint(todo, begun, reporter, options, weights, signals, slots=slots) if todo else {}
        if signals:
            return None
        reasons = {row.output.name: reason for row, reason in failed.items()}
        count = pack(job.output, _samples(rows, job.manners, pictures))
        manifest.add(job, {"pictures": count, "failures": reasons})
        shutil.rmtree(work, ignore_errors=True)
    names = {row.output.name: key for key, of_one in rows.items() for row in of_one}
    return Painted(count, tuple(f"{job.tar}, {names[name]}: {reason}" for name, reason in reasons.items()))


@contextlib.contextmanager
def _work_folder(job: TarJob) -> Iterator[Path]:
    """Where a tar is unpacked: beside its place, so that a later run finds what is painted."""
    if is_object(job.output):
        with tempfile.TemporaryDirectory(prefix="jnst-") as name:
            yield Path(name)
        return
    work = Path(job.output).with_suffix(".part")
    work.mkdir(exist_ok=True)
    try:
        with FileLock(work / "lock", timeout=0):
            yield work
    except Timeout:
        raise InputError("is being painted by another process; begin again when that has ended") from None


def _samples(
    rows: Mapping[str, tuple[BatchRow, ...]], manners: Sequence[Manner], pictures: Path
) -> Iterator[tuple[str, Path | bytes]]:
    """Each picture and beside it what the manifest says of it, under the photograph's key and the manner's name."""
    facts = read_facts(pictures)
    for key, of_one in rows.items():
        for row, manner in zip(of_one, manners, strict=True):
            if (line := facts.get(row.output.name)) and isinstance(row.output, Path) and row.output.exists():
                name = f"{key}{_ending(manner)}"
                yield f"{name}.png", row.output
                yield f"{name}.json", json.dumps({"photograph": key, "style": manner.name, **line}).encode()


def told(todo: Sequence[TarJob]) -> str:
    """Says how many pictures tars hold, where that can be told without reading all of them.

    Args:
        todo: tars that are to be painted.

    Returns:
        Words behind the number of tars; empty where it cannot.
    """
    suffixes, count = picture_suffixes(), 0
    for job in todo:
        listed = members(job.tar)
        if listed is None:
            return ""
        with contextlib.suppress(InputError):  # a broken tar is told when its turn comes
            count += len(job.rows) * sum(f".{split_key(member.name)[1].lower()}" in suffixes for member in listed)
    return f", {counted(count, 'picture')}" if count else ""
