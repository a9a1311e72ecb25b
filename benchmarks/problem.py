"""The objective and the solvers as the benchmarks and the study call them: an API that changes is followed here only.

A `Problem` is one content and one style image made into a function to minimise; images are (1, h, w, 3), RGB in [0, 1].
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnst.config import Config
from jnst.engine import MAX_TICKS as CHUNK
from jnst.io import image, weights
from jnst.losses import objective as objectives
from jnst.losses.objective import LossWeights, Objective
from jnst.network import vgg
from jnst.optim.base import RUNNING
from jnst.optim.preconditioner import Identity
from jnst.optim.stock import Stock
from jnst.problem import objective_for, solver_for, takes_units, total_variation_of, weights_for

CONTENT, STYLE = "tubingen.jpg", "starry_night.jpg"
PLAIN: dict[str, Any] = {
    "style_loss": "gram", "style_unit": "painting", "content_layers": ("conv4_2",), "tv_weight": 0.0
}  # fmt: skip
"""the papers' losses, by which speed and solvers are compared, whatever the defaults are"""
ONE_SIZE = Config(scales=("1",), style_pyramid_levels=1, **PLAIN)  # what PyTorch's usual programs do
Function = Callable[..., tuple[tuple[jax.Array, Any], jax.Array]]
"""(x, *args) -> ((value, aux), gradient)"""
__all__ = ["CHUNK", "ONE_SIZE", "PLAIN", "Problem"]


class Problem(NamedTuple):
    """A function to minimise over images, `function(x, *args)`, and the images that it is made of."""

    content: np.ndarray
    style: np.ndarray
    objective: Objective
    args: tuple
    """parameters, target statistics, loss weights"""

    @property
    def function(self) -> Function:
        """What solvers minimise; call it with `args`."""
        return make_function(self.objective)

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
def make_function(objective: Objective) -> Function:
    """The function that solvers minimise; one object for equal objectives, so that each compiles once."""

    def function(x: Any, params: Any, targets: Any, loss_weights: Any) -> Any:
        losses, gradient = objectives.value_and_grad(params, x, targets, loss_weights, objective=objective)
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
    objective, params = objective_for(config), jax.device_put(params)
    images = {"content": jnp.asarray(content), "style": jnp.asarray(style)}
    targets = objectives.targets(params, images, objective=objective)
    if alpha_beta:
        loss_weights = equal_weights(*alpha_beta, objective)
    else:
        units = {}
        if takes_units(config, objective):
            _, norms = objectives.content_statistics(params, images["content"], objective=objective)
            units = objectives.style_units(targets, norms, objective=objective)
        loss_weights = weights_for(config, targets, objective, units=units, variation=total_variation_of(style))
    fast = vgg.prepare_for_inference(params, objective.layers)
    return Problem(content, style, objective, (fast, targets, loss_weights))


def with_weights(problem: Problem, alpha: float, beta: float) -> Problem:
    """The same problem with these weights of content and style, all style layers alike."""
    return problem._replace(args=(*problem.args[:2], equal_weights(alpha, beta, problem.objective)))


def load_problem(
    images: Path, params: Any, size: int, config: Config = ONE_SIZE, *, content: str = CONTENT, style: str = STYLE
) -> Problem:
    """Makes the problem of two files in a folder, each with its longer side reduced to `size` pixels."""
    content_image, style_image = (image.load(images / name, image_size=size) for name in (content, style))
    return make_problem(content_image, style_image, params, config)


def load_params(path: Path) -> weights.Weights:
    """Reads a weight file; raises InputError where it is missing or damaged."""
    return weights.load(path)


def equal_weights(alpha: float, beta: float, objective: Objective) -> LossWeights:
    """Loss weights of equation 5 by hand: content, style, all style layers alike."""
    own = objectives.default_weights(objective)
    groups = {name: jnp.float32(weight) for name, weight in (("content", alpha), ("style", beta)) if name in own.groups}
    return LossWeights({**own.groups, **groups}, own.terms)


def balanced_weights(problem: Problem, strength: float) -> tuple[float, float]:
    """alpha and beta that give the style loss the share `strength`, in units of the losses of an empty picture."""
    weights_ = objectives.balance(problem.args[1], jnp.float32(strength), objective=problem.objective)
    alpha, beta = (np.asarray(weights_.groups[name]).item() for name in ("content", "style"))
    return alpha, beta


_evaluate = jax.jit(objectives.evaluate, static_argnames="objective")


def evaluate(problem: Problem, picture: Any) -> Losses:
    """Computes the losses of one image."""
    params, targets, loss_weights = problem.args
    losses = _evaluate(params, jnp.asarray(picture), targets, loss_weights, objective=problem.objective)
    return Losses(float(losses.total[0]), float(losses.groups["content"][0]), float(losses.groups["style"][0]))


_value_and_grad = jax.jit(objectives.value_and_grad, static_argnames="objective")


