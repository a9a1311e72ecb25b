"""One content image, one style image -> one result: scales, start image, solver, progress. Arrays in, arrays out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jnst import minimize, sharding
from jnst.auto_layers import choose
from jnst.config import AUTO, DEFAULT_STRENGTH, Config
from jnst.errors import InputError
from jnst.io.image import resize
from jnst.io.weights import Weights
from jnst.losses import objective
from jnst.losses import windows as tiles
from jnst.losses.objective import LossWeights, Spec
from jnst.losses.pyramid import Scale, scales
from jnst.network.architecture import MIN_SIDE, check_layers
from jnst.network.normalize import mean_activations, normalize_filters
from jnst.network.vgg import Params, Region, architecture_of, prepare
from jnst.optim import base as solver

Image = Float[Array, "1 h w 3"] | Float[np.ndarray, "1 h w 3"]
StyleImage = Float[Array, "1 hs ws 3"] | Float[np.ndarray, "1 hs ws 3"]
CHUNK_SECONDS = 1.0  # how long the device works before the host looks in


@dataclass(frozen=True)
class Iteration:
    """One line of a run's history: the losses of the iterate after `iteration` iterations, at its scale.

    `seconds` since the start of the run; inside a chunk it is shared out by evaluations. `size`: (width, height).
    """

    iteration: int
    size: tuple[int, int]
    evaluations: int
    seconds: float
    loss: float
    content_loss: float
    style_loss: float
    style_layers: dict[str, float]


@dataclass(frozen=True)
class Progress:
    """What a callback gets once a chunk.

    `best_loss` of the scale at work; `image()` copies its best image so far to the host, not after the call.
    """

    iteration: int
    iterations: int
    seconds: float
    best_loss: float
    new: list[Iteration]
    image: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Result:
    """The best image that the run has seen, and how it was found.

    `stop_reason`: `max_iterations`, `converged`, `line_search`, `not_finite`, or `stopped` (by the callback).
    `seconds` are those of the run, `compile_seconds` of them before the first iteration of each scale; `weights` is the
    record of the weights where `stylize` was given `Weights`.
    """

    image: np.ndarray
    loss: float
    iterations: int
    evaluations: int
    seconds: float
    compile_seconds: float
    stop_reason: str
    history: list[Iteration]
    weights: dict[str, str] | None


Callback = Callable[[Progress], bool | None]


def stylize(
    content: Image,
    style: StyleImage,
    config: Config,
    params: Params | Weights,
    *,
    init: Float[Array, "1 _h _w 3"] | Float[np.ndarray, "1 _h _w 3"] | None = None,
    stop_every: int = 0,
    callback: Callback = lambda progress: None,
    mesh: Mesh | None = None,
) -> Result:
    """Repaints the content image in the manner of the style image (Gatys et al. 2016, bounded to [0, 1]).

    Args:
        content: float, (1, h, w, 3), RGB in [0, 1], sides of at least 32 pixels.
        style: the same; its size may differ.
        config: all settings; `Config()` for the defaults.
        params: parameters of VGG-16 or VGG-19, or `Weights` (`weights.find()`), whose record the result then keeps.
        init: the start image, of the content's shape, instead of what `config.init` names.
        stop_every: calls the callback after every so many iterations at the least; 0: about once a second.
        callback: gets a `Progress` once a chunk; a true answer stops the run.
        mesh: devices over which the image is split by rows (`sharding.mesh_of`); one device by default.

    Raises:
        InputError: a wrong shape or range, an unknown layer, an `init` that is a path, tiles with a mesh.
    """
    record, normalized = (params.record(), params.normalized) if isinstance(params, Weights) else (None, "")
    params = params.params if isinstance(params, Weights) else params
    check_inputs(content, style, config, params)
    config, _ = choose(config, params, content, style)
    if config.normalize_filters and not normalized:
        means = mean_activations(params, (content, style), pooling=config.pooling)
        params = normalize_filters(params, means)
    if mesh is not None and spec_of(config).tile:
        raise InputError(f"--tile {config.tile} and several devices: give one of the two")
    place = None if mesh is None else sharding.replicated(mesh)
    work = _Work(config, jax.device_put(params, place), callback, stop_every, mesh)
    height, width = content.shape[1:3]
    image, best = np.asarray(start_image(content, style, config, init), np.float32), None
    for scale in scales(height, width, config.iterations, config.scales):
        smaller = [max(MIN_SIDE, round(side * scale.height / height)) for side in style.shape[1:3]]
        size = (scale.height, scale.width)
        images = resize(content, *size), resize(style, *smaller), resize(image, *size)
        best = work.paint(scale, *(jax.device_put(a, place) for a in images))
        image = np.asarray(best.image)
        if best.stop_reason in ("stopped", "not_finite"):
            break
    assert best is not None
    return Result(
        image=image if image.shape == content.shape else resize(image, height, width),
        loss=best.loss,
        iterations=work.history[-1].iteration,
        evaluations=work.history[-1].evaluations,
        seconds=work.seconds(),
        compile_seconds=work.compile_seconds,
        stop_reason=best.stop_reason,
        history=work.history,
        weights=record,
    )


class _Best(NamedTuple):
    """The best image of one scale."""

    image: Float[Array, "1 _h _w 3"]
    loss: float
    stop_reason: str


class _Work:
    """One run: what its scales share, and the history that they write."""

    def __init__(self, config: Config, params: Params, callback: Callback, stop_every: int, mesh: Mesh | None) -> None:
        self.began, self.compile_seconds = time.perf_counter(), 0.0
        self.history: list[Iteration] = []
        self.config, self.callback, self.stop_every, self.mesh = config, callback, stop_every, mesh
        self.params = params  # what runs once stays plain, because that compiles faster
        # a checkpoint is there to save memory
        self.fast = params if config.checkpoint else prepare(params, spec_of(config).layers, config.precision)

    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def paint(self, scale: Scale, content: Array, style: Array, start: Array) -> _Best:
        """The best image of that scale; all three images have its size, but for the style."""
        run, args = self._begin(content, style, start)
        run, stopped = self._iterate(run, args, scale)
        status = int(run.state.stop)
        reason = "stopped" if stopped and status == minimize.RUNNING else minimize.STOP_REASONS[status]
        return _Best(run.best_x, float(run.best.value), reason)

    def _begin(self, content: Array, style: Array, start: Array) -> tuple[minimize.Run, tuple]:
        """The run before its first evaluation and the objective's arguments, all programs compiled."""
        before, config = self.seconds(), self.config
        program = program_of(config, self.mesh)
        target = objective.targets(self.params, content, style, spec=spec_of(config, self.mesh))
        args = (self.fast, target, loss_weights(config, target))
        run = minimize.start(program, start, args)
        run, _ = minimize.advance(program, run, args, jnp.int32(0))  # compiles, runs nothing
        jax.block_until_ready(run)
        self.compile_seconds += self.seconds() - before
        return run, args

    def _iterate(self, run: minimize.Run, args: tuple, scale: Scale) -> tuple[minimize.Run, bool]:
        """Chunks of about CHUNK_SECONDS until the scale is done, and whether the callback stopped it."""
        program, spec = program_of(self.config, self.mesh), spec_of(self.config)
        before = self.history[-1] if self.history else None  # of the scale before
        first = before.iteration if before else 0
        stopped, count, done = False, 2, -1
        while done < scale.iterations and not stopped and int(run.state.stop) == minimize.RUNNING:
            count = min(count, scale.iterations - done, minimize.CHUNK)
            if self.stop_every:
                count = min(count, self.stop_every - (first + max(done, 0)) % self.stop_every + (done < 0))
            began, start = self.seconds(), done
            run, records = minimize.advance(program, run, args, jnp.int32(count))
            done = int(run.iteration)
            span = _Span(start + 1, done + 1, began, self.seconds(), (scale.width, scale.height), before)
            new = _history(jax.device_get(records), span, self.history, spec)
            self.history += new
            seconds = span.ended - span.began
            count = max(1, min(2 * count, int(CHUNK_SECONDS * (done - start) / max(seconds, 1e-6))))
            best_x = run.best_x
            image = lambda: np.array(best_x)  # noqa: B023, E731 (valid during the callback only, as Progress says)
            best = float(run.best.value)
            progress = Progress(first + max(done, 0), self.config.iterations, self.seconds(), best, new, image)
            stopped = bool(self.callback(progress))
        return run, stopped


