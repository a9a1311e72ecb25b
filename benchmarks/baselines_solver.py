"""Other people's bounded L-BFGS on the same objective, for benchmarks.solver.

Each takes the objective `fun(x, *args) -> ((value, aux), gradient)` in float32 and keeps its own vectors in float64.
"""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize


class Outcome(NamedTuple):
    """What a solver did with its evaluations."""

    curve: list[float]
    """best value after each evaluation"""
    iterations: int
    at_bound: float
    """share of the pixels at a bound in the end"""


class _EnoughError(Exception):
    """The evaluations are used up."""


class _Recorder:
    """A float64 interface of the float32 objective, scaled to 1 at the start."""

    def __init__(self, fun: Callable, x: jax.Array, args: tuple, evaluations: int) -> None:
        self.evaluate, self.shape, self.args, self.evaluations = jax.jit(fun), x.shape, args, evaluations
        self.unit = float(self.evaluate(x, *args)[0][0])
        self.curve: list[float] = []
        self.start = self.point = np.asarray(x, np.float64).ravel()

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        if len(self.curve) >= self.evaluations:
            raise _EnoughError
        (value, _), gradient = self.evaluate(jnp.asarray(flat, jnp.float32).reshape(self.shape), *self.args)
        self.curve.append(min([float(value), *self.curve[-1:]]))
        self.point = flat.copy()
        return float(value) / self.unit, np.asarray(gradient, np.float64).ravel() / self.unit

    def outcome(self, iterations: int) -> Outcome:
        return Outcome(self.curve, iterations, float(np.mean((self.point <= 0) | (self.point >= 1))))


def scipy_lbfgsb(fun: Callable, x: jax.Array, args: tuple, evaluations: int) -> Outcome:
    """SciPy's L-BFGS-B, m = 10, no tolerance."""
    value_and_grad = _Recorder(fun, x, args, evaluations)
    count = [0]

    def counted(_: np.ndarray) -> None:
        count[0] += 1

    with contextlib.suppress(_EnoughError):
        scipy.optimize.minimize(
            value_and_grad, value_and_grad.start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * x.size,
            callback=counted, options={"maxcor": 10, "maxfun": 10**6, "maxiter": 10**6, "ftol": 0, "gtol": 0},
        )  # fmt: skip
    return value_and_grad.outcome(count[0])


def torch_lbfgs(fun: Callable, x: jax.Array, args: tuple, evaluations: int) -> Outcome:
    """PyTorch's LBFGS(lr=1), m = 10, clamping before each evaluation: the way of the 2017 study."""
    import torch  # pyright: ignore[reportMissingImports]  # not a dependency: pip install torch==2.13.0

    value_and_grad = _Recorder(fun, x, args, evaluations)
    point = torch.tensor(value_and_grad.start, requires_grad=True)
    solver = torch.optim.LBFGS(
        [point], lr=1, history_size=10, max_iter=10**6, max_eval=10**6, tolerance_grad=-1, tolerance_change=-1
    )

    def closure() -> float:
        with torch.no_grad():
            point.clamp_(0, 1)
        value, gradient = value_and_grad(point.detach().numpy())
        point.grad = torch.from_numpy(gradient)
        return value

    with contextlib.suppress(_EnoughError):
        solver.step(closure)
    return value_and_grad.outcome(solver.state[point]["n_iter"] - 1)  # the last one was cut off


def two_loop(fun: Callable, x: jax.Array, args: tuple, evaluations: int) -> Outcome:
    """Plain projected L-BFGS: two-loop recursion (Nocedal and Wright, algorithm 7.4) on the free pixels, clipped."""
    value_and_grad = _Recorder(fun, x, args, evaluations)
    point = value_and_grad.start
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    iterations = 0
    try:
        value, gradient = value_and_grad(point)
        while True:
            free = ~(((point <= 0) & (gradient > 0)) | ((point >= 1) & (gradient < 0)))
            q, alphas = np.where(free, gradient, 0), []
            if not q.any():
                return value_and_grad.outcome(iterations)
            for s, y in reversed(pairs):
                alphas.append((s @ q) / (s @ y))
                q = q - alphas[-1] * y
            q = q * (
                (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1]) if pairs else 0.05 / np.abs(q).mean()
            )
            for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
                q = q + s * (alpha - (y @ q) / (s @ y))
            direction, t = np.clip(point - np.where(free, q, 0), 0, 1) - point, 1.0
            slope = direction @ gradient
            if slope >= 0:
                if not pairs:
                    return value_and_grad.outcome(iterations)
                pairs = []
                continue
            while True:
                new_point = point + t * direction
                new_value, new_gradient = value_and_grad(new_point)
                if new_value <= value + 1e-4 * t * slope or t < 1e-6:
                    break
                t /= 2
            s, y = new_point - point, new_gradient - gradient
            if s @ y > 1e-6 * np.linalg.norm(s) * np.linalg.norm(y):
                pairs = [*pairs, (s, y)][-10:]
            point, value, gradient = new_point, new_value, new_gradient
            iterations += 1
    except _EnoughError:
        return value_and_grad.outcome(iterations)
