# pyright: basic
"""jnst's L-BFGS as a minimiser of optimistix (extra `optimistix`); a step is one evaluation.

    optimistix.minimise(fn, LBFGSB(), y0, args, options={"lower": lower, "upper": upper}, max_steps=1000)

Nothing of jnst imports this module.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optimistix
from jax.flatten_util import ravel_pytree

from jnst.optim import lbfgsb
from jnst.optim.base import LINE_SEARCH, NOT_FINITE, RUNNING, Bounds


class LBFGSB(optimistix.AbstractMinimiser):
    """Minimises `fn(y, args)` over any pytree of floats, within `options["lower"]` and `options["upper"]` where given.

    Attributes:
        rtol: the run has converged where the projected gradient's norm is at most `rtol` times its first one.
        atol: or where its largest component is at most `atol` (SciPy's `gtol`).
        norm: optimistix asks for one; the two conditions above have their own.
        history_size: pairs that are remembered.
    """

    rtol: float = 0.0
    atol: float = 1e-5
    norm: Callable = optimistix.max_norm
    history_size: int = 10

    def _solver(self) -> lbfgsb.LBFGSB:
        return lbfgsb.LBFGSB(history_size=self.history_size, rtol=self.rtol, atol=self.atol)

    def init(
        self, fn: Any, y: Any, args: Any, options: dict[str, Any], f_struct: Any, aux_struct: Any, tags: Any
    ) -> Any:
        """Returns the state of a run that has evaluated nothing.

        Args:
            fn, y, args, options, f_struct, aux_struct, tags: as optimistix's `AbstractMinimiser` gives them.
        """
        return self._solver().init(_clipped(y, options)[0], aux_struct)

    def step(self, fn: Any, y: Any, args: Any, options: dict[str, Any], state: Any, tags: Any) -> tuple[Any, Any, Any]:
        """Returns the iterate, the state and `fn`'s further output after one evaluation.

        Args:
            fn, y, args, options, state, tags: as optimistix gives them.
        """
        x, unravel, bounds = _clipped(y, options)
        point = self._solver().point(x, state, bounds)
        (value, aux), gradient = jax.value_and_grad(lambda p: fn(unravel(p), args), has_aux=True)(point)
        x, state = self._solver().update(x, state, bounds, value, gradient, aux)
        return unravel(x), state, state.aux

    def terminate(
        self, fn: Any, y: Any, args: Any, options: dict[str, Any], state: Any, tags: Any
    ) -> tuple[Any, optimistix.RESULTS]:
        """Returns whether the run is over, and how: no descent is `stagnation`, no finite value `nonlinear_divergence`.

        Args:
            fn, y, args, options, state, tags: as optimistix gives them.
        """
        results: Any = optimistix.RESULTS
        result = results.where(state.status == LINE_SEARCH, results.stagnation, results.successful)
        result = results.where(state.status == NOT_FINITE, results.nonlinear_divergence, result)
        return state.status != RUNNING, result

    def postprocess(
        self, fn: Any, y: Any, aux: Any, args: Any, options: dict[str, Any], state: Any, tags: Any, result: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Returns the result as it is, with its value, iterations and evaluations.

        Args:
            fn, y, aux, args, options, state, tags, result: as optimistix gives them.
        """
        return y, aux, {"value": state.value, "iterations": state.iterations, "evaluations": state.evaluations}


def _clipped(y: Any, options: dict[str, Any]) -> tuple[jax.Array, Callable, Bounds]:
    """The pytree as a vector within its bounds, the way back, and the bounds."""
    x, unravel = ravel_pytree(y)

    def side(name: str, default: float) -> jax.Array:
        bound = options.get(name, default)
        full = jax.tree.map(lambda leaf, b: jnp.broadcast_to(b, jnp.shape(leaf)), y, _like(y, bound))
        return ravel_pytree(full)[0].astype(x.dtype)

    bounds = side("lower", -jnp.inf), side("upper", jnp.inf)
    return jnp.clip(x, *bounds), unravel, bounds


def _like(y: Any, bound: Any) -> Any:
    """A bound for each leaf: as it is, or one number for all."""
    same = jax.tree.structure(bound) == jax.tree.structure(y)
    return bound if same else jax.tree.map(lambda _: bound, y)
