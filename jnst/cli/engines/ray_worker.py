"""What a worker of a Ray cluster does: it paints rows on one device, as `local` does, and writes what it has painted.

It gets descriptions of rows only; photographs, weights and results never pass through Ray. Needs no Ray itself.
"""

import contextlib
import io
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jnst.cli.batch_jobs import make_jobs
from jnst.cli.engines.chunks import Surveyed
from jnst.cli.engines.local import identity, paint
from jnst.cli.jobfile import BatchRow
from jnst.cli.options import Options
from jnst.cli.parsing import render
from jnst.cli.progress import BatchReporter
from jnst.cli.weights import load_weights
from jnst.errors import InputError
from jnst.io.manifest import open_manifest
from jnst.io.paths import AnyPath, is_folder
from jnst.io.stores import is_object

if TYPE_CHECKING:
    from jnst.io.weights import Weights


@dataclass(frozen=True)
class Duty:
    """What all workers of a run are told."""

    options: Options
    out: AnyPath
    run: str
    """what tells this run from others, in the names of manifests"""
    folder: str
    """to which paths are relative"""
    host: str
    """of the one who began the run"""


@dataclass(frozen=True)
class Started:
    """What a worker says when it is ready, or cannot be."""

    host: str
    network: dict[str, str] = field(default_factory=dict)
    """what tells its weights from others"""
    lines: tuple[str, ...] = ()
    """for the user"""
    error: str = ""


@dataclass(frozen=True)
class Survey:
    """What is known of rows by the heads of their files."""

    rows: dict[int, Surveyed] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    """how many pictures a device uses well, by the programs' names"""
    failures: dict[int, str] = field(default_factory=dict)
    """why a row cannot be painted"""
    error: str = ""
    """why none can"""


@dataclass(frozen=True)
class Outcome:
    """What became of rows."""

    done: int
    """pictures that are there, those of an earlier try too"""
    failures: dict[int, str]
    """why there is no picture"""
    slots: dict[str, int]
    """pictures at a time, by the programs' names, as the memory allowed"""


PARENT_SECONDS = 0.2  # between two looks at it


def _end_with_parent() -> None:
    """Ends this process when Ray's on this machine has gone, as it goes with a local run's driver that is killed.

    Ray does so after some 5 s, in which the run that is begun again would meet workers of the one before.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


class Worker:
    """One device."""

    def __init__(self, duty: Duty, number: int, crowd: int) -> None:
        """Remembers what is asked for.

        Args:
            duty: of all workers.
            number: of this one.
            crowd: workers that share the memory of a machine.
        """
        self.duty, self.number, self.crowd = duty, number, crowd
        self.options = duty.options
        self.host = socket.gethostname()
        self.signals: list[int] = []
        self.weights: Weights | None = None
        self.reporter: BatchReporter | None = None

    def start(self) -> Started:
        """Loads the weights.

        Returns:
            Why it cannot, or what it has found.
        """
        threading.Thread(target=_end_with_parent, daemon=True).start()
        told = io.StringIO()
        try:
            with contextlib.redirect_stderr(told):
                self._enter()
                self.weights = load_weights(self.options)
        except InputError as error:
            return Started(self.host, error=render(error))
        lines = tuple(line.removeprefix("jnst: ") for line in told.getvalue().splitlines())
        return Started(self.host, identity(self.weights), lines)

    def _enter(self) -> None:
        """Goes where the run was begun, and takes its part of the memory."""
        out = self.duty.out
        try:
            os.chdir(self.duty.folder)
        except OSError:
            if not is_object(out) and not out.is_absolute():
                raise InputError(f"{self.host} has no folder {self.duty.folder}; give -o a folder that all machines "
                                 "see, by its whole path") from None  # fmt: skip
        if not is_object(out) and not is_folder(out):
            raise InputError(f"{self.host} has no folder {out}; give -o a folder that all machines see, or a store")
        if self.crowd > 1 and not self.options.machine.max_memory:
            from jnst.capacity import available

            whole = available()
            if whole is not None:
                machine = replace(self.options.machine, max_memory=str(whole // self.crowd))
                self.options = replace(self.options, machine=machine)

    def survey(self, rows: Sequence[BatchRow]) -> Survey:
        """Reads the heads of files.

        Args:
            rows: of the batch.

        Returns:
            Which programs each row needs.
        """
        from jnst.capacity import most_slots
        from jnst.config import Config
        from jnst.jobs import make_schedule
        from jnst.programs import name_of

        places = {row.output: k for k, row in enumerate(rows)}
        unreadable: dict[BatchRow, str] = {}
        jobs = make_jobs(rows, unreadable, keep_alpha=self.options.writing.alpha == "keep", quiet=True)
        try:
            schedule = make_schedule(jobs, Config())
        except InputError as error:
            return Survey(error=render(error))
        names = {program: name_of(program, 1) or repr(program.canvas) for program in schedule.buckets}
        found = {
            places[task.job.name.output]: Surveyed(
                tuple(names[program] for _, program in task.stages), sum(map(task.cost, range(len(task.stages))))
            )
            for task in schedule.tasks
        }
        most = {name: most_slots(program) for program, name in names.items()}
        return Survey(found, most, {places[row.output]: reason for row, reason in unreadable.items()})

    def paint(self, rows: Sequence[BatchRow], slots: Mapping[str, int], again: bool) -> Outcome:
        """Paints rows.

        Args:
            rows: without pictures, unless they were tried before.
            slots: pictures at a time, by the programs' names.
            again: whether another worker has died over them.

        Returns:
            What became of them; rows that are neither done nor failed were left for a signal, or because no folder
            takes pictures any more.
        """
        import jax

        assert self.weights is not None
        places = {row.output: k for k, row in enumerate(rows)}
        part = f"ray-{self.duty.run}-{self.number}-{os.getpid()}"
        names = {row.output.name for row in rows} if again else set()
        known, failures = dict(slots), dict[BatchRow, str]()
        with contextlib.closing(open_manifest(self.duty.out, part, identity(self.weights), names=names)) as manifest:
            todo = [row for row in rows if not manifest.has(row)]
            reporter = BatchReporter(len(rows), len(rows) - len(todo), lambda *news: None, quiet=True)
            self.reporter = reporter
            try:
                if todo and not self.signals:
                    failures = paint(
                        todo, manifest, reporter, self.options, self.weights, self.signals, slots=known,
                        devices=jax.local_devices()[:1],
                    )  # fmt: skip
            except InputError as error:  # before the first of them
                failures = dict.fromkeys(todo, render(error))
            self.reporter = None
        where = "" if self.host == self.duty.host else f" (on {self.host})"
        reasons = {places[row.output]: f"{reason}{where}" for row, reason in failures.items()}
        return Outcome(reporter.done, reasons, known)

    def news(self) -> tuple[int, int, float]:
        """Returns the pictures done and failed of the rows at work, and the share of the work on them that is done."""
        reporter = self.reporter
        return (0, 0, 0.0) if reporter is None else (reporter.done, reporter.failures, reporter.share)

    def stop(self, number: int) -> None:
        """Ends painting after the running step.

        Args:
            number: of the signal.
        """
        self.signals.append(number)
