"""The objective and the solvers as the benchmarks and the study call them: an API that changes is followed here only.

A `Problem` is one content and one style image made into a function to minimise; images are (1, h, w, 3), RGB in [0, 1].
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnst import minimize, transfer
from jnst.config import Config
from jnst.io import image, weights
from jnst.losses import objective
from jnst.losses.objective import LossWeights, Spec
from jnst.network import vgg
from jnst.optim import base
from jnst.optim.preconditioner import Identity

CONTENT, STYLE = "tubingen.jpg", "starry_night.jpg"
ONE_SIZE = Config(scales=("1",), style_sizes=1)  # what PyTorch's usual programs do
CHUNK = minimize.CHUNK  # the most iterations of one `advance`
Function = Callable[..., tuple[tuple[jax.Array, Any], jax.Array]]
"""(x, *args) -> ((value, aux), gradient)"""


class Problem(NamedTuple):
    """A function to minimise over images, `function(x, *args)`, and the images that it is made of."""

    content: np.ndarray
    style: np.ndarray
    spec: Spec
    args: tuple
    """parameters, target statistics, loss weights"""

    @property
    def function(self) -> Function:
        """What solvers minimise; call it with `args`."""
        return make_function(self.spec)

    @property
    def size(self) -> str:
        """WIDTHxHEIGHT of the content, for tables."""
        return f"{self.content.shape[2]}x{self.content.shape[1]}"


class Losses(NamedTuple):
    """What an objective says of one image, as Python floats."""

    total: float
    content: float
    style: float


@lru_cache
def make_function(spec: Spec) -> Function:
    """The function that solvers minimise; one object for equal specs, so that each compiles once."""

    def function(x: Any, params: Any, target: Any, loss_weights: Any) -> Any:
        losses, gradient = objective.value_and_grad(params, x, target, loss_weights, spec=spec)
        return (losses.total[0], None), gradient

    return function


def make_problem(
    content: np.ndarray,
    style: np.ndarray,
    params: Any,
    config: Config = ONE_SIZE,
    *,
    alpha_beta: tuple[float, float] | None = None,
) -> Problem:
    """Makes the problem that `jnst.stylize` would minimise at the content's size.

    Args:
        content: (1, h, w, 3), RGB in [0, 1].
        style: (1, hs, ws, 3), likewise.
        params: as `jnst.io.weights.load` gives them.
        config: which losses, in what balance.
        alpha_beta: weights of content and style, with all style layers alike; else those that the config asks for.
    """
    spec, params = transfer.spec_of(config), jax.device_put(params)
    target = objective.targets(params, jnp.asarray(content), jnp.asarray(style), spec=spec)
    loss_weights = equal_weights(*alpha_beta, spec) if alpha_beta else transfer.loss_weights(config, target)
    return Problem(content, style, spec, (vgg.prepare(params, spec.layers), target, loss_weights))


def with_weights(problem: Problem, alpha: float, beta: float) -> Problem:
    """The same problem with these weights of content and style, all style layers alike."""
    return problem._replace(args=(*problem.args[:2], equal_weights(alpha, beta, problem.spec)))


def load_problem(
    images: Path, params: Any, size: int, config: Config = ONE_SIZE, *, content: str = CONTENT, style: str = STYLE
) -> Problem:
    """Makes the problem of two files in a folder, each with its longer side reduced to `size` pixels."""
    content_image, style_image = (image.load(images / name, image_size=size) for name in (content, style))
    return make_problem(content_image, style_image, params, config)


def load_params(path: Path) -> weights.Weights:
    """Reads a weight file; raises InputError where it is missing or damaged."""
    return weights.load(path)


def equal_weights(alpha: float, beta: float, spec: Spec) -> LossWeights:
    """Loss weights of equation 5 by hand: content, style, all style layers alike, no total variation."""
    layers = len(spec.style_layers)
    return LossWeights(jnp.float32(alpha), jnp.float32(beta), jnp.full(layers, 1 / layers), jnp.float32(0))


def balanced_weights(problem: Problem, strength: float) -> tuple[float, float]:
    """alpha and beta that give the style loss the share `strength`, in units of the losses of an empty picture."""
    alpha, beta = objective.balance(problem.args[1], jnp.float32(strength), spec=problem.spec)
    return float(alpha), float(beta)


_evaluate = jax.jit(objective.evaluate, static_argnames="spec")


def evaluate(problem: Problem, picture: Any) -> Losses:
    """Computes the losses of one image."""
    params, target, loss_weights = problem.args
    losses = _evaluate(params, jnp.asarray(picture), target, loss_weights, spec=problem.spec)
    return Losses(float(losses.total[0]), float(losses.content[0]), float(losses.style[0]))


_value_and_grad = jax.jit(objective.value_and_grad, static_argnames="spec")


def value_and_grad(problem: Problem, picture: Any) -> tuple[float, jax.Array]:
    """Computes the loss and its gradient (1, h, w, 3), compiled once a spec and size."""
    params, target, loss_weights = problem.args
    losses, gradient = _value_and_grad(params, jnp.asarray(picture), target, loss_weights, spec=problem.spec)
    return float(losses.total[0]), gradient


def make_solver(function: Function, name: str) -> base.Solver:
    """One of `Config.optimizer`, or "identity": jnst's L-BFGS without its preconditioner."""
    if name == "identity":
        return base.lbfgsb(function, history_size=10, preconditioner=Identity())
    return base.make(function, name, history_size=10, learning_rate=0.02)  # pyright: ignore[reportArgumentType]


def start(solver: base.Solver, x: jax.Array, args: tuple) -> minimize.Run:
    """A run from x that has evaluated nothing."""
    return minimize.start(solver, x, args)


def advance(solver: base.Solver, run: minimize.Run, args: tuple, count: int) -> tuple[minimize.Run, np.ndarray]:
    """At most `count` iterations (up to `CHUNK`), in the loop that `jnst.stylize` runs, and the value after each."""
    before = int(run.iteration)
    run, records = jax.block_until_ready(minimize.advance(solver, run, args, jnp.int32(count)))
    return run, np.asarray(records.value)[: int(run.iteration) - before]


def descend(function: Function, name: str, x: jax.Array, args: tuple, evaluations: int) -> tuple[list[float], int, Any]:
    """Runs a solver of jnst step by step.

    Returns:
        The best value after each evaluation, how many iterations they were, and the last x.
    """
    solver = make_solver(function, name)
    step = jax.jit(solver.step)
    x, state = step(x, jax.jit(solver.init)(x, args), args)
    curve, iterations = [float(state.value)], 0
    while len(curve) < evaluations and int(state.stop) == 0:
        x, state = step(x, state, args)
        iterations += 1
        trials = int(state.evaluations) - len(curve)
        curve += [curve[-1]] * (trials - 1) + [min(curve[-1], float(state.value))]
    return curve, iterations, x


def gram_entry_function(layer: str, entry: tuple[int, int]) -> Function:
    """The function (x, params) whose minimum maximises one entry of a mean Gram matrix."""

    def function(x: Any, params: Any) -> Any:
        value, gradient = jax.value_and_grad(lambda x: -objective.gram_entry(params, x, layer=layer, entry=entry)[0])(x)
        return (value, value), gradient

    return function
