"""One content image, one style image -> one result: start image, solver, progress. Arrays in, arrays out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst import minimize, objective, solver
from jnst.architecture import MIN_SIDE, check_layers
from jnst.config import DEFAULT_STRENGTH, Config
from jnst.errors import InputError
from jnst.objective import Losses, LossWeights, Spec
from jnst.vgg import Params, architecture_of, prepare
from jnst.weights import Weights

Image = Float[Array, "1 h w 3"] | Float[np.ndarray, "1 h w 3"]
StyleImage = Float[Array, "1 hs ws 3"] | Float[np.ndarray, "1 hs ws 3"]
CHUNK_SECONDS = 1.0  # how long the device works before the host looks in


@dataclass(frozen=True)
class Iteration:
    """One line of a run's history: the losses of the iterate after `iteration` iterations.

    `seconds` since the start of the run; inside a chunk it is shared out by evaluations.
    """

    iteration: int
    evaluations: int
    seconds: float
    loss: float
    content_loss: float
    style_loss: float
    style_layers: dict[str, float]


@dataclass(frozen=True)
class Progress:
    """What a callback gets once a chunk. `image()` copies the best image so far to the host; not after the call."""

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
    `seconds` are those of the run, `compile_seconds` of them before its first iteration; `weights` is the record of the
    weights where `stylize` was given `Weights`.
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

    Raises:
        InputError: a wrong shape or range, an unknown layer of this network, an `init` that is a path.
    """
    record = params.record() if isinstance(params, Weights) else None
    params = params.params if isinstance(params, Weights) else params
    check_inputs(content, style, config, params)
    began = time.perf_counter()
    start_image = jnp.asarray(_start(content, style, config, init), jnp.float32)
    program = _program(
        spec_of(config), config.optimizer, config.history_size, config.history_dtype, config.learning_rate
    )
    run, args = _begin(program, jax.device_put(params), content, style, start_image, config)
    compiled = time.perf_counter()
    run, history, stopped = _iterate(program, run, args, config, began=began, stop_every=stop_every, callback=callback)
    status = int(run.state.stop)
    return Result(
        image=np.array(run.best_x),
        loss=float(run.best.value),
        iterations=int(run.iteration),
        evaluations=int(run.state.evaluations),
        seconds=time.perf_counter() - began,
        compile_seconds=compiled - began,
        stop_reason="stopped" if stopped and status == minimize.RUNNING else minimize.STOP_REASONS[status],
        history=history,
        weights=record,
    )


def _begin(
    program: solver.Solver, params: Params, content: Image, style: StyleImage, start_image: Array, config: Config
) -> tuple[minimize.Run, tuple]:
    """The run before its first evaluation and the objective's arguments, all programs compiled."""
    spec = spec_of(config)
    target = objective.targets(params, jnp.asarray(content), jnp.asarray(style), spec=spec)
    args = (target, loss_weights(config, target))
    if not spec.checkpoint:  # it takes memory
        params = prepare(
            params, spec.layers, spec.precision
        )  # only now: what runs once stays plain, because that compiles faster
    args = (params, *args)
    run = minimize.start(program, start_image, args)
    run, _ = minimize.advance(program, run, args, jnp.int32(0))  # compiles, runs nothing
    return jax.block_until_ready(run), args


def _iterate(
    program: solver.Solver,
    run: minimize.Run,
    args: tuple,
    config: Config,
    *,
    began: float,
    stop_every: int,
    callback: Callback,
) -> tuple[minimize.Run, list[Iteration], bool]:
    """Chunks of about CHUNK_SECONDS until the run ends; the run, its history, and whether it was stopped."""
    spec, iterations = spec_of(config), config.iterations
    history: list[Iteration] = []
    stopped, count, done = False, 2, -1
    while done < iterations and not stopped and int(run.state.stop) == minimize.RUNNING:
        count = min(count, iterations - done, minimize.CHUNK)
        count = min(count, stop_every - max(done, 0) % stop_every + (done < 0)) if stop_every else count
        before = time.perf_counter() - began
        run, records = minimize.advance(program, run, args, jnp.int32(count))
        done, start = int(run.iteration), done
        seconds = (before, time.perf_counter() - began)
        evaluations = history[-1].evaluations if history else 0
        new = _history(jax.device_get(records), (start, done), seconds, evaluations, spec)
        history += new
        count = max(1, min(2 * count, int(CHUNK_SECONDS * len(new) / max(seconds[1] - before, 1e-6))))
        best_x = run.best_x
        image = lambda: np.array(best_x)  # noqa: B023, E731 (valid during the callback only, as Progress says)
        stopped = bool(callback(Progress(done, iterations, seconds[1], float(run.best.value), new, image)))
    return run, history, stopped


