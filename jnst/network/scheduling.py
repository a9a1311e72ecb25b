"""When XLA computes what: data dependences that change no value, and keep the peak memory of a gradient low.

XLA:CPU computes whatever it can as early as it can, and holds the result until it is used. In the backward pass of a
network that is read at several layers, the gradients of all readings are then alive at once (more than 5 % of the peak:
tests/losses/test_memory.py). `lax.optimization_barrier` does not help: it keeps operations from being merged or moved
across it while the program is optimised, but XLA:CPU removes it before it schedules. A true dependence stays.

The functions with a custom derivative differentiate in reverse mode only (also twice).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def wait_for(dependency: Any, x: Array) -> Array:
    """Makes x depend on other arrays, so that what follows from x is computed after them.

    On the CPU it adds `0 * value` of one element of each; elsewhere it does nothing, as only XLA:CPU needs it.

    Args:
        dependency: any pytree of arrays, none of them empty.
        x: any array of floats.

    Returns:
        x, unchanged in value.
    """
    return lax.platform_dependent(x, dependency, cpu=_add_nothing, default=lambda x, _: x)


def _add_nothing(x: Array, dependency: Any) -> Array:
    elements = [jnp.asarray(leaf[(0,) * leaf.ndim], jnp.float32) for leaf in jax.tree.leaves(dependency)]
    # 0 * inf would be NaN, and XLA may fold 0 * value only where it knows that the value is finite
    zero = sum((0 * jnp.where(jnp.isfinite(value), value, 0) for value in elements), jnp.zeros(()))
    return x + zero.astype(x.dtype)


def tap_with_barrier(reader: Callable[[Array], Any]) -> Callable[[Array], tuple[Array, Any]]:
    """Wraps a reader into an identity with a second output.

    In the backward pass the reader's own gradient is computed only when the gradient from the deeper layers has
    arrived, to which it is added at once, so that it is never held.

    Args:
        reader: a pure function of one array; arrays that it closes over are constants to the derivative.

    Returns:
        `x -> (x, reader(x))`.
    """

    def forward(x: Array) -> tuple[tuple[Array, Any], Array]:
        return (x, reader(x)), x

    def backward(x: Array, cotangents: tuple[Array, Any]) -> tuple[Array]:
        deeper, reading = cotangents
        return (deeper + jax.vjp(reader, wait_for(deeper, x))[1](reading)[0],)

    tap = jax.custom_vjp(lambda x: (x, reader(x)))
    tap.defvjp(forward, backward)
    return tap


def rematerialise(function: Callable[[Any, Array], Any]) -> Callable[[Any, Array], Any]:
    """Wraps a function so that for its gradient nothing but its arguments is kept, and the rest computed again.

    `jax.checkpoint` does so too, but XLA:CPU may start the second computation early; this one waits for the gradient.

    Args:
        function: a pure function `(arguments, x)`, with x an array of floats.

    Returns:
        The same function with that derivative.
    """

    def forward(arguments: Any, x: Array) -> tuple[Any, tuple[Any, Array]]:
        return function(arguments, x), (arguments, x)

    def backward(residuals: tuple[Any, Array], cotangent: Any) -> tuple[Any, Array]:
        arguments, x = residuals
        return jax.vjp(function, arguments, wait_for(cotangent, x))[1](cotangent)

    rematerialised = jax.custom_vjp(function)
    rematerialised.defvjp(forward, backward)
    return rematerialised
