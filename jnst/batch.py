"""Many pairs: a batch advances in one device step, a finished image leaves, and the next takes its slot.

Images of different sizes share compiled programs: each lies in the corner of a canvas (`jnst.buckets`), every map is
masked to its image (`vgg.Region`), and the solver moves no pixel beyond it, so that the result is the single run's.
Each image has its own history, line search, stop and best iterate; what they share is the evaluation: one step of the
device evaluates every slot once, whether its search wants a shorter step or a new iteration begins (`LBFGSB.ask`).
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from jnst import minimize, objective
from jnst.architecture import MIN_SIDE
from jnst.buckets import Size, canvases
from jnst.config import Config
from jnst.errors import InputError
from jnst.lbfgsb import LBFGSB, LBFGSBState, Search
from jnst.objective import LossWeights, Spec
from jnst.preconditioner import Part, Spectral, part_of
from jnst.resample import resize
from jnst.scales import Scale, scales
from jnst.transfer import check_inputs, loss_weights, spec_of, start_image
from jnst.vgg import Params, Region, prepare
from jnst.weights import Weights

WINDOW = 64  # jobs at work at a time, at least: their images wait on the host between two scales
CACHE_BYTES = 2**29  # of images, of content targets, and of style targets each
MOST = 64  # images in a batch
CPU_PIXELS = 2**15  # in a batch: with more, a CPU gains nothing
BYTES_A_PIXEL = 6000  # of one image's run, on the safe side: see docs/batch.md


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


class Bucket(NamedTuple):
    """What images must have in common to share a compiled program."""

    canvas: Size
    masked: bool
    """whether an image may be smaller than the canvas"""
    spec: Spec
    layer_weights: tuple[float, ...]
    history_size: int
    history_dtype: str


@dataclass(frozen=True)
class Plan:
    """How the jobs are computed, known before any work."""

    buckets: list[Bucket]
    waste: float
    """share of the computed pixels that lies outside the images"""


class Slot(NamedTuple):
    """One place of a batch: a run, and what it is matched with. In a batch every leaf has one more axis in front."""

    x: Float[Array, "1 h w 3"]
    state: LBFGSBState
    search: Search
    best_x: Float[Array, "1 h w 3"]
    best: Float[Array, ""]
    target: objective.Targets
    weights: LossWeights
    size: Int[Array, " 2"]
    limit: Int[Array, ""]
    """iterations to do; -1: the slot is empty"""


def _solver(bucket: Bucket, part: Part | None) -> LBFGSB:
    """That of one slot, for who evaluates himself."""

    def shapes_only(x: Array) -> Any:
        return (jnp.zeros(()), None), x

    return LBFGSB(
        shapes_only, value_and_grad=True, has_aux=True, history_size=bucket.history_size,
        history_dtype=jnp.dtype(bucket.history_dtype),
        preconditioner=Spectral(part),
    )  # fmt: skip


def _bounds(slot: Slot) -> tuple[Array, Array]:
    """The box, shut beyond the image."""
    inside = Region.of(1, slot.size[0], slot.size[1]).mask(slot.x.shape, 1)
    return jnp.zeros_like(slot.x), jnp.broadcast_to(inside, slot.x.shape).astype(slot.x.dtype)


def _ask(bucket: Bucket, slot: Slot) -> Float[Array, "1 h w 3"]:
    return _solver(bucket, None).ask(slot.x, slot.state, slot.search, _bounds(slot))


def _tell(bucket: Bucket, slot: Slot, part: Part | None, value: Array, gradient: Array) -> Slot:
    """What follows from the evaluation of one slot's point."""
    evaluated = value, gradient[None], None
    x, state, search = _solver(bucket, part).tell(slot.x, slot.state, slot.search, evaluated, _bounds(slot))
    better = state.value < slot.best
    new = slot._replace(
        x=x, state=state, search=search, best_x=jnp.where(better, x, slot.best_x),
        best=jnp.minimum(state.value, slot.best),
    )  # fmt: skip
    active = (slot.state.iter_num < slot.limit) & (slot.state.stop == minimize.RUNNING)
    return jax.tree.map(partial(jnp.where, active), new, slot)


def _tick(bucket: Bucket, params: Params, parts: Part | None, slots: Slot) -> Slot:
    """One evaluation of all slots, and what follows from it for each."""
    points = jax.vmap(partial(_ask, bucket))(slots)[:, 0]
    count, (heights, widths) = len(points), slots.size.T
    region = Region(jnp.zeros_like(heights), jnp.zeros_like(heights), heights, widths) if bucket.masked else None
    target = jax.tree.map(lambda a: a.reshape(count, *a.shape[2:]), slots.target)
    weights = slots.weights._replace(style_layers=jnp.asarray(bucket.layer_weights))
    losses, gradients = objective.value_and_grad(params, points, target, weights, spec=bucket.spec, region=region)
    return jax.vmap(partial(_tell, bucket))(slots, parts, losses.total, gradients)


@partial(jax.jit, static_argnames=("bucket", "mesh"), donate_argnames="slots")
def _advance(bucket: Bucket, mesh: Mesh | None, params: Params, slots: Slot, count: Int[Array, ""]) -> Slot:
    """So many evaluations of every slot; over several devices each has its own slots."""

    def run(params: Params, slots: Slot, count: Array) -> Slot:
        parts = jax.vmap(partial(part_of, bucket.canvas))(slots.size) if bucket.masked else None
        return lax.fori_loop(0, count, lambda _, slots: _tick(bucket, params, parts, slots), slots)

    if mesh is None:
        return run(params, slots, count)
    batch, whole = PartitionSpec(mesh.axis_names[0]), PartitionSpec()
    split = jax.shard_map(run, mesh=mesh, in_specs=(whole, batch, whole), out_specs=batch, check_vma=False)
    return split(params, slots, count)


