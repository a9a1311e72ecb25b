"""The distance of Gaussians, beside SciPy's matrix roots."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from scipy import linalg

import jnst
from jnst.losses import terms, wasserstein

CONTENT, STYLE = picture(36, 44), picture(40, 33, seed=1)


def matrices(count: int, filters: int, positions: int, seed: int) -> np.ndarray:
    f = np.random.default_rng(seed).normal(size=(count, positions, filters)) * np.geomspace(1, 0.1, filters)
    return np.einsum("npi,npj->nij", f, f) / positions


def exact(mean, covariance, other_mean, other):
    root = np.real(np.asarray(linalg.sqrtm(covariance @ other)))
    return np.sum((mean - other_mean) ** 2) + np.trace(covariance) + np.trace(other) - 2 * np.trace(root)


def moments(count: int, filters: int, seed: int, positions: int = 200) -> dict[str, jax.Array]:
    mean = np.random.default_rng(seed).normal(size=(count, filters))
    covariance = matrices(count, filters, positions, seed)
    return {"mean": jnp.asarray(mean, jnp.float32), "covariance": jnp.asarray(covariance, jnp.float32)}


def test_the_distance_is_that_of_gaussians():
    a, b = moments(2, 12, 0), moments(2, 12, 1)
    expected = [
        exact(
            np.asarray(a["mean"][k]), np.asarray(a["covariance"][k], np.float64),
            np.asarray(b["mean"][k]), np.asarray(b["covariance"][k], np.float64),
        )
        for k in range(2)
    ]  # fmt: skip
    np.testing.assert_allclose(wasserstein.gaussian_distance(a, b), expected, rtol=2e-3)
    np.testing.assert_allclose(wasserstein.gaussian_distance(b, a), expected, rtol=2e-3)


@pytest.mark.parametrize("positions", [200, 6])
def test_equal_moments_are_no_distance_apart_also_where_positions_are_few(positions):
    a = moments(2, 24, 0, positions)
    assert np.all(np.abs(wasserstein.gaussian_distance(a, a)) < 2e-3 * wasserstein.energy(a))
    other = moments(2, 24, 1, positions)
    assert np.all(wasserstein.gaussian_distance(a, other) > 0.1 * wasserstein.energy(a))


def test_a_flat_image_is_as_far_as_its_target_is_large():
    a = moments(1, 8, 0)
    zero = jax.tree.map(jnp.zeros_like, a)
    np.testing.assert_allclose(wasserstein.gaussian_distance(zero, a), wasserstein.energy(a), rtol=0.1)
    assert abs(wasserstein.gaussian_distance(zero, zero).item()) < 1e-5


def test_the_derivative_is_that_of_the_trace():
    a, b = (jnp.asarray(matrices(1, 6, 100, seed), jnp.float32) for seed in (2, 3))
    direction = jnp.asarray(matrices(1, 6, 100, 4), jnp.float32)
    for which in (0, 1):

        def along(t, which=which):
            pair = [a, b]
            pair[which] = pair[which] + t * direction
            return wasserstein.trace_of_root(*pair)[0]

        slope = (along(1e-2) - along(-1e-2)) / 2e-2
        np.testing.assert_allclose(jax.grad(along)(0.0), slope, rtol=5e-3)


def test_the_term_compares_means_and_covariances():
    f, s = (jax.random.uniform(jax.random.key(k), (1, 9, 11, 5)) * (1 + k) for k in (0, 1))
    term = terms.wasserstein("conv1_1", form="sum")
    assert term.finish is not None
    found = [term.finish(term.observe((maps,), (None,)), (jnp.full(1, 99.0),)) for maps in (f, s)]
    flat = [np.asarray(maps, np.float64).reshape(99, 5) for maps in (f, s)]
    expected = exact(*(x for maps in flat for x in (maps.mean(0), np.cov(maps.T, bias=True))))
    np.testing.assert_allclose(term.compare(*found), [expected], rtol=5e-3)
    unit = np.sum(flat[1] ** 2) / 99
    np.testing.assert_allclose(term.size(found[1]), [unit], rtol=1e-5)
    relative = terms.wasserstein("conv1_1").compare(*found)
    np.testing.assert_allclose(relative, [expected / unit], rtol=5e-3)


@pytest.mark.parametrize("style_loss", ["wasserstein", "gram+moments"])
def test_a_run_goes_down_by_it(vgg16, style_loss):
    config = jnst.Config(
        content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), iterations=6, style_loss=style_loss
    )
    result = jnst.stylize(CONTENT, STYLE, config, vgg16)
    assert result.history[-1].style_loss < 0.7 * result.history[0].style_loss
    names = result.history[-1].style_layers
    assert len(names) == (2 if style_loss == "wasserstein" else 4)
    weights = dataclasses.replace(config, style_layer_weights=(1.0, 0.0))
    (first, *_) = jnst.problem.default_terms(weights)[1:]
    assert first.weight == (1 if style_loss == "wasserstein" else 0.5)