def value_and_grad(problem: Problem, picture: Any) -> tuple[float, jax.Array]:
    """Computes the loss and its gradient (1, h, w, 3), compiled once an objective and size."""
    params, targets, loss_weights = problem.args
    losses, gradient = _value_and_grad(
        params, jnp.asarray(picture), targets, loss_weights, objective=problem.objective
    )  # fmt: skip
    return float(losses.total[0]), gradient


@partial(jax.jit, static_argnames="objective")
def _joint_gradient(params: Any, x: Any, targets: Any, loss_weights: Any, objective: Objective) -> jax.Array:
    return jax.grad(
        lambda x: objectives.evaluate(params, x, targets, loss_weights, objective=objective).total.sum()
    )(x)  # fmt: skip


def joint_gradient(problem: Problem, picture: Any) -> jax.Array:
    """Computes the gradient by differentiating the whole loss at once: the reference of the other ways."""
    params, targets, loss_weights = problem.args
    return _joint_gradient(params, jnp.asarray(picture), targets, loss_weights, problem.objective)


class Minimiser(NamedTuple):
    """A solver and what it minimises within [0, 1]; hashable, so that its loop compiles once."""

    function: Function
    solver: Any


class Run(NamedTuple):
    """Where a run is, on the device."""

    x: jax.Array
    state: Any


def make_solver(function: Function, name: str) -> Minimiser:
    """One of `Config.optimizer`, or "identity": jnst's L-BFGS without its preconditioner."""
    if name == "identity":
        return Minimiser(function, replace(solver_for(Config()), preconditioner=Identity()))
    return Minimiser(function, solver_for(Config(optimizer=name)))  # pyright: ignore[reportArgumentType]


def start(minimiser: Minimiser, x: jax.Array, args: tuple) -> Run:
    """A run from x that has evaluated nothing."""
    del args
    return Run(x, jax.jit(lambda x: minimiser.solver.init(x, None))(x))


def _step(minimiser: Minimiser, run: Run, args: tuple) -> Run:
    """One evaluation, or one iteration of a solver that evaluates for itself."""
    bounds = jnp.zeros_like(run.x), jnp.ones_like(run.x)

    def evaluate_at(x: jax.Array) -> tuple[jax.Array, jax.Array, Any]:
        (value, _), gradient = minimiser.function(x, *args)
        return value, gradient, None

    if isinstance(minimiser.solver, Stock):
        return Run(*minimiser.solver.step(evaluate_at, run.x, run.state, bounds))
    point = minimiser.solver.point(run.x, run.state, bounds)
    return Run(*minimiser.solver.update(run.x, run.state, bounds, *evaluate_at(point)))


@partial(jax.jit, static_argnames="minimiser")
def _advance(minimiser: Minimiser, run: Run, args: tuple, last: jax.Array) -> tuple[Run, jax.Array]:
    values = jnp.full(CHUNK, jnp.nan, run.state.value.dtype)

    def unfinished(carry: tuple[Run, jax.Array, jax.Array]) -> jax.Array:
        return (carry[0].state.iterations < last) & (carry[0].state.status == RUNNING)

    def step(carry: tuple[Run, jax.Array, jax.Array]) -> tuple[Run, jax.Array, jax.Array]:
        run, values, row = carry
        run = _step(minimiser, run, args)
        return run, values.at[row].set(run.state.value), row + run.state.moved

    run, values, _ = lax.while_loop(unfinished, step, (run, values, jnp.int32(0)))
    return run, values


def advance(minimiser: Minimiser, run: Run, args: tuple, count: int) -> tuple[Run, np.ndarray]:
    """At most `count` iterations (up to `CHUNK`), in one compiled loop, and the value after each."""
    before = int(run.state.iterations)
    run, values = jax.block_until_ready(_advance(minimiser, run, args, jnp.int32(before + count)))
    return run, np.asarray(values)[: int(run.state.iterations) - before]


def descend(function: Function, name: str, x: jax.Array, args: tuple, evaluations: int) -> tuple[list[float], int, Any]:
    """Runs a solver of jnst evaluation by evaluation.

    Returns:
        The best value after each evaluation, how many iterations they were, and the last x.
    """
    minimiser, curve = make_solver(function, name), []
    run, step = start(minimiser, x, args), jax.jit(partial(_step, minimiser))
    while len(curve) < evaluations and int(run.state.status) == RUNNING:
        run = step(run, args)
        trials = int(run.state.evaluations) - len(curve)
        best = min([float(run.state.value), *curve[-1:]])
        curve += [*(curve[-1:] * (trials - 1)), best]
    return curve, int(run.state.iterations), run.x


def gram_entry_function(layer: str, entry: tuple[int, int]) -> Function:
    """The function (x, params) whose minimum maximises one entry of a mean Gram matrix."""

    def function(x: Any, params: Any) -> Any:
        value, gradient = jax.value_and_grad(lambda x: -objectives.gram_entry(params, x, layer=layer, entry=entry)[0])(
            x
        )
        return (value, value), gradient

    return function