def spec_of(config: Config, mesh: Mesh | None = None) -> Spec:
    """The static part of the objective that a config names, on these devices; what has no weight is left out."""
    content, style = config.wanted()
    return Spec(
        config.content_layers if content else (), config.style_layers if style else (), config.pooling, config.loss,
        config.gradients, config.precision, config.checkpoint, 0 if config.tile == "auto" else config.tile,
        config.style_sizes if style else 1, mesh,
    )  # fmt: skip


def loss_weights(config: Config, target: objective.Targets, region: Region | None = None) -> LossWeights:
    """alpha, beta, w_l and tau of a config."""
    strength = DEFAULT_STRENGTH if config.strength is None else config.strength
    raw = config.raw_weights()
    if raw is None and config.gradients == "normalized":
        raw = 1 - strength, strength  # what they weigh has length 1, whatever the unit of the losses
    raw = raw or objective.balance(target, jnp.float32(strength), spec=spec_of(config), region=region)
    return LossWeights(*(jnp.asarray(w, jnp.float32) for w in (*raw, config.layer_weights(), config.tv_weight)))


def program_of(config: Config, mesh: Mesh | None = None) -> solver.Solver:
    """The solver on the objective that a config names; equal settings share one compile a shape."""
    return _program(
        spec_of(config, mesh), config.optimizer, config.history_size, config.history_dtype, config.learning_rate
    )


