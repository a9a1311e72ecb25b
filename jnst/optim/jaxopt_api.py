# pyright: basic
"""jnst's L-BFGS with jaxopt's interface: an `IterativeSolver` with `run`, `init_state`, `update` and `optimality_fun`.

    params, state = LBFGSB(fun, maxiter=100, tol=1e-4).run(init_params, (lower, upper), *args)

Parameters are any pytree. `run` is one loop over evaluations, with one copy of the objective in the lowered program.
The result can be differentiated in reverse mode with respect to the bounds and to the further arguments of `fun`.
"""

import contextlib
import dataclasses
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from jnst.errors import InputError
from jnst.optim import lbfgsb
from jnst.optim.base import LINE_SEARCH, NOT_FINITE, RUNNING, Bounds
from jnst.optim.minimise import evaluator, unbounded
from jnst.optim.preconditioner import Identity, Preconditioner

with warnings.catch_warnings():  # that it is no longer maintained is known here; `python -W error` would end there
    warnings.simplefilter("ignore", DeprecationWarning)
    from jaxopt import base, linear_solve


class JaxoptState(NamedTuple):
    """The state after an iteration, under jaxopt's names."""

    iter_num: Int[Array, ""]
    value: Float[Array, ""]
    grad: Any
    error: Float[Array, ""]
    """norm of the projected gradient"""
    aux: Any
    num_fun_eval: Int[Array, ""]
    failed_linesearch: Array
    status: Int[Array, ""]
    """why the run ended: `jnst.optim.base.Status`"""
    solver: lbfgsb.LBFGSBState