def spec_of(config: Config) -> Spec:
    """The static part of the objective that a config names."""
    return Spec(
        config.content_layers, config.style_layers, config.pooling, config.loss, config.gradients,
        config.precision, config.checkpoint,
    )  # fmt: skip


def loss_weights(config: Config, target: objective.Statistics) -> LossWeights:
    """alpha, beta, w_l and tau of a config."""
    strength = DEFAULT_STRENGTH if config.strength is None else config.strength
    raw = config.raw_weights() or objective.balance(target, jnp.float32(strength), spec=spec_of(config))
    return LossWeights(*(jnp.asarray(w, jnp.float32) for w in (*raw, config.layer_weights(), config.tv_weight)))


@lru_cache
def _program(
    spec: Spec, optimizer: solver.Optimizer, history_size: int, history_dtype: str, learning_rate: float
) -> solver.Solver:
    """The solver on the objective; cached, so that equal settings share one compile a shape."""

    @jax.jit  # `start` asks for its shapes, `advance` calls it: traced once
    def fun(x: Array, params: Params, target: objective.Statistics, weights: LossWeights) -> Any:
        losses, gradient = objective.value_and_grad(params, x, target, weights, spec=spec)
        return (losses.total[0], losses), gradient

    return solver.make(
        fun, optimizer, history_size=history_size, history_dtype=history_dtype, learning_rate=learning_rate
    )


def check_inputs(content: Any, style: Any, config: Config, params: Params) -> None:
    """Raises InputError for images of another shape or range, and for layers that this network lacks."""
    for name, image in (("content", content), ("style", style)):
        if image.ndim != 4 or image.shape[0] != 1 or image.shape[3] != 3:
            raise InputError(f"{name} must have the shape (1, h, w, 3), got {image.shape}")
        if min(image.shape[1:3]) < MIN_SIDE:
            raise InputError(f"{name} must have sides of at least {MIN_SIDE} pixels, got {image.shape[1:3]}")
        values = np.asarray(image)  # on the host: XLA:CPU's minimum drops NaN
        low, high = float(values.min()), float(values.max())
        if math.isnan(low) or low < 0 or high > 1:
            raise InputError(f"{name} must lie in [0, 1], got {low:g} to {high:g}; divide 8-bit images by 255")
    check_layers(config.content_layers + config.style_layers, architecture_of(params))


def _start(content: Image, style: StyleImage, config: Config, init: Any) -> Any:
    if init is not None:
        if init.shape != content.shape:
            raise InputError(f"init must have the content's shape {content.shape}, got {init.shape}")
        return init
    if config.init == "content":
        return content
    if config.init == "style":
        return jnp.clip(jax.image.resize(jnp.asarray(style), content.shape, "lanczos3"), 0, 1)
    if config.init == "noise":
        noise = 0.5 + 0.1 * jax.random.normal(jax.random.key(config.seed), content.shape)
        return jnp.clip(noise, 0, 1)
    raise InputError(f"--init must be content, style or noise, got {config.init!r}; load a file yourself, pass init=")


def _history(
    records: minimize.Records, span: tuple[int, int], seconds: tuple[float, float], evaluations: int, spec: Spec
) -> list[Iteration]:
    """The rows of the chunk from iteration span[0] to span[1], its seconds shared out by evaluations."""
    counts = [int(n) for n in records.evaluations[: span[1] - span[0]]]
    rows = []
    for k, count in enumerate(counts):
        share = (count - evaluations) / max(1, counts[-1] - evaluations)
        losses = jax.tree.map(lambda a, k=k: a[k], records.aux)
        rows.append(_iteration(span[0] + k + 1, count, seconds[0] + share * (seconds[1] - seconds[0]), losses, spec))
    return rows


def _iteration(iteration: int, evaluations: int, seconds: float, losses: Losses, spec: Spec) -> Iteration:
    layers = dict(zip(spec.style_layers, map(float, losses.style_layers[0]), strict=True))
    total, content, style = (float(a[0]) for a in (losses.total, losses.content, losses.style))
    return Iteration(iteration, evaluations, seconds, total, content, style, layers)