@lru_cache
def _program(
    spec: Spec, optimizer: solver.Optimizer, history_size: int, history_dtype: str, learning_rate: float
) -> solver.Solver:
    @jax.jit  # `start` asks for its shapes, `advance` calls it: traced once
    def fun(x: Array, params: Params, target: objective.Targets, weights: LossWeights) -> Any:
        losses, gradient = objective.value_and_grad(params, x, target, weights, spec=spec)
        return (losses.total[0], losses), gradient

    return solver.make(
        fun, optimizer, history_size=history_size, history_dtype=history_dtype, learning_rate=learning_rate
    )


def check_inputs(content: Any, style: Any, config: Config, params: Params) -> None:
    """Raises InputError for images of another shape or range, layers that this network lacks, and too small tiles."""
    for name, image in (("content", content), ("style", style)):
        if image.ndim != 4 or image.shape[0] != 1 or image.shape[3] != 3:
            raise InputError(f"{name} must have the shape (1, h, w, 3), got {image.shape}")
        if min(image.shape[1:3]) < MIN_SIDE:
            raise InputError(f"{name} must have sides of at least {MIN_SIDE} pixels, got {image.shape[1:3]}")
        values = np.asarray(image)  # on the host: XLA:CPU's minimum drops NaN
        low, high = float(values.min()), float(values.max())
        if math.isnan(low) or low < 0 or high > 1:
            raise InputError(f"{name} must lie in [0, 1], got {low:g} to {high:g}; divide 8-bit images by 255")
    layers = tuple(layer for layer in config.content_layers + config.style_layers if (layer,) != AUTO)
    check_layers(layers, architecture_of(params))
    tile = spec_of(config).tile
    if tile:
        tiles.grid(content.shape[1], content.shape[2], tile, architecture_of(params), layers)


def start_image(content: Image, style: StyleImage, config: Config, init: Any) -> Any:
    """Where a run begins, (1, h, w, 3).

    Raises:
        InputError: `init` has another shape than the content, or the config names a file.
    """
    if init is not None:
        if init.shape != content.shape:
            raise InputError(f"init must have the content's shape {content.shape}, got {init.shape}")
        return init
    if config.init == "content":
        return content
    if config.init == "style":
        return resize(style, *content.shape[1:3])
    if config.init == "noise":
        noise = 0.5 + 0.1 * jax.random.normal(jax.random.key(config.seed), content.shape)
        return jnp.clip(noise, 0, 1)
    raise InputError(f"--init must be content, style or noise, got {config.init!r}; load a file yourself, pass init=")


class _Span(NamedTuple):
    """The iterations of one chunk, numbered within their scale, and when it ran."""

    first: int
    end: int
    began: float
    ended: float
    size: tuple[int, int]
    before: Iteration | None
    """the last iteration of the scale before"""


def _history(records: minimize.Records, span: _Span, history: list[Iteration], spec: Spec) -> list[Iteration]:
    """The rows of a chunk, its seconds shared out by evaluations; of a later scale's start image none is made."""
    offset = span.before.evaluations if span.before else 0
    counts = [offset + int(n) for n in records.evaluations[: span.end - span.first]]
    done = history[-1].evaluations if history else 0
    rows = []
    for k, count in enumerate(counts):
        if span.before and span.first + k == 0:
            continue
        share = (count - done) / max(1, counts[-1] - done)
        seconds = span.began + share * (span.ended - span.began)
        losses = jax.tree.map(lambda a, k=k: a[k], records.aux)
        iteration = span.first + k + (span.before.iteration if span.before else 0)
        layers = dict(zip(spec.style_layers, map(float, losses.style_layers[0]), strict=True))
        total, content, style = (float(a[0]) for a in (losses.total, losses.content, losses.style))
        rows.append(Iteration(iteration, span.size, count, seconds, total, content, style, layers))
    return rows
