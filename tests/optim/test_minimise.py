import jax
import jax.numpy as jnp
import numpy as np
from optim.problems import MINIMUM, N, box, quadratic, start

from jnst.optim.base import CONVERGED
from jnst.optim.first_order import adam
from jnst.optim.lbfgsb import LBFGSB
from jnst.optim.minimise import minimise


def test_finds_the_minimum_in_the_box_under_jit_and_counts_iterations():
    solve = jax.jit(lambda x, n: minimise(quadratic, x, LBFGSB(rtol=1e-4), bounds=box(x), max_iterations=n))
    x, state = solve(start(), 60)
    np.testing.assert_allclose(x, MINIMUM, atol=1e-3)
    np.testing.assert_allclose(state.value, quadratic(x), rtol=1e-5)
    assert state.status == CONVERGED
    x, state = solve(start(), 3)
    assert state.iterations == 3
    x, state = solve(start() + 5, 0)
    assert state.evaluations == 1
    np.testing.assert_array_equal(x, 1)  # the start, moved into the box


def test_the_best_iterate_is_returned_where_the_last_one_is_not():
    def fun(x):
        return jnp.sum((x - 0.5) ** 2)

    x, state = minimise(fun, start() + 0.01, adam(0.5), max_iterations=1)
    np.testing.assert_allclose(x, start() + 0.01)
    assert state.value > fun(x)


def test_every_form_of_objective_is_one_copy_in_the_lowered_program():
    def with_aux(x, c):
        return jnp.sum(jnp.exp(x - c)), {"c": c}

    def both(x, c):
        return jax.value_and_grad(with_aux, has_aux=True)(x, c)

    def value(x, c):
        return with_aux(x, c)[0]

    forms = [(value, {}), (with_aux, {"has_aux": True}), (both, {"has_aux": True, "value_and_grad": True})]
    for fun, form in forms:
        solve = jax.jit(
            lambda x, c, fun=fun, form=form: minimise(
                fun, x, LBFGSB(), bounds=box(x), max_iterations=5, args=(c,), **form
            )
        ).lower(start(), 1.0)
        once = jax.jit(jax.value_and_grad(value)).lower(start(), 1.0).as_text().count("stablehlo.exponential")
        assert solve.as_text().count("stablehlo.exponential") == once == 1
    x, state = solve.compile()(start(), 1.0)  # pyright: ignore[reportPossiblyUnboundVariable]
    np.testing.assert_array_equal(x, jnp.zeros(N))
    assert state.aux["c"] == 1