@partial(jax.jit, static_argnames="bucket")
def _new_slot(bucket: Bucket, x: Array, target: Any, weights: Any, size: Array, limit: Array) -> Slot:
    """A run from x that has evaluated nothing."""
    unknown = jnp.full((), jnp.inf)
    slot = Slot(x, None, None, x, unknown, target, weights, size, limit)  # pyright: ignore[reportArgumentType]
    solver = _solver(bucket, part_of(bucket.canvas, size) if bucket.masked else None)
    state = solver.blank_state(x)
    return slot._replace(state=state, search=solver.begin(x, state, _bounds(slot)))


@partial(jax.jit, donate_argnames="slots")
def _fill(slots: Slot, k: Int[Array, ""], slot: Slot) -> Slot:
    return jax.tree.map(lambda all_, one: all_.at[k].set(one), slots, slot)


@dataclass
class _Task:
    """One scale of one job."""

    job: Job
    config: Config
    stages: list[tuple[Scale, Bucket]]
    stage: int = 0
    start: np.ndarray | None = None
    """what the scale before has found"""
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
        InputError: settings that a batch cannot have. What is wrong with one job's images is in its result instead.
    """
    params = params.params if isinstance(params, Weights) else params
    return _Work(params, mesh, batch_size, memory).run(jobs, config or Config(), tell)


def check_config(config: Config) -> None:
    """Raises InputError for an optimiser, a start or a way of computing that is for single pictures."""
    if config.optimizer != "lbfgsb":
        raise InputError(f"--optimizer {config.optimizer} paints single pictures only; a batch needs lbfgsb")
    if spec_of(config).tile:
        raise InputError(f"--tile {config.tile} is for single pictures; give 0 or auto for a batch")
    if config.init not in ("content", "style", "noise"):
        raise InputError(f"--init {config.init} is for single pictures; a batch needs content, style or noise")


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
        self.working = 0

    def run(self, jobs: Sequence[Job], config: Config, tell: Callable[[Plan], None]) -> Iterator[Result]:
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
        for own in {job.config or config for job in jobs}:
            check_config(own)
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
        pixels = [(s.height * s.width, b.canvas[0] * b.canvas[1]) for task in tasks for s, b in task.stages]
        waste = 1 - sum(p for p, _ in pixels) / max(1, sum(c for _, c in pixels))
        return tasks, Plan(list(dict.fromkeys(b for task in tasks for _, b in task.stages)), waste)

    def _kind(self, job: Job, config: Config, scale: Scale) -> tuple[Any, ...]:
        """What but the canvas decides the bucket."""
        shortest = min(scale.height, scale.width, *_style_size(job, scale))
        spec = replace(spec_of(config), style_sizes=objective.sizes(shortest, config.style_sizes))
        return spec, config.layer_weights(), config.history_size, config.history_dtype

    def top_up(self) -> bool:
        """Brings new jobs to work, as many as the window holds; whether there is any work."""
        window = max(WINDOW, 4 * self.batch_size)
        while self.unused and self.working < window:
            task = self.unused.popleft()
            self.working += 1
            self.ready.setdefault(task.bucket, deque()).append(task)
        return bool(self.ready)

    def slots_of(self, bucket: Bucket, waiting: int) -> int:
        """How many images at a time, on all devices."""
        devices = 1 if self.mesh is None else self.mesh.size
        if self.batch_size:
            return devices * self.batch_size
        pixels = bucket.canvas[0] * bucket.canvas[1]
        count = max(1, CPU_PIXELS // pixels) if jax.default_backend() == "cpu" else MOST
        count = min(count, MOST, max(1, int(0.8 * (self.memory or 2**62)) // (BYTES_A_PIXEL * pixels)))
        count = min(count, -(-waiting // devices))
        return devices * 2 ** (count.bit_length() - 1)  # few different numbers: each is a compile

    def drain(self, bucket: Bucket) -> Iterator[Result]:
        """Runs the tasks of one bucket until none waits."""
        queue = self.ready[bucket]
        count = self.slots_of(bucket, len(queue))
        slots: Any = None
        tasks: list[_Task | None] = [None] * count
        done = [-1] * count  # iterations of each
        while True:
            for k in range(count):
                while queue and tasks[k] is None:
                    task = queue.popleft()
                    try:
                        slot = self.begin(task)
                    except (InputError, OSError) as error:
                        self.working -= 1
                        yield Result(task.job, None, error=str(error))
                        continue
                    tasks[k], done[k] = task, -1
                    slots = self.empty(slot, count) if slots is None else slots
                    slots = _fill(slots, jnp.int32(k), slot)
            if slots is None or not any(tasks):
                return
            left = [task.stages[task.stage][0].iterations - done[k] for k, task in enumerate(tasks) if task]
            ticks = jnp.int32(max(1, min(minimize.CHUNK, *left)))
            slots = _advance(bucket, self.mesh, self.fast_params(bucket), slots, ticks)
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

    def empty(self, slot: Slot, count: int) -> Slot:
        """Slots in which nothing happens."""
        slots = jax.tree.map(lambda a: jnp.zeros((count, *a.shape), a.dtype), slot)
        slots = slots._replace(limit=slots.limit - 1)
        return slots if self.spread is None else jax.device_put(slots, self.spread)

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
        task.start = None
        arguments = jnp.asarray(size, jnp.int32), jnp.int32(scale.iterations)
        return _new_slot(bucket, start, target, weights, *arguments)

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
