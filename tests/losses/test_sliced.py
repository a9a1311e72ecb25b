"""The sliced Wasserstein distance on a grid, beside the exact one by sorting."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from references import evaluate

import jnst
from jnst.losses import objective as objectives
from jnst.losses import sliced, terms
from jnst.losses.objective import Objective

TERM = terms.sliced("conv1_1", form="sum")


def features(seed: int, *, shape=(2, 24, 30, 6), scale=1.0, shift=0.0):
    key = jax.random.split(jax.random.key(seed))
    skewed = jax.nn.softplus(3 * jax.random.normal(key[0], shape)) @ jax.random.normal(key[1], (shape[-1], shape[-1]))
    return scale * skewed + shift


def finished(term, observe, maps, weight, *grid):
    total = jnp.full(len(maps), maps.shape[1] * maps.shape[2]) if weight is None else jnp.sum(weight, (1, 2, 3))
    return terms.mean_over_positions(observe((maps,), (weight,), *grid), (total.astype(maps.dtype),))


@jax.jit  # one program, not one an operation
def target_of(maps, weight=None):
    grid = sliced.grid(finished(TERM, TERM.survey, maps, weight))
    return {"grid": grid, "observed": finished(TERM, TERM.observe, maps, weight, grid)}


@partial(jax.jit, static_argnames="compare")
def distance(maps, target, weight=None, compare=sliced.distance):
    return compare(finished(TERM, TERM.observe, maps, weight, target["grid"]), target)


def exact(a, b, directions) -> float:
    """W2^2 of two maps (h, w, c) of equal size along each direction, summed."""
    p, q = (np.sort(np.asarray(x).reshape(-1, x.shape[-1]) @ np.asarray(directions), 0) for x in (a, b))
    return float(np.sum(np.mean((p - q) ** 2, 0)))


def test_equal_distributions_are_no_distance_apart_wherever_they_lie():
    f = features(0)
    shuffled = f.reshape(2, -1, 6)[:, ::-1].reshape(2, 20, 36, 6)
    np.testing.assert_allclose(distance(shuffled, target_of(f)), 0, atol=1e-6)


@pytest.mark.parametrize(("scale", "shift"), [(1.1, 0.0), (1.0, 0.15), (0.9, -0.1)])
def test_near_the_target_it_is_the_exact_distance(scale, shift):
    normal = jax.random.normal(jax.random.key(0), (1, 60, 60, 4)) + 0.3
    other, target = scale * normal + shift, target_of(normal)
    expected = exact(other[0], normal[0], target["grid"]["directions"][0])
    assert distance(other, target).item() == pytest.approx(expected, rel=0.15)


def test_the_intervals_hold_what_lies_in_them():
    f = features(0, shape=(1, 9, 11, 4))
    target = target_of(f)
    directions, knots = (np.asarray(target["grid"][name][0]) for name in ("directions", "knots"))
    p = np.asarray(f[0]).reshape(-1, 4) @ directions
    for d in range(2):
        t = [-np.inf, *knots[d], np.inf]
        means = [np.mean(np.minimum(p[:, d] - t[1], 0))]
        means += [np.mean(np.clip(p[:, d] - a, 0, b - a)) for a, b in itertools.pairwise(t[1:])]
        np.testing.assert_allclose(target["observed"][0, d], means, atol=1e-5)


def test_it_sees_what_mean_and_covariance_do_not():
    normal, other = (jax.random.normal(jax.random.key(k), (1, 80, 80, 1)) for k in (3, 4))
    signs = jnp.sign(normal) * jnp.sqrt(jnp.mean(normal**2))  # two values of the same mean and variance
    target = target_of(normal)
    assert distance(signs, target) > 20 * distance(other, target)


def test_the_forms_differ_by_the_directions_and_what_they_see():
    f, target = features(1), target_of(features(0))
    whole = distance(f, target)
    np.testing.assert_allclose(distance(f, target, compare=sliced.mean_distance), whole / 3, rtol=1e-6)
    unit = 0.5 * jnp.mean(jnp.sum(jnp.square(features(0)), -1), (1, 2))
    np.testing.assert_allclose(distance(f, target, compare=sliced.relative_distance), whole / unit, rtol=1e-4)
    np.testing.assert_allclose(TERM.size(target), unit, rtol=1e-4)


def test_directions_are_orthonormal_and_always_the_same():
    first, second = (target_of(features(k))["grid"]["directions"] for k in (0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(jnp.einsum("ncd,nce->nde", first, first)[0], np.eye(3), atol=1e-5)


def test_positions_without_weight_do_not_count():
    f, rest = features(0), features(1, scale=50.0)
    weight = jnp.concatenate([jnp.ones((2, 24, 30, 1)), jnp.zeros((2, 24, 30, 1))], 2)
    wide, target = jnp.concatenate([f, rest], 2), target_of(f)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), target_of(wide, weight), target)
    np.testing.assert_allclose(distance(wide, target, weight), 0, atol=1e-5)


def test_the_gradient_is_that_of_the_value():
    with jax.enable_x64(True):
        f, p = (jnp.asarray(features(k, shape=(1, 7, 8, 5)), jnp.float64) for k in (0, 1))
        target, d = target_of(p), jax.random.normal(jax.random.key(9), f.shape)
        value = lambda f: distance(f, target)[0]  # noqa: E731
        slope = (value(f + 1e-7 * d) - value(f - 1e-7 * d)) / 2e-7
        np.testing.assert_allclose(jnp.vdot(jax.grad(value)(f), d), slope, rtol=1e-5)


def test_the_sums_above_the_knots_have_the_gradient_of_automatic_differentiation():
    """Under weights, as of a mask or of a part of a larger array."""
    along, g = features(0, shape=(2, 7, 8, 5)), jax.random.normal(jax.random.key(1), (2, 5, 3))
    weight = jax.random.uniform(jax.random.key(2), (2, 7, 8, 1))
    knots = jnp.sort(jax.random.normal(jax.random.key(3), (2, 5, 3)))

    def plainly(along):
        return jnp.sum(weight[..., None] * jnp.maximum(along[..., None] - knots[:, None, None], 0), (1, 2))

    sums, pull_back = jax.vjp(lambda along: sliced.sum_above(along, weight, knots), along)
    expected, pull_back_plainly = jax.vjp(plainly, along)
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    np.testing.assert_allclose(pull_back(g)[0], pull_back_plainly(g)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("style_loss", ["sliced", "gram+sliced"])
def test_a_run_goes_down_by_it(vgg16, style_loss):
    config = jnst.Config(
        content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), iterations=6, style_loss=style_loss
    )
    result = jnst.stylize(picture(36, 44), picture(40, 33, seed=1), config, vgg16)
    assert result.history[-1].style_loss < 0.7 * result.history[0].style_loss
    assert len(result.history[-1].style_layers) == (2 if style_loss == "sliced" else 4)


@pytest.mark.parametrize("form", ["relative", "mse"])
def test_strength_weighs_it_by_its_unit(vgg16, form):
    objective = Objective((terms.content("conv2_1", form=form), terms.sliced("conv1_1", form=form)))
    images = {"content": picture(36, 44), "style": picture(40, 33, seed=1)}
    targets = objectives.targets(vgg16.params, images, objective=objective)
    groups = objectives.balance(targets, 0.9, objective=objective).groups
    if form == "relative":
        np.testing.assert_allclose(groups["style"], 0.9, rtol=1e-6)
    else:
        target = targets.levels[0]["sliced/conv1_1"]
        at_zero = sliced.mean_distance(jnp.zeros_like(target["observed"]), target)
        np.testing.assert_allclose(groups["style"] * at_zero, 0.9, rtol=1e-5)


def test_colours_themselves_can_be_compared(vgg16):
    objective = Objective((terms.sliced("pixels"),))
    style = picture(40, 33, seed=1)
    targets = objectives.targets(vgg16.params, {"style": style}, objective=objective)
    weights = objectives.default_weights(objective)
    same, other = (evaluate(vgg16.params, x, targets, weights, objective=objective).total for x in (style, style**2))
    assert same < 1e-9 < 1e-3 < other
