"""The face for optimistix, where it is installed."""

import jax.numpy as jnp
import numpy as np
import pytest

optimistix = pytest.importorskip("optimistix", reason="the extra `optimistix` is not installed")

from jnst.optim.optimistix_api import LBFGSB  # noqa: E402

TARGET = {"a": jnp.float32([-0.5, 0.25, 2.0]), "b": jnp.float32(0.75)}
SCALES = {"a": jnp.float32([1.0, 30.0, 5.0]), "b": jnp.float32(100.0)}


def quadratic(y, factor):
    terms = [factor * SCALES[name] * (y[name] - TARGET[name]) ** 2 for name in y]
    return sum(jnp.sum(term) for term in terms), {"seen": y["b"]}


def test_a_pytree_is_minimised_within_its_bounds():
    start = {"a": jnp.full(3, 5.0), "b": jnp.float32(-4.0)}
    options = {"lower": 0.0, "upper": {"a": jnp.ones(3), "b": jnp.float32(1.0)}}
    solution = optimistix.minimise(quadratic, LBFGSB(), start, jnp.float32(2.0), options, has_aux=True, max_steps=200)
    np.testing.assert_allclose(solution.value["a"], [0, 0.25, 1], atol=1e-5)
    np.testing.assert_allclose(solution.value["b"], 0.75, atol=1e-5)
    np.testing.assert_allclose(solution.aux["seen"], solution.value["b"])
    assert solution.stats["evaluations"] < 60
    assert solution.result == optimistix.RESULTS.successful


def test_without_bounds_it_finds_rosenbrocks_minimum():
    def rosenbrock(y, _):
        return 100 * (y[1] - y[0] ** 2) ** 2 + (1 - y[0]) ** 2

    solution = optimistix.minimise(rosenbrock, LBFGSB(atol=1e-3), jnp.float32([-1.2, 1.0]), max_steps=300)
    np.testing.assert_allclose(solution.value, [1, 1], atol=1e-2)


def test_a_start_without_a_finite_value_is_told():
    solution = optimistix.minimise(lambda y, _: jnp.sum(y) * jnp.nan, LBFGSB(), jnp.ones(2), throw=False)
    assert solution.result == optimistix.RESULTS.nonlinear_divergence
