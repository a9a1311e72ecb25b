"""Many pairs: a batch advances in one device step, a finished image leaves, and the next takes its slot.

The host's side: which job goes into which bucket (`jnst.buckets`) and when; the device's is `jnst.slots`. Each image
has its own history, line search, stop and best iterate, so that the result is the single run's.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from jnst import minimize, objective
from jnst.architecture import MIN_SIDE
from jnst.buckets import Size, canvases
from jnst.config import Config, check_for_batch
from jnst.errors import InputError
from jnst.memory import resident
from jnst.objective import Spec
from jnst.resample import resize
from jnst.scales import Scale, scales
from jnst.slots import Bucket, Slot, advance, empty, fill, new_slot, peak_bytes
from jnst.transfer import check_inputs, loss_weights, spec_of, start_image
from jnst.vgg import Params, Region, prepare
from jnst.weights import Weights

WINDOW = 64  # jobs at work at a time, at least: their images wait on the host between two scales
CACHE_BYTES = 2**29  # of images, of content targets, and of style targets each
MOST = 64  # images in a batch
CPU_PIXELS = 2**15  # in a batch: with more, a CPU gains nothing
BYTES_A_PIXEL = 6000  # of one image's run, on the safe side: where that fits, the compiler need not be asked
SHARE = 0.9  # of the memory that a batch may take; the rest is for targets and images on their way


@dataclass(frozen=True)
class Picture:
    """An image that is loaded when it is needed: float, (1, h, w, 3), RGB in [0, 1]."""

    key: Hashable
    """equal for equal images: what is computed from one is computed once"""
    size: Size
    """(height, width) in pixels"""
    load: Callable[[], np.ndarray]

    @classmethod
    def of(cls, image: Any) -> "Picture":
        """An image at hand."""
        return cls(("array", id(image)), (image.shape[1], image.shape[2]), lambda: np.asarray(image, np.float32))


@dataclass(frozen=True)
class Job:
    """One picture to paint; `name` is the caller's."""

    content: Picture
    style: Picture
    config: Config | None = None
    """None: the config of all"""
    name: Any = None


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


@dataclass(frozen=True)
class Plan:
    """How the jobs are computed, known before any work."""

    buckets: list[Bucket]
    waste: float
    """share of the computed pixels that lies outside the images"""


