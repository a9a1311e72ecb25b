"""A batch on a Ray cluster: looks at the rows, hands them out in chunks, counts what comes back (`--engine ray`).

What passes through Ray is rows in words, numbers and reasons: workers read and write files themselves. The manifest has
a part for each worker's process (in an object store: its objects), so a run that is killed goes on as any other.
"""

import contextlib
import os
import re
import signal
import socket
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from jnst.cli.engines.base import Batch
from jnst.cli.engines.chunks import Chunk, Surveyed, after_loss, decide_slots, make_chunks
from jnst.cli.engines.local import open_slots
from jnst.cli.engines.pool import Lost, Pool, Task
from jnst.cli.engines.ray_worker import Duty, Outcome, Survey
from jnst.cli.jobfile import BatchRow
from jnst.cli.options import BatchOptions
from jnst.cli.progress import BatchReporter, counted
from jnst.cli.terminal import log
from jnst.errors import InputError, single_line
from jnst.io.manifest import Manifest, open_manifest
from jnst.io.optional import find

STORE_BYTES = 80 * 2**20
"""of a local cluster's object store, the least that Ray takes: nothing of size lies there"""
ROWS_A_LOOK = 200  # of which a worker reads the heads in one task
ANSWER_SECONDS = 5.0  # for a cluster's address
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""of HTTP/2, which the head speaks: preface and empty settings (RFC 9113, 3.4)"""
SETTINGS = b"\4"
"""the type of the frame that answers"""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_TRAIN_V2_ENABLED": "0"}


@contextlib.contextmanager
def ray_engine(batch: Batch) -> Iterator["RayEngine"]:
    """Starts a cluster on this machine, or joins one, and waits for the first worker: a context manager.

    Args:
        batch: what is asked for.

    Yields:
        The engine.

    Raises:
        InputError: a cluster that does not answer, no worker that can start, a folder that cannot be read or written.
    """
    options = batch.options
    connect(options.batch)
    try:
        duty = Duty(options, batch.out, uuid.uuid4().hex[:8], os.getcwd(), socket.gethostname())
        pool = Pool(duty, most=options.batch.workers, rows=len(batch.own))
        pool.wait()
        manifest = open_manifest(batch.out, "", pool.network)
        with contextlib.closing(manifest):
            yield RayEngine(batch, pool, manifest)
    finally:
        find("ray").shutdown()


def connect(batch: BatchOptions) -> None:
    """Starts a local cluster, or joins the one at an address. Ray says nothing meanwhile.

    Args:
        batch: options of the command line.

    Raises:
        InputError: the cluster does not answer, or does not fit.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    if batch.address not in (None, "auto"):
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # in this process alone: each of its tries is a line
        require_answer(batch.address)
    local: dict[str, Any] = {}
    if batch.address is None:
        local = {"num_cpus": max(os.cpu_count() or 1, batch.workers), "object_store_memory": STORE_BYTES,
                 "include_dashboard": False}  # fmt: skip
    before = signal.getsignal(signal.SIGTERM)
    ray = find("ray")
    try:
        ray.init(address=batch.address or "local", log_to_driver=False, logging_level="ERROR", **local)
    except Exception as error:  # of many types: no cluster, another version of Ray or Python, no room
        text = re.split(r"(?<=[.!]) ", single_line(error))[0]
        raise InputError(
            f"`engine` ray cannot begin ({text[:300]}); see to the cluster, or leave out `engine`"
        ) from None
    finally:
        with contextlib.suppress(ValueError):  # of another thread than the main one
            signal.signal(signal.SIGTERM, before)  # Ray's own ends the program with another exit code
    with contextlib.suppress(Exception):  # Ray prints of each dead worker ten lines; jnst tells it in one
        find("ray._private.ray_logging").global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def require_answer(address: str) -> None:
    """Refuses an address at which nothing speaks as the head of a Ray cluster does; Ray itself would try for minutes.

    Args:
        address: HOST:PORT.

    Raises:
        InputError: nothing answers in time, or something else.
    """
    host, port = address.rsplit(":", 1)
    hint = "give HOST:PORT of a Ray cluster's head, or none for a cluster of this machine"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as head:
            head.sendall(GREETING)
            answer = head.recv(9)
    except (OSError, OverflowError) as error:
        raise InputError(f"`address` {address}: no answer ({single_line(error)}); {hint}") from None
    if answer[3:4] != SETTINGS:
        raise InputError(f"`address` {address}: what answers there is no Ray cluster; {hint}")


