"""Many pairs: a batch advances in one device step, a finished image leaves, and the next takes its slot.

The host's side, by the plan of `jnst.schedule`; the device's is `jnst.engine`. Each image has its own history, line
search, stop and best iterate, so that the result is the single run's.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from jnst import minimize
from jnst.batching import Size, in_corner
from jnst.config import Config, check_for_batch
from jnst.engine import Bucket, Slot, advance, empty, fill, new_slot, peak_bytes
from jnst.errors import InputError
from jnst.io.image import resize
from jnst.io.weights import Weights
from jnst.losses import objective
from jnst.losses.objective import Spec
from jnst.measured import choose_many
from jnst.memory import resident
from jnst.network.vgg import Params, Region, prepare
from jnst.schedule import Job, Picture, Plan, Task, plan_of, style_size
from jnst.transfer import check_inputs, loss_weights, spec_of, start_image

WINDOW = 64  # jobs at work at a time, at least, and twice the slots: images wait on the host between two scales
AHEAD = 16  # tasks whose images are loaded before they are begun
READERS = 8  # images that are loaded at a time: in part by waiting, where they lie in an object store
CACHE_BYTES = 2**29  # of images, of content targets, and of style targets each
MOST = 64  # images in a batch
CPU_PIXELS = 2**15  # in a batch: with more, a CPU gains nothing
BYTES_A_PIXEL = 6000  # of one image's run, on the safe side: where that fits, the compiler need not be asked
SHARE = 0.9  # of the memory that a batch may take; the rest is for targets and images on their way


@dataclass(frozen=True)
class Result:
    """A job and its picture, or why there is none."""

    job: Job
    image: np.ndarray | None
    loss: float = float("nan")
    iterations: int = 0
    evaluations: int = 0
    stop_reason: str = ""
    error: str = ""


class Step(NamedTuple):
    """What the device is about to do."""

    bucket: Bucket
    slots: int
    """pictures at a time, on all devices"""
    compiles: bool
    """whether the program is new: compiled first, or read from the cache of compiled programs"""
    share: float
    """of the whole work, by pixels and iterations, that is done: 0 to 1"""


class _Begun(NamedTuple):
    """A task whose targets are computed, and what its slot is made of."""

    task: Task
    arguments: tuple[Any, ...]


class _Ended(NamedTuple):
    """A task that has left its slot, and what it found."""

    task: Task
    image: Array
    evaluations: int
    stop: int
    loss: float


@dataclass
class _Batch:
    """Who is at work in one bucket."""

    tasks: list[Task | None] = field(default_factory=list)
    """of each slot"""
    begun: deque[_Begun] = field(default_factory=deque)
    """that wait for a slot"""
    ended: list[_Ended] = field(default_factory=list)
    failed: list[tuple[Task, str]] = field(default_factory=list)


class _Cache:
    """The values last used, up to so many bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self.values: OrderedDict[Any, tuple[Any, int]] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self.values:
            value = make()
            size = sum(a.nbytes for a in jax.tree.leaves(value))
            self.values[key] = value, size
            self.used += size
            while self.used > self.limit and len(self.values) > 1:
                self.used -= self.values.popitem(last=False)[1][1]
        self.values.move_to_end(key)
        return self.values[key][0]


def stylize_many(
    jobs: Sequence[Job],
    params: Params | Weights,
    config: Config | None = None,
    *,
    mesh: Mesh | None = None,
    batch_size: int = 0,
    memory: int | None = None,
    tell: Callable[[Plan], None] = lambda plan: None,
    watch: Callable[[Step], None] = lambda step: None,
) -> Iterator[Result]:
    """Paints many pairs, several at a time; each result comes when it is done, in no fixed order.

    Args:
        jobs: what to paint.
        params: parameters of VGG-16 or VGG-19, or `Weights`.
        config: the settings of all jobs that have none of their own.
        mesh: devices that share each batch, along its one axis; one device by default.
        batch_size: images at a time on each device; 0: what the device uses well and `memory` holds.
        memory: bytes that a device may use; None: not known.
        tell: gets the plan, before any work.
        watch: gets every step, before it is taken; about one a chunk of at most 64 evaluations.

    Raises:
        InputError: settings that a batch cannot have, or a style image larger than the memory. What is wrong with one
            job's images is in its result instead.
    """
    normalized = isinstance(params, Weights) and bool(params.normalized)
    for own in {job.config or config or Config() for job in jobs}:
        check_for_batch(own, normalized=normalized)
    params = params.params if isinstance(params, Weights) else params
    jobs = choose_many(jobs, config or Config(), params)
    work = _Work(plan_of(jobs, config or Config()), params, mesh, batch_size, memory, watch)
    work.check_styles()
    tell(work.plan)
    return work.run()