@dataclass
class _Task:
    """One scale of one job."""

    job: Job
    config: Config
    stages: list[tuple[Scale, Bucket]]
    stage: int = 0
    start: np.ndarray | None = None
    """what the scale before has found; kept until the next one has, for another try with fewer at a time"""
    iterations: int = 0
    evaluations: int = 0

    @property
    def bucket(self) -> Bucket:
        return self.stages[self.stage][1]


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

    Raises:
        InputError: settings that a batch cannot have, or a style image larger than the memory. What is wrong with one
            job's images is in its result instead.
    """
    normalized = isinstance(params, Weights) and bool(params.normalized)
    for own in {job.config or config or Config() for job in jobs}:
        check_for_batch(own, normalized=normalized)
    params = params.params if isinstance(params, Weights) else params
    return _Work(params, mesh, batch_size, memory).run(jobs, config or Config(), tell)


class _Work:
    """What the jobs of one call share: parameters, targets, images."""

    def __init__(self, params: Params, mesh: Mesh | None, batch_size: int, memory: int | None) -> None:
        self.mesh, self.batch_size, self.memory = mesh, batch_size, memory
        self.place = None if mesh is None else NamedSharding(mesh, PartitionSpec())
        self.spread = None if mesh is None else NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        self.params = jax.device_put(params, self.place)
        self.fast: dict[Any, Params] = {}
        self.contents, self.styles, self.pictures = _Cache(CACHE_BYTES), _Cache(CACHE_BYTES), _Cache(CACHE_BYTES)
        self.pool = ThreadPoolExecutor(2)
        self.coming: dict[Any, Future] = {}
        self.style_canvas: dict[Size, Size] = {}
        self.unused: deque[_Task] = deque()
        self.ready: dict[Bucket, deque[_Task]] = {}
        self.totals: Counter[Bucket] = Counter()
        self.slot_counts: dict[Bucket, int] = {}
        self.working = 0

    def run(self, jobs: Sequence[Job], config: Config, tell: Callable[[Plan], None]) -> Iterator[Result]:
        """All results, bucket by bucket, the one that most tasks wait for first."""
        tasks, plan = self.plan(jobs, config)
        tell(plan)
        self.unused = deque(tasks)
        try:
            while self.top_up():
                bucket = max(self.ready, key=lambda bucket: len(self.ready[bucket]))
                yield from self.drain(bucket)
                if not self.ready[bucket]:
                    del self.ready[bucket]
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def plan(self, jobs: Sequence[Job], config: Config) -> tuple[list[_Task], Plan]:
        """Every job's scales and their buckets."""
        found: list[tuple[Job, Config, list[Scale]]] = []
        counts: dict[Any, dict[Size, int]] = {}
        styles: dict[Size, int] = {}
        for job in jobs:
            own = job.config or config
            stages = scales(*job.content.size, own.iterations, own.scales)
            found.append((job, own, stages))
            for scale in stages:
                sizes = counts.setdefault(self._kind(job, own, scale), {})
                sizes[scale.height, scale.width] = sizes.get((scale.height, scale.width), 0) + 1
                size = _style_size(job, scale)
                styles[size] = styles.get(size, 0) + 1
        self.style_canvas = canvases(styles)
        if found:
            self.check_styles(found)
        canvas = {kind: canvases(sizes) for kind, sizes in counts.items()}
        whole = {
            (kind, c): len({size for size in sizes if canvas[kind][size] == c}) == 1
            for kind, sizes in counts.items() for c in canvas[kind].values()
        }  # fmt: skip
        tasks = []
        for job, own, stages in found:
            buckets = []
            for scale in stages:
                kind = self._kind(job, own, scale)
                size = canvas[kind][scale.height, scale.width]
                buckets.append((scale, Bucket(size, not whole[kind, size], *kind)))
            tasks.append(_Task(job, own, buckets))
        self.totals.update(bucket for task in tasks for _, bucket in task.stages)
        pixels = [(s.height * s.width, b.canvas[0] * b.canvas[1]) for task in tasks for s, b in task.stages]
        waste = 1 - sum(p for p, _ in pixels) / max(1, sum(c for _, c in pixels))
        return tasks, Plan(list(dict.fromkeys(b for task in tasks for _, b in task.stages)), waste)

    def check_styles(self, jobs: list[tuple[Job, Config, list[Scale]]]) -> None:
        """Raises InputError for the largest style image where the network does not see it within the memory."""
        size, spec = max(
            ((self.style_canvas[_style_size(job, stages[-1])], spec_of(own)) for job, own, stages in jobs),
            key=lambda found: found[0][0] * found[0][1],
        )
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

    def _kind(self, job: Job, config: Config, scale: Scale) -> tuple[Any, ...]:
        """What but the canvas decides the bucket."""
        shortest = min(scale.height, scale.width, *_style_size(job, scale))
        spec = spec_of(config)
        spec = replace(spec, style_sizes=objective.sizes(shortest, spec.style_sizes))
        return spec, config.layer_weights(), config.history_size, config.history_dtype

    def top_up(self) -> bool:
        """Brings new jobs to work, as many as the window holds; whether there is any work."""
        window = max(WINDOW, 4 * self.batch_size)
        while self.unused and self.working < window:
            task = self.unused.popleft()
            self.working += 1
            self.ready.setdefault(task.bucket, deque()).append(task)
        return bool(self.ready)

    def slots_of(self, bucket: Bucket, slot: Slot) -> int:
        """How many images at a time, on all devices: decided once a bucket, because each number is a compile."""
        if bucket not in self.slot_counts:
            devices = 1 if self.mesh is None else self.mesh.size
            pixels = bucket.canvas[0] * bucket.canvas[1]
            count = max(1, CPU_PIXELS // pixels) if jax.default_backend() == "cpu" else MOST
            count = min(count, MOST, -(-self.totals[bucket] // devices))
            count = self.batch_size or 2 ** (count.bit_length() - 1)
            while not self.fits(bucket, slot, count):
                if count == 1:
                    height, width = bucket.canvas
                    raise InputError(f"{width}x{height} pixels need more than {(self.memory or 0) / 1e9:.1f} GB; "
                                     "give a smaller --image-size, or paint it alone, which takes less")  # fmt: skip
                count //= 2
            self.slot_counts[bucket] = devices * count
        return self.slot_counts[bucket]

    def fits(self, bucket: Bucket, slot: Slot, count: int) -> bool:
        """Whether so many slots on each device stay within the memory, by the compiled program where it is close."""
        if self.memory is None or count * BYTES_A_PIXEL * bucket.canvas[0] * bucket.canvas[1] < self.memory // 2:
            return True
        devices = 1 if self.mesh is None else self.mesh.size
        peak = peak_bytes(bucket, self.mesh, self.fast_params(bucket), slot, devices * count)
        return peak + (resident() if jax.default_backend() == "cpu" else 0) < SHARE * self.memory

    def drain(self, bucket: Bucket) -> Iterator[Result]:
        """Runs the tasks of one bucket until none waits; where the device's memory does not last, fewer at a time."""
        queue = self.ready[bucket]
        while queue:
            tasks: list[_Task | None] = []
            try:
                yield from self.fill_and_advance(bucket, queue, tasks)
            except RuntimeError as error:  # XLA's, on every backend
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                devices = 1 if self.mesh is None else self.mesh.size
                again = [task for task in tasks if task]
                if len(tasks) > devices:
                    self.slot_counts[bucket] = max(devices, len(tasks) // 2)
                    queue.extendleft(reversed(again))
                    continue
                for task in again or [queue.popleft()]:
                    self.working -= 1
                    yield Result(task.job, None, error="not enough memory; give a smaller --image-size")

    def fill_and_advance(self, bucket: Bucket, queue: deque[_Task], tasks: list[_Task | None]) -> Iterator[Result]:
        """Advances all slots of a batch until none is taken; `tasks` tells who is at work in each."""
        slots: Any = None
        done: list[int] = []  # iterations of each
        while True:
            while queue and (not tasks or None in tasks):
                task = queue.popleft()
                try:
                    slot = self.begin(task)
                    count = self.slots_of(bucket, slot)
                except (InputError, OSError) as error:
                    self.working -= 1
                    yield Result(task.job, None, error=str(error))
                    continue
                except RuntimeError:
                    queue.appendleft(task)
                    raise
                if slots is None:
                    slots, done = empty(slot, count, self.spread), [-1] * count
                    tasks += [None] * count
                k = tasks.index(None)
                tasks[k], done[k] = task, -1
                slots = fill(slots, jnp.int32(k), slot)
            if slots is None or not any(tasks):
                return
            left = [task.stages[task.stage][0].iterations - done[k] for k, task in enumerate(tasks) if task]
            ticks = jnp.int32(max(1, min(minimize.CHUNK, *left)))
            slots = advance(bucket, self.mesh, self.fast_params(bucket), slots, ticks)
            self.prefetch(queue)
            iterations, stops = (np.asarray(a) for a in (slots.state.iter_num, slots.state.stop))
            for k, task in enumerate(tasks):
                if task is None:
                    continue
                limit = task.stages[task.stage][0].iterations
                if iterations[k] >= limit or stops[k] != minimize.RUNNING:
                    result = self.end(task, slots, k)
                    tasks[k] = None
                    if result is not None:
                        self.working -= 1
                        yield result
                        self.top_up()
                else:
                    done[k] = int(iterations[k])

    def fast_params(self, bucket: Bucket) -> Params:
        key = (bucket.spec.layers, bucket.spec.precision, bucket.spec.checkpoint)
        if key not in self.fast:
            plain = bucket.spec.checkpoint
            self.fast[key] = self.params if plain else prepare(self.params, *key[:2])
        return self.fast[key]

    def begin(self, task: _Task) -> Slot:
        """The slot of a task's scale."""
        scale, bucket = task.stages[task.stage]
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
        small = _style_size(job, scale)
        grams = self.styles.get(
            (job.style.key, small, bucket.spec), lambda: self.style_target(resize(style, *small), small, bucket.spec)
        )
        target = tuple(objective.Statistics({} if k else maps, gram) for k, gram in enumerate(grams))
        weights = loss_weights(config, target, region)
        start = self.canvas(resize(task.start, *size), bucket.canvas)
        arguments = jnp.asarray(size, jnp.int32), jnp.int32(scale.iterations)
        return new_slot(bucket, start, target, weights, *arguments)

    def style_target(self, style: np.ndarray, size: Size, spec: Spec) -> Any:
        canvas = self.style_canvas[size]
        return objective.style_target(self.params, self.canvas(style, canvas), spec=spec, region=Region.of(1, *size))

    def canvas(self, image: np.ndarray, canvas: Size) -> Array:
        """The image in the corner of its canvas."""
        below, beside = canvas[0] - image.shape[1], canvas[1] - image.shape[2]
        return jax.device_put(np.pad(image, ((0, 0), (0, below), (0, beside), (0, 0))), self.place)

    def picture(self, picture: Picture) -> np.ndarray:
        future = self.coming.pop(picture.key, None)
        return self.pictures.get(picture.key, future.result if future else picture.load)

    def prefetch(self, queue: deque[_Task]) -> None:
        """Loads what the next tasks need, while the device works."""
        for task in list(queue)[:4]:
            for picture in (task.job.content, task.job.style):
                if picture.key not in self.pictures.values and picture.key not in self.coming:
                    self.coming[picture.key] = self.pool.submit(picture.load)

    def end(self, task: _Task, slots: Slot, k: int) -> Result | None:
        """The result, or None where a finer scale follows."""
        scale = task.stages[task.stage][0]
        image = np.asarray(slots.best_x[k])[:, : scale.height, : scale.width]
        task.iterations += int(slots.state.iter_num[k])
        task.evaluations += int(slots.state.num_fun_eval[k])
        stop = int(slots.state.stop[k])
        if task.stage + 1 < len(task.stages) and stop != minimize.NOT_FINITE:
            task.stage, task.start = task.stage + 1, image
            self.ready.setdefault(task.bucket, deque()).append(task)
            return None
        image, loss = resize(image, *task.job.content.size), float(slots.best[k])
        counts = task.iterations, task.evaluations, minimize.STOP_REASONS[stop]
        error = "the loss left the finite numbers; lower the weights" if stop == minimize.NOT_FINITE else ""
        return Result(task.job, image, loss, *counts, error)


def _style_size(job: Job, scale: Scale) -> Size:
    """Of the style image at that scale."""
    height = job.content.size[0]
    down, across = (max(MIN_SIDE, round(side * scale.height / height)) for side in job.style.size)
    return down, across