@dataclasses.dataclass(eq=False)
class LBFGSB(base.IterativeSolver):
    """Minimises `fun(params, *args, **kwargs)` within bounds, with jaxopt's interface.

    With `implicit_diff` the result is differentiated by jaxopt's implicit differentiation: on the free variables by
    the inverse of their Hessian, and a variable at a bound moves with the bound. Of the Hessian only products are
    taken, in reverse mode over reverse mode, so that `fun` may contain `jax.custom_vjp` functions.

    Attributes:
        fun: a smooth function, or with `value_and_grad` one that returns value and gradient; with `has_aux` the value
            comes with anything else: `(value, aux)`.
        value_and_grad: see `fun`; or the function that returns both.
        has_aux: see `fun`.
        maxiter: iterations of `run`.
        tol: the run has converged where the projected gradient's norm is at most `tol` times its first one.
        atol: or where its largest component is at most `atol`.
        history_size: pairs that are remembered.
        first_step: mean change of a variable that the first step aims at, before any curvature is known.
        maxls: evaluations of one line search.
        preconditioner: the shape of H0, for parameters that are one array; without, any pytree.
        history_dtype: of the pairs: "float32", "float64", "bfloat16", or None for that of the parameters.
        implicit_diff: whether the result can be differentiated.
        implicit_diff_solve: solves A u = b by products with A, which is symmetric: `jaxopt.linear_solve.solve_cg` by
            default. Where the Hessian of the free variables has (nearly) flat directions, give it a ridge:
            `partial(solve_cg, ridge=1e-3)`.
        jit: whether `update` and the loop of `run` are compiled.
        unroll: not possible, since the number of evaluations is not known beforehand.
        verbose: whether each iteration prints a line.

    Raises:
        InputError: `unroll` is True, or a setting is out of its range.
    """

    fun: Callable
    value_and_grad: bool | Callable = False
    has_aux: bool = False
    maxiter: int = 500
    tol: float = 0.0
    atol: float = 0.0
    history_size: int = 10
    first_step: float = 0.1
    maxls: int = 20
    preconditioner: Preconditioner = Identity()  # noqa: RUF009 (immutable)
    history_dtype: str | None = None
    implicit_diff: bool = True
    implicit_diff_solve: Callable | None = None
    jit: bool = True
    unroll: base.AutoOrBoolean = "auto"
    verbose: bool | int = False

    def __post_init__(self) -> None:
        if self.unroll not in ("auto", False):
            raise InputError("unroll must be 'auto' or False: to differentiate the result use implicit_diff=True")
        self._solver = lbfgsb.LBFGSB(
            history_size=self.history_size, history_dtype=self.history_dtype, first_step=self.first_step,
            max_line_search=self.maxls, rtol=self.tol, atol=self.atol, preconditioner=self.preconditioner,
        )  # fmt: skip
        self.implicit_diff_solve = self.implicit_diff_solve or linear_solve.solve_cg
        parameters = list(inspect.signature(getattr(self.fun, "subfun", self.fun)).parameters.values())
        bounds = inspect.Parameter("bounds", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.reference_signature = inspect.Signature([*parameters[:1], bounds, *parameters[1:]])
        super().__post_init__()

    def init_state(self, init_params: Any, bounds: Any = None, *args: Any, **kwargs: Any) -> JaxoptState:
        """Evaluates the start, which is first moved inside the bounds.

        Args:
            init_params: the start; of an `OptStep` its parameters.
            bounds: `(lower, upper)`, pytrees like the parameters; None for none.
            *args: further arguments of `fun`.
            **kwargs: and those by name.

        Returns:
            The state of iteration 0.
        """
        problem = self._problem(init_params, bounds, args, kwargs)
        return self._view(problem, self._iterate(problem, problem.x, problem.blank)[1])

    def update(self, params: Any, state: JaxoptState, bounds: Any = None, *args: Any, **kwargs: Any) -> base.OptStep:
        """Does one iteration, with all evaluations of its line search; nothing where the run has ended.

        Args:
            params: the iterate.
            state: its state.
            bounds: as in `init_state`.
            *args: further arguments of `fun`.
            **kwargs: and those by name.

        Returns:
            The next iterate and its state.
        """
        problem = self._problem(params, bounds, args, kwargs)
        x, inner = self._iterate(problem, problem.x, state.solver)
        return base.OptStep(problem.unravel(x), self._view(problem, inner))

    def optimality_fun(self, params: Any, bounds: Any, *args: Any, **kwargs: Any) -> Any:
        """Computes what is zero at a solution: the descent direction, and for variables at a bound the way there.

        A variable is at a bound where it lies there and is pushed outwards. The others' gradient is taken with those
        at the very bounds, so that the Jacobian has two blocks: minus the free variables' Hessian, and minus the
        identity. (With jaxopt's `clip(x - gradient) - x` it would not be symmetric, and a gradient below a rounding
        of x would count for half.)

        Args:
            params: the solution.
            bounds: as in `init_state`.
            *args: further arguments of `fun`.
            **kwargs: and those by name.

        Returns:
            A pytree like the parameters.
        """
        problem = self._problem(params, bounds, args, kwargs)
        x, (lower, upper) = problem.x, problem.bounds
        gradient = lax.stop_gradient(problem.evaluate(x)[1])
        at_lower, at_upper = (x <= lower) & (gradient > 0), (x >= upper) & (gradient < 0)
        bound = jnp.where(at_lower, lower, upper)
        active = at_lower | at_upper
        pinned = jnp.where(active, bound, x)
        residual = jnp.where(active, bound - x, -problem.evaluate(pinned)[1])
        return problem.unravel(residual)

    def _run(self, init_params: Any, bounds: Any = None, *args: Any, **kwargs: Any) -> base.OptStep:
        problem = self._problem(init_params, bounds, args, kwargs)

        def unfinished(carry: tuple[Array, lbfgsb.LBFGSBState]) -> Array:
            return (carry[1].status == RUNNING) & (carry[1].iterations < self.maxiter)

        with contextlib.nullcontext() if self.jit else jax.disable_jit():
            step = partial(self._evaluate, problem)
            x, inner = lax.while_loop(unfinished, lambda carry: step(*carry), (problem.x, problem.blank))
        return base.OptStep(problem.unravel(x), self._view(problem, inner))

    def _problem(self, params: Any, bounds: Any, args: tuple, kwargs: dict) -> "_Problem":
        return _problem(self, params, bounds, args, kwargs)

    def _evaluate(self, problem: "_Problem", x: Array, inner: lbfgsb.LBFGSBState) -> tuple[Array, Any]:
        """One evaluation."""
        point = self._solver.point(x, inner, problem.bounds)
        x, inner = self._solver.update(x, inner, problem.bounds, *problem.evaluate(point))
        if self.verbose:
            lax.cond(inner.moved, self.log_info, lambda state: None, self._view(problem, inner))
        return x, inner

    def _iterate(self, problem: "_Problem", x: Array, inner: lbfgsb.LBFGSBState) -> tuple[Array, Any]:
        """Evaluations until an iteration has ended."""
        step = partial(self._evaluate, problem)
        blank = inner._replace(moved=jnp.zeros((), bool))
        return lax.while_loop(
            lambda carry: (carry[1].status == RUNNING) & ~carry[1].moved, lambda carry: step(*carry), (x, blank)
        )

    def _view(self, problem: "_Problem", inner: lbfgsb.LBFGSBState) -> JaxoptState:
        return JaxoptState(
            iter_num=inner.iterations,
            value=inner.value,
            grad=problem.unravel((inner.scale * inner.gradient).reshape(problem.x.shape)),
            error=inner.optimality,
            aux=inner.aux,
            num_fun_eval=inner.evaluations,
            failed_linesearch=(inner.status == LINE_SEARCH) | (inner.status == NOT_FINITE),
            status=inner.status,
            solver=inner,
        )


class _Problem(NamedTuple):
    """What is minimised, over one array."""

    x: Array
    unravel: Callable[[Array], Any]
    bounds: Bounds
    evaluate: Callable[[Array], tuple[Array, Array, Any]]
    blank: lbfgsb.LBFGSBState


def _problem(solver: LBFGSB, params: Any, bounds: Any, args: tuple, kwargs: dict) -> _Problem:
    params = params.params if isinstance(params, base.OptStep) else params
    params = jax.tree.map(jnp.asarray, params)
    single = isinstance(params, jax.Array)
    x, unravel = (params, lambda x: x) if single else ravel_pytree(params)

    def flat(bound: Any) -> Array:
        full = jax.tree.map(lambda p, b: jnp.broadcast_to(jnp.asarray(b, p.dtype), p.shape), params, bound)
        return full if single else ravel_pytree(full)[0]

    box = unbounded(x) if bounds is None else (flat(bounds[0]), flat(bounds[1]))
    form = solver.value_and_grad
    fun, with_gradient = (solver.fun, form) if isinstance(form, bool) else (form, True)
    evaluate_params = evaluator(fun, has_aux=solver.has_aux, value_and_grad=with_gradient, args=args, **kwargs)

    def evaluate(x: Array) -> tuple[Array, Array, Any]:
        value, gradient, aux = evaluate_params(unravel(x))
        return value, gradient if single else ravel_pytree(gradient)[0], aux

    _, _, aux = jax.eval_shape(evaluate, x)
    blank = solver._solver.init(x, aux)
    return _Problem(x, unravel, box, evaluate, blank)