class _Work:
    """What the jobs of one call share: parameters, targets, images."""

    def __init__(
        self, plan: Plan, params: Params, mesh: Mesh | None = None, batch_size: int = 0, memory: int | None = None,
        watch: Callable[[Step], None] = lambda step: None,
    ) -> None:  # fmt: skip
        self.plan, self.devices = plan, 1 if mesh is None else mesh.size
        self.mesh, self.batch_size, self.memory, self.watch = mesh, batch_size, memory, watch
        self.work, self.work_done = sum(task.work(k) for task in plan.tasks for k in range(len(task.stages))), 0
        self.compiled: set[tuple[Bucket, int]] = set()
        self.everywhere = None if mesh is None else NamedSharding(mesh, PartitionSpec())
        self.spread = None if mesh is None else NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        self.params = jax.device_put(params, self.everywhere)
        self.fast: dict[Any, Params] = {}
        self.contents, self.styles, self.pictures = _Cache(CACHE_BYTES), _Cache(CACHE_BYTES), _Cache(CACHE_BYTES)
        self.pool = ThreadPoolExecutor(READERS)
        self.coming: dict[Any, Future] = {}
        self.unused = deque(plan.tasks)
        self.ready: dict[Bucket, deque[Task]] = {}
        self.slot_counts: dict[Bucket, int] = {}
        self.working = 0

    def run(self) -> Iterator[Result]:
        """All results, bucket by bucket, the one that most tasks wait for first."""
        try:
            while self.top_up():
                bucket = max(self.ready, key=lambda bucket: len(self.ready[bucket]))
                yield from self.drain(bucket)
                if not self.ready[bucket]:
                    del self.ready[bucket]
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def check_styles(self) -> None:
        """Raises InputError for the largest style image where the network does not see it within the memory."""
        canvas = self.plan.style_canvases
        last = ((canvas[style_size(task.job, task.stages[-1][0])], spec_of(task.config)) for task in self.plan.tasks)
        size, spec = max(last, key=lambda found: found[0][0] * found[0][1], default=((0, 0), None))
        if self.memory is None or BYTES_A_PIXEL * size[0] * size[1] < self.memory // 2:
            return
        image, region = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32), jax.eval_shape(lambda: Region.of(1, *size))
        program = objective.style_target.lower(self.params, image, spec=spec, region=region).compile()
        found: Any = program.memory_analysis()
        whole = sum(a.nbytes for a in jax.tree.leaves(self.params))
        need = whole + found.temp_size_in_bytes + found.output_size_in_bytes
        if need > SHARE * self.memory:
            given = f"{size[1]}x{size[0]} pixels needs {need / 1e9:.1f} GB, there are {self.memory / 1e9:.1f}"
            raise InputError(f"a style of {given}; give a smaller --style-scale or --image-size")

    def top_up(self) -> bool:
        """Brings new jobs to work, as many as the window holds; whether there is any work."""
        window = max(WINDOW, 2 * self.devices * (self.batch_size or MOST))
        while self.unused and self.working < window:
            task = self.unused.popleft()
            self.working += 1
            self.ready.setdefault(task.bucket, deque()).append(task)
        return bool(self.ready)

    def slots_of(self, bucket: Bucket, slot: Slot) -> int:
        """How many images at a time, on all devices: decided once a bucket, because each number is a compile."""
        if bucket not in self.slot_counts:
            pixels = bucket.canvas[0] * bucket.canvas[1]
            most = min(MOST, max(1, CPU_PIXELS // pixels)) if jax.default_backend() == "cpu" else MOST
            share = -(-self.plan.buckets[bucket] // self.devices)  # of one device
            waves = -(-share // most)
            count = self.batch_size or -(-share // waves)  # so that the last wave is as full as the others
            while not self.fits(bucket, slot, count):
                if count == 1:
                    height, width = bucket.canvas
                    raise InputError(f"{width}x{height} pixels need more than {(self.memory or 0) / 1e9:.1f} GB; "
                                     "give a smaller --image-size, or paint it alone, which takes less")  # fmt: skip
                count //= 2
            self.slot_counts[bucket] = self.devices * count
        return self.slot_counts[bucket]

    def fits(self, bucket: Bucket, slot: Slot, count: int) -> bool:
        """Whether so many slots on each device stay within the memory, by the compiled program where it is close."""
        if self.memory is None or count * BYTES_A_PIXEL * bucket.canvas[0] * bucket.canvas[1] < self.memory // 2:
            return True
        peak = peak_bytes(bucket, self.mesh, self.fast_params(bucket), slot, self.devices * count)
        return peak + (resident() if jax.default_backend() == "cpu" else 0) < SHARE * self.memory

    def drain(self, bucket: Bucket) -> Iterator[Result]:
        """Runs the tasks of one bucket until none waits; where the device's memory does not last, fewer at a time."""
        queue = self.ready[bucket]
        while queue:
            batch = _Batch()
            try:
                yield from self.fill_and_advance(bucket, queue, batch)
            except RuntimeError as error:
                if not _exhausted(error):
                    raise
                yield from self.finish(batch)
                at_work = [task for task in batch.tasks if task]
                self.work_done -= sum(max(0, task.done) * task.pixels for task in at_work)
                fewer = len(batch.tasks) > self.devices
                if fewer:
                    self.slot_counts[bucket] = max(self.devices, len(batch.tasks) // 2)
                    queue.extendleft(reversed(at_work))
                queue.extendleft(reversed([begun.task for begun in batch.begun]))
                for task in () if fewer else at_work or [queue.popleft()]:
                    yield self.give_up(task, "not enough memory; give a smaller --image-size")

    def fill_and_advance(self, bucket: Bucket, queue: deque[Task], batch: _Batch) -> Iterator[Result]:
        """Advances all slots of a batch until none is taken.

        While the device works, the host finishes what the step before has ended and begins what may follow this one.
        """
        slots: Any = None
        while True:
            slots = self.place(bucket, queue, batch, slots)
            if not any(batch.tasks):
                yield from self.finish(batch)
                if not queue:  # to which a finer scale may have come
                    return
                continue
            left = [task.scale.iterations - task.done for task in batch.tasks if task]
            ticks = max(1, min(minimize.CHUNK, *left))
            self.announce(bucket, len(batch.tasks))
            slots = advance(bucket, self.mesh, self.fast_params(bucket), slots, jnp.int32(ticks))
            yield from self.finish(batch)
            self.begin_ahead(queue, batch, sum(n <= ticks for n in left))  # as many as may end
            state = slots.state
            counts = [np.asarray(a) for a in (state.iter_num, state.num_fun_eval, state.stop, slots.best)]
            for k, task in enumerate(batch.tasks):
                if task is None:
                    continue
                before = max(0, task.done)
                task.done, evaluations, stop, loss = (count[k].item() for count in counts)
                self.work_done += (task.done - before) * task.pixels
                if task.done >= task.scale.iterations or stop != minimize.RUNNING:
                    batch.ended.append(_Ended(task, slots.best_x[k], evaluations, stop, loss))
                    batch.tasks[k] = None

    def announce(self, bucket: Bucket, slots: int) -> None:
        """Tells of the step that comes."""
        new = (bucket, slots) not in self.compiled
        self.compiled.add((bucket, slots))
        self.watch(Step(bucket, slots, new, self.work_done / max(1, self.work)))

    def place(self, bucket: Bucket, queue: deque[Task], batch: _Batch, slots: Any) -> Any:
        """The slots, those that were free taken by what was begun, or waits."""
        while (batch.begun or queue) and (slots is None or None in batch.tasks):
            if not batch.begun:
                self.begin_ahead(queue, batch, 1, needed=True)
                continue
            begun = batch.begun[0]
            slot = new_slot(bucket, *begun.arguments)
            if slots is None:
                try:
                    count = self.slots_of(bucket, slot)
                except InputError as error:
                    batch.failed.append((batch.begun.popleft().task, str(error)))
                    continue
                slots = empty(slot, count, self.spread)
                batch.tasks += [None] * count
            k = batch.tasks.index(None)
            slots = fill(slots, jnp.int32(k), slot)
            begun.task.done = -1  # its start is evaluated first
            batch.tasks[k] = batch.begun.popleft().task
        return slots

    def begin_ahead(self, queue: deque[Task], batch: _Batch, count: int, *, needed: bool = False) -> None:
        """Begins so many tasks; where memory is short, none but those that are `needed`."""
        while queue and len(batch.begun) < count:
            task = queue.popleft()
            self.prefetch(queue)
            try:
                batch.begun.append(_Begun(task, self.begin(task)))
            except (InputError, OSError) as error:
                batch.failed.append((task, str(error)))
                return
            except RuntimeError as error:
                queue.appendleft(task)
                if needed or not _exhausted(error):
                    raise
                return

    def finish(self, batch: _Batch) -> Iterator[Result]:
        """The results of what has ended or failed; where a finer scale follows, that waits from now on."""
        while batch.failed:
            yield self.give_up(*batch.failed.pop())
        while batch.ended:
            result = self.end(batch.ended.pop())
            if result is not None:
                self.working -= 1
                yield result
        self.top_up()

    def give_up(self, task: Task, reason: str) -> Result:
        """A result without a picture."""
        self.working -= 1
        self.work_done += sum(task.work(stage) for stage in range(task.stage, len(task.stages)))
        return Result(task.job, None, error=reason)

    def fast_params(self, bucket: Bucket) -> Params:
        key = (bucket.spec.layers, bucket.spec.precision, bucket.spec.checkpoint)
        if key not in self.fast:
            plain = bucket.spec.checkpoint
            self.fast[key] = self.params if plain else prepare(self.params, *key[:2])
        return self.fast[key]

    def begin(self, task: Task) -> tuple[Any, ...]:
        """What a slot for the task's scale is made of: the arguments of `new_slot`, on their way to the device."""
        scale, bucket = task.scale, task.bucket
        job, config, size = task.job, task.config, (scale.height, scale.width)
        content, style = self.picture(job.content), self.picture(job.style)
        if task.stage == 0:
            check_inputs(content, style, config, self.params)
            task.start = np.asarray(start_image(content, style, config, None), np.float32)
        assert task.start is not None
        region = Region.of(1, *size) if bucket.masked else None
        maps = self.contents.get(
            (job.content.key, size, bucket.canvas, bucket.spec),
            lambda: objective.content_target(
                self.params, self.canvas(resize(content, *size), bucket.canvas), spec=bucket.spec, region=region
            ),
        )
        small = style_size(job, scale)
        grams = self.styles.get(
            (job.style.key, small, bucket.spec), lambda: self.style_target(resize(style, *small), small, bucket.spec)
        )
        target = tuple(objective.Statistics({} if k else maps, gram) for k, gram in enumerate(grams))
        weights = loss_weights(config, target, region)
        start = self.canvas(resize(task.start, *size), bucket.canvas)
        return start, target, weights, jnp.asarray(size, jnp.int32), jnp.int32(scale.iterations)

    def style_target(self, style: np.ndarray, size: Size, spec: Spec) -> Any:
        canvas = self.plan.style_canvases[size]
        return objective.style_target(self.params, self.canvas(style, canvas), spec=spec, region=Region.of(1, *size))

    def canvas(self, image: np.ndarray, canvas: Size) -> Array:
        """The image in the corner of its canvas."""
        return jax.device_put(in_corner(image, canvas), self.everywhere)

    def picture(self, picture: Picture) -> np.ndarray:
        future = self.coming.pop(picture.key, None)
        return self.pictures.get(picture.key, future.result if future else picture.load)

    def prefetch(self, queue: deque[Task]) -> None:
        """Loads what the next tasks need, by other threads."""
        for task in islice(queue, AHEAD):
            for picture in (task.job.content, task.job.style):
                if picture.key not in self.pictures.values and picture.key not in self.coming:
                    self.coming[picture.key] = self.pool.submit(picture.load)

    def end(self, ended: _Ended) -> Result | None:
        """The result, or None where a finer scale follows."""
        task, scale, stop = ended.task, ended.task.scale, ended.stop
        image = np.asarray(ended.image)[:, : scale.height, : scale.width]
        self.work_done += task.work(task.stage) - task.done * task.pixels  # where it stopped early
        task.iterations += task.done
        task.evaluations += ended.evaluations
        if task.stage + 1 < len(task.stages) and stop != minimize.NOT_FINITE:
            task.stage, task.start = task.stage + 1, image
            self.ready.setdefault(task.bucket, deque()).append(task)
            return None
        self.work_done += sum(task.work(stage) for stage in range(task.stage + 1, len(task.stages)))  # never begun
        image = resize(image, *task.job.content.size)
        counts = task.iterations, task.evaluations, minimize.STOP_REASONS[stop]
        error = "the loss left the finite numbers; lower the weights" if stop == minimize.NOT_FINITE else ""
        return Result(task.job, image, ended.loss, *counts, error)


def _exhausted(error: RuntimeError) -> bool:
    """Whether the device's memory did not last, as XLA says it on every backend."""
    return "RESOURCE_EXHAUSTED" in str(error)
