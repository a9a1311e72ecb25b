"""Many jobs on one engine: a batch advances in one device step, a finished picture leaves, the next takes its place.

The host's side: queues, places, results. `jobs` says what is computed together, `targets` begins a task, `capacity`
says how many fit, `engine` advances them. A single picture is a batch of one (`transfer.stylize`).
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from jnst import engine, sharding
from jnst.capacity import Capacity
from jnst.checkpoints import Keeper
from jnst.config import Config, check_for_batch
from jnst.engine import MAX_TICKS, Program, Records, Run
from jnst.errors import InputError, OutOfMemory, is_out_of_memory
from jnst.io.image import resize
from jnst.io.weights import Weights
from jnst.jobs import Extras, Job, Schedule, Task, make_schedule
from jnst.memory import give_back
from jnst.network.vgg import Params
from jnst.optim.base import NOT_FINITE, RUNNING, STOP_REASONS
from jnst.programs import name_of, run_chunk
from jnst.recording import WorkMeter, read_rows
from jnst.records import Callback, Iteration, Progress, Result
from jnst.stored_style import check_stored
from jnst.targets import CACHE_BYTES, PREFETCH_TASKS, Begun, TargetStore

MIN_JOBS_IN_FLIGHT = 64  # and twice the places: images wait on the host between two scales
CHUNK_SECONDS = 1.0  # how long the device works between two callbacks
NO_PAUSE = 2**31 - 1


class Step(NamedTuple):
    """What the device is about to do."""

    program: Program
    slots: int
    """pictures at a time, on all devices"""
    compiles: bool
    """whether the program is new: compiled first, or read from the cache of compiled programs"""
    share: float
    """of the whole work, by pixels and iterations, that is done: 0 to 1"""


class _EndedError(Exception):
    """The caller wants no further step."""


@dataclass
class _Batch:
    """What is at work in one bucket."""

    tasks: list[Task | None] = field(default_factory=list)
    """of each place"""
    begun: deque[tuple[Task, Begun]] = field(default_factory=deque)
    """that wait for a place"""
    ended: list[tuple[Task, Array, float, int]] = field(default_factory=list)
    """tasks that left their places, with best image, loss and status"""
    failed: list[tuple[Task, Exception]] = field(default_factory=list)
    places: Any = None
    """(Problem, Run) on the device"""
    ticks: int = 2
    """of the next chunk"""


def stylize_many(
    jobs: Sequence[Job],
    params: Params | Weights,
    *,
    config: Config | None = None,
    extras: Extras = Extras(),  # noqa: B008
    mesh: Mesh | None = None,
    batch_size: int = 0,
    memory: int | None = None,
    callback: Callback | None = None,
    on_schedule: Callable[[Schedule], None] = lambda schedule: None,
    on_step: Callable[[Step], object] = lambda step: None,
    slots: MutableMapping[str, int] | None = None,
) -> Iterator[Result]:
    """Paints many pictures, several at a time; yields each result when it is done, in no fixed order.

    Args:
        jobs: what to paint.
        params: parameters of VGG-16 or VGG-19, or `Weights`.
        config: the settings of all jobs that have none of their own; `Config()` by default.
        extras: the caller's own terms and optimizer, for all jobs.
        mesh: devices that share each batch, along its one axis; one device by default.
        batch_size: pictures at a time on each device; 0: what the device uses well and `memory` holds.
        memory: bytes that a device may use; None: not known.
        callback: gets the `Progress` of each picture about once a second; a true answer stops that picture.
        on_schedule: gets the schedule, before any work.
        on_step: gets every step, before it is taken; a true answer ends the work, what is done is still yielded.
        slots: how many pictures of each program (`programs.name_of`) are advanced at a time, as an earlier process with
            some of these jobs has decided: another number would round otherwise. Gets what is decided.

    Returns:
        An iterator over the results.

    Raises:
        InputError: settings that a batch cannot have, or a style image larger than the memory. What is wrong with one
            job's images is in its result instead.
    """
    config = config or Config()
    normalized = isinstance(params, Weights) and bool(params.normalized)
    for own in {job.config or config for job in jobs}:
        check_for_batch(own, normalized=normalized)
    record = params.record() if isinstance(params, Weights) else None
    arrays = params.params if isinstance(params, Weights) else params
    if record is not None:
        pictures = (style.picture for job in jobs for style in job.styles.values())
        check_stored((picture.stored for picture in pictures if picture.stored is not None), record)
    schedule = make_schedule(jobs, config, extras=extras)
    scheduler = Scheduler(
        schedule, arrays, extras=extras, mesh=mesh, batch_size=batch_size, memory=memory, callback=callback,
        on_step=on_step, record=record, slots=slots,
    )  # fmt: skip
    scheduler.capacity.check_styles(arrays)
    on_schedule(schedule)
    return scheduler.run()


class Scheduler:
    """Runs a schedule.

    Args:
        schedule: what to do.
        params: parameters of the network.
        extras: the caller's own terms, optimizer, and mesh that splits rows.
        mesh: devices that share a batch.
        batch_size, memory, callback, on_step, slots: as `stylize_many` takes them.
        callback_every: calls the callback after every so many iterations at the least; 0: about once a second.
        cache_bytes: of pictures and targets that are kept for other jobs, each.
        record: of the weights, for the results.
        raises: whether what is wrong with a job is raised instead of told in its result.
        keeper: keeps the only task from time to time, and takes it up where an earlier process has kept it.
    """

    def __init__(
        self, schedule: Schedule, params: Params, *, extras: Extras = Extras(), mesh: Mesh | None = None,  # noqa: B008
        batch_size: int = 0, memory: int | None = None, callback: Callback | None = None, callback_every: int = 0,
        on_step: Callable[[Step], object] = lambda step: None, cache_bytes: int = CACHE_BYTES,
        record: dict[str, str] | None = None, raises: bool = False, keeper: Keeper | None = None,
        slots: MutableMapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        self.clock = time.perf_counter
        self.began = self.clock()
        self.schedule, self.mesh, self.devices = schedule, mesh, 1 if mesh is None else mesh.size
        self.callback, self.callback_every, self.on_step = callback, callback_every, on_step
        self.record, self.raises = record, raises
        self.capacity = Capacity(schedule, self.devices, mesh, batch_size, memory)
        everywhere = None if mesh is None else NamedSharding(mesh, PartitionSpec())
        place = everywhere if extras.mesh is None else sharding.replicated(extras.mesh)
        self.spread = None if mesh is None else NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        self.store = TargetStore(params, place=place, cache_bytes=cache_bytes, own_terms=extras.terms is not None)
        self.meter = WorkMeter(schedule.tasks)
        self.window = max(MIN_JOBS_IN_FLIGHT, 2 * self.devices * (batch_size or MIN_JOBS_IN_FLIGHT))
        self.compiled: set[tuple[Program, int]] = set()
        self.slot_counts: dict[Program, int] = {}
        self.slots_of_names = {} if slots is None else slots
        self.keeper = keeper
        if keeper is not None:
            self._resume(keeper, *schedule.tasks)
        self.unused = deque(schedule.tasks)
        self.ready: dict[Program, deque[Task]] = {}
        self.in_flight = 0

    def _resume(self, keeper: Keeper, task: Task) -> None:
        """Takes a task up where it was kept."""
        task.began = self.clock() - keeper.resume(task)
        self.meter.done = sum(task.cost(stage) for stage in range(task.stage)) + max(0, task.resumed) * task.pixels

    def run(self) -> Iterator[Result]:
        """Yields all results, bucket by bucket, the one that most tasks wait for first."""
        try:
            while self._top_up():
                program = max(self.ready, key=lambda program: len(self.ready[program]))
                yield from self._drain(program)
                if not self.ready[program]:
                    del self.ready[program]
        except _EndedError:
            return
        finally:
            self.store.close()

    def _top_up(self) -> bool:
        """Brings new jobs to work, as many as the window holds; whether there is any work."""
        while self.unused and self.in_flight < self.window:
            task = self.unused.popleft()
            self.in_flight += 1
            self.ready.setdefault(task.program, deque()).append(task)
        return bool(self.ready)

    def _drain(self, program: Program) -> Iterator[Result]:
        """Runs the tasks of one bucket until none waits; where the memory does not last, fewer at a time."""
        queue = self.ready[program]
        while queue:
            batch = _Batch()
            try:
                yield from self._advance(program, queue, batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                yield from self._finish(batch)
                at_work = [task for task in batch.tasks if task]
                for task in at_work:  # the scale is begun again
                    self.meter.advance(task, -max(0, task.done))
                    task.history = [row for row in task.history if row.iteration < task.iterations + (task.stage > 0)]
                fewer = len(batch.tasks) > self.devices
                if fewer:
                    self._decide_slots(program, max(self.devices, len(batch.tasks) // 2))
                    queue.extendleft(reversed(at_work))
                queue.extendleft(reversed([task for task, _ in batch.begun]))
                for task in () if fewer else at_work or [queue.popleft()]:
                    yield self._give_up(task, OutOfMemory("not enough memory; give a smaller image_size"))

    def _advance(self, program: Program, queue: deque[Task], batch: _Batch) -> Iterator[Result]:
        """Advances all places of a batch until none is taken.

        While the device works, the host finishes what the step before has ended and begins what may follow this one.
        """
        while True:
            self._place(program, queue, batch)
            if not any(batch.tasks):
                yield from self._finish(batch)
                if not queue:  # to which a finer scale may have come
                    return
                continue
            params, (problem, run) = self.store.prepared_params(program), batch.places
            new = (program, len(batch.tasks)) not in self.compiled
            if self.on_step(Step(program, len(batch.tasks), new, self.meter.share)):
                yield from self._finish(batch)
                raise _EndedError
            if new:
                run = self._compile(program, batch, params)
            left = [task.scale.iterations - task.done for task in batch.tasks if task]
            ticks, pause = self._chunk(batch, left)
            started = self.clock()
            run, records = run_chunk(program, self.mesh, params, problem, run, jnp.int32(ticks), jnp.int32(pause))
            batch.places = problem, run
            yield from self._finish(batch)
            self._begin_ahead(queue, batch, sum(n <= ticks for n in left))  # as many as may end
            self._collect(batch, run, jax.device_get(records), started)

    def _compile(self, program: Program, batch: _Batch, params: Params) -> Run:
        """Compiles the program for so many places, by a chunk of no tick."""
        self.compiled.add((program, len(batch.tasks)))
        before, (problem, run) = self.clock(), batch.places
        run, _ = run_chunk(program, self.mesh, params, problem, run, jnp.int32(0), jnp.int32(0))
        jax.block_until_ready(run)
        give_back()
        for task in batch.tasks:
            if task:
                task.compile_seconds += self.clock() - before
        return run

    def _chunk(self, batch: _Batch, left: list[int]) -> tuple[int, int]:
        """How many ticks the next chunk has, and the iteration at which it pauses."""
        most = max(1, min(MAX_TICKS, *left))
        if self.callback is None:
            return most, NO_PAUSE
        pause = NO_PAUSE
        if self.callback_every:  # of a single run: the next multiple, counted over all scales
            (task,) = (task for task in batch.tasks if task)
            done = max(0, task.done)
            pause = done + self.callback_every - (task.iterations + done) % self.callback_every
        return min(batch.ticks, MAX_TICKS), pause

    def _collect(self, batch: _Batch, run: Run, records: Records, started: float) -> None:
        """Reads how far each run is; what has ended leaves its place."""
        state = run.state
        counts = [np.asarray(a) for a in (state.iterations, state.evaluations, state.status, run.best)]
        now = self.clock()
        per_tick = (now - started) / max(1, int(records.rows.max(initial=0)))
        batch.ticks = max(1, min(2 * batch.ticks, int(CHUNK_SECONDS / max(per_tick, 1e-6))))
        for k, task in enumerate(batch.tasks):
            if task is None:
                continue
            before = max(0, task.done)
            done, evaluations, status, loss = (count[k].item() for count in counts)
            times = started - self._began(task), now - self._began(task)
            new = read_rows(task, records, k, times)
            task.history += new
            task.done = done
            self.meter.advance(task, max(0, done) - before)
            stopped = self._report(task, run, k, loss, new)
            if self.keeper is not None:  # before the place is given up, which a run that was stopped takes again
                self.keeper.keep(task, self._seconds(task), run=run, now=stopped)
            if done >= task.scale.iterations or status != RUNNING or stopped:
                task.evaluations += evaluations
                status = -1 if stopped and status == RUNNING else status
                batch.ended.append((task, run.best_x[k], loss, status))
                batch.tasks[k] = None
                problem, run = batch.places
                batch.places = problem._replace(limit=problem.limit.at[k].set(-1)), run

    def _report(self, task: Task, run: Run, k: int, loss: float, new: list[Iteration]) -> bool:
        """Calls the callback; whether it stops the picture."""
        if self.callback is None:
            return False
        scale = task.scale
        done, total = task.iterations + max(0, task.done), sum(stage.iterations for stage, _ in task.stages)
        progress = Progress(
            done, total, self._seconds(task), loss, new,
            lambda: self.store.finished(task, np.array(run.best_x[k : k + 1, : scale.height, : scale.width])),
            task.job.name,
        )  # fmt: skip
        return bool(self.callback(progress))

    def _began(self, task: Task) -> float:
        return self.began if task.began is None else task.began

    def _seconds(self, task: Task) -> float:
        return self.clock() - self._began(task)

    def _place(self, program: Program, queue: deque[Task], batch: _Batch) -> None:
        """Gives free places to what was begun, or begins what waits."""
        while (batch.begun or queue) and (batch.places is None or None in batch.tasks):
            if not batch.begun:
                self._begin_ahead(queue, batch, 1, needed=True)
                continue
            task, begun = batch.begun[0]
            if batch.places is None:
                try:
                    count = self._slots(program, begun)
                except InputError as error:
                    batch.failed.append((batch.begun.popleft()[0], error))
                    continue
                batch.tasks += [None] * count
                if count > 1:
                    problem, run = engine.empty(begun, count, sharding=self.spread)
                    batch.places = problem._replace(limit=problem.limit - 1), run
            k = batch.tasks.index(None)
            if len(batch.tasks) == 1:  # nothing is copied
                batch.places = begun
            else:
                batch.places = engine.fill(batch.places, jnp.int32(k), begun)
            task.done, task.resumed = task.resumed, -1  # -1: its start is evaluated first
            batch.tasks[k] = batch.begun.popleft()[0]
            batch.ticks = 2

    def _slots(self, program: Program, begun: Begun) -> int:
        """How many places a bucket has: decided once, because each number is a compile."""
        if program not in self.slot_counts:
            known = self.slots_of_names.get(name_of(program, self.devices) or "", 0)
            params = self.store.prepared_params(program)
            self._decide_slots(program, self.capacity.slots(program, params, begun, known=known))
        return self.slot_counts[program]

    def _decide_slots(self, program: Program, count: int) -> None:
        self.slot_counts[program], name = count, name_of(program, self.devices)
        if name is not None and self.slots_of_names.get(name) != count:
            self.slots_of_names[name] = count

    def _begin_ahead(self, queue: deque[Task], batch: _Batch, count: int, *, needed: bool = False) -> None:
        """Begins so many tasks; where memory is short, none but those that are `needed`."""
        while queue and len(batch.begun) < count:
            task = queue.popleft()
            self.store.prefetch(islice(queue, PREFETCH_TASKS))
            task.began = self.clock() if task.began is None else task.began
            before = self.clock()
            try:
                begun = self.store.begin(task)
                if self.keeper is not None and task.resumed >= 0:
                    begun = self.store.placed((begun[0], self.keeper.restore(begun[1])))
                batch.begun.append((task, begun))
                task.compile_seconds += self.clock() - before
            except (InputError, OSError) as error:
                batch.failed.append((task, error))
                return
            except (RuntimeError, MemoryError) as error:
                queue.appendleft(task)
                if needed or not is_out_of_memory(error):
                    raise
                return

    def _finish(self, batch: _Batch) -> Iterator[Result]:
        """Yields what has ended or failed; where a finer scale follows, that waits from now on."""
        while batch.failed:
            yield self._give_up(*batch.failed.pop())
        while batch.ended:
            result = self._end(*batch.ended.pop())
            if result is not None:
                self.in_flight -= 1
                yield result
        self._top_up()

    def _give_up(self, task: Task, error: Exception) -> Result:
        """A result without a picture."""
        if self.raises:
            raise error
        self.in_flight -= 1
        self.meter.skip(task, task.stage)
        return Result(None, name=task.job.name, config=task.config, error=str(error))

    def _end(self, task: Task, best: Array, loss: float, status: int) -> Result | None:
        """The result, or None where a finer scale follows."""
        scale, stopped = task.scale, status == -1
        image = np.asarray(best)[None, : scale.height, : scale.width]
        self.meter.done += task.cost(task.stage) - max(0, task.done) * task.pixels  # where it stopped early
        task.iterations += max(0, task.done)
        if task.stage + 1 < len(task.stages) and status != NOT_FINITE and not stopped:
            task.stage, task.start, task.done = task.stage + 1, image, -1
            self.ready.setdefault(task.program, deque()).append(task)
            if self.keeper is not None:
                self.keeper.keep(task, self._seconds(task))
            return None
        self.meter.skip(task, task.stage + 1)
        if stopped and task.stage + 1 < len(task.stages):  # as the finer scale would have begun
            image = self.store.enlarge(task, image, task.job.content.size)
        not_finite = status == NOT_FINITE and not self.raises
        return Result(
            image=self.store.finished(task, resize(image, *task.job.content.size, tileable=task.config.tileable)),
            loss=loss,
            iterations=task.iterations,
            evaluations=task.evaluations,
            seconds=self._seconds(task),
            compile_seconds=task.compile_seconds,
            stop_reason="stopped" if stopped else STOP_REASONS[status],
            history=tuple(task.history),
            weights=self.record,
            name=task.job.name,
            config=task.config,
            error="the loss left the finite numbers; lower the weights" if not_finite else "",
        )