class RayEngine:
    """Paints on a cluster."""

    def __init__(self, batch: Batch, pool: Pool, manifest: Manifest) -> None:
        """Remembers what is painted.

        Args:
            batch: what is asked for.
            pool: of workers.
            manifest: open.
        """
        self.batch, self.pool, self.manifest = batch, pool, manifest

    def paint(self, todo: Sequence[BatchRow], reporter: BatchReporter, signals: Sequence[int]) -> dict[BatchRow, str]:
        """Paints what is to do.

        Args:
            todo: rows without a picture.
            reporter: of the batch.
            signals: that came; the first ends the batch after the workers' running steps.

        Returns:
            Why there is no picture, of each row that failed.

        Raises:
            InputError: settings that a picture has no room for, or no worker is left.
        """
        batch = self.batch
        failures: dict[BatchRow, str] = {}
        rows, most = self._survey(todo, failures, reporter, signals)
        if signals:
            return failures
        slots = open_slots(batch.out, batch.own, batch.share, batch.options)
        decide_slots(list(rows.values()), most, slots, batch_size=batch.options.batch.batch_size)
        chunks = make_chunks(rows, slots, workers=self.pool.size)
        programs, workers = counted(len(most), "program"), counted(self.pool.size, "worker")
        reporter.log(f"{counted(len(todo), 'picture')}, {programs}, {workers}, one {self.pool.device} each")
        done, work = 0, sum(row.work for row in rows.values()) or 1
        painted = 0.0
        tasks = deque(self._task(chunk, todo, slots) for chunk in chunks)

        def tick() -> None:
            if signals.count(signal.SIGINT) > 1:  # what the handler has raised, Ray may have swallowed
                raise KeyboardInterrupt
            if signals:
                tasks.clear()
                self.pool.stop(signals[0])
            elif not tasks:
                self.pool.release()
            at_work = self.pool.working()
            finished = done + sum(member.news[0] for member in at_work)
            failed = len(failures) + sum(member.news[1] for member in at_work)
            share = painted + sum(member.news[2] * member.task.about.work for member in at_work if member.task)
            reporter.overall(finished, failed, share / work)

        for task, answer in self.pool.answers(tasks, tick):
            chunk: Chunk = task.about
            if isinstance(answer, Lost):
                self._after_loss(task, answer, todo, tasks, failures, slots)
                continue
            outcome: Outcome = answer
            done, painted = done + outcome.done, painted + chunk.work
            failures |= {todo[chunk.rows[k]]: reason for k, reason in outcome.failures.items()}
            for name, count in outcome.slots.items():
                if slots.get(name) != count:
                    slots[name] = count
            if outcome.done + len(outcome.failures) < len(chunk.rows) and not signals:
                log("no folder takes a picture any more, so no more are painted; make room and begin again")
                tasks.clear()
                self.pool.stop(signal.SIGTERM)
        reporter.overall(done, len(failures), painted / work)
        return failures

    def _survey(
        self, todo: Sequence[BatchRow], failures: dict[BatchRow, str], reporter: BatchReporter, signals: Sequence[int]
    ) -> tuple[dict[int, Surveyed], dict[str, int]]:
        """Which programs each row needs, by its place, and how many pictures of each a device uses well."""
        rows, most = dict[int, Surveyed](), dict[str, int]()
        firsts = range(0, len(todo), ROWS_A_LOOK)
        tasks = deque(Task("survey", (list(todo[first : first + ROWS_A_LOOK]),), (first, 1)) for first in firsts)

        def tick() -> None:
            if signals:
                tasks.clear()

        for task, answer in self.pool.answers(tasks, tick):
            first, tries = task.about
            if isinstance(answer, Lost):
                if tries == 3:
                    raise InputError(f"no worker can read the heads of the photographs ({answer.reason})")
                tasks.append(Task("survey", task.arguments, (first, tries + 1)))
                continue
            survey: Survey = answer
            if survey.error:
                raise InputError(survey.error)
            most |= survey.most
            rows |= {first + k: row for k, row in survey.rows.items()}
            failures |= {todo[first + k]: reason for k, reason in survey.failures.items()}
        reporter.overall(0, len(failures), 0.0)
        return dict(sorted(rows.items())), most

    def _task(self, chunk: Chunk, todo: Sequence[BatchRow], slots: Any) -> Task:
        return Task("paint", ([todo[k] for k in chunk.rows], dict(slots), chunk.lost > 0), chunk)

    def _after_loss(
        self, task: Task, lost: Lost, todo: Sequence[BatchRow], tasks: deque[Task], failures: dict[BatchRow, str],
        slots: Any,
    ) -> None:  # fmt: skip
        """Tries a chunk again, or gives its picture up."""
        chunk: Chunk = task.about
        if self.pool.stopped:
            return
        again = after_loss(chunk)
        if not again:
            failures[todo[chunk.rows[0]]] = f"given up: its worker was lost {chunk.lost + 1} times ({lost.reason})"
            return
        log(f"a worker was lost ({lost.reason}); its {counted(len(chunk.rows), 'picture')} are tried again")
        tasks.extendleft(self._task(part, todo, slots) for part in reversed(again))
