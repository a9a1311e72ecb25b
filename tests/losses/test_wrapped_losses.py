"""An objective whose result goes on at its opposite edge: a shift of the image is a shift of its gradient."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from references import assert_same, distance, evaluate, joint, value_and_grad

from jnst.errors import InputError
from jnst.losses import objective as objectives
from jnst.losses import statistics, terms
from jnst.losses.objective import Objective
from jnst.losses.pyramid import halve
from jnst.network.vgg import prepare_for_inference

CONTENT, STYLE = "conv2_2", ("conv1_1", "conv3_1")  # stride 4, two levels: multiples of 8


def objective_of(tileable, **options):
    made = [terms.content(CONTENT)]
    made += [make(layer, weight=0.5) for layer in STYLE for make in (terms.gram, terms.sliced)]
    made += [terms.total_variation(tileable=tileable)]
    return Objective(tuple(made), style_pyramid_levels=2, tileable=tileable, **options)


def image(height, width, seed):
    return jnp.asarray(picture(height, width, seed=seed), jnp.result_type(float))


def problem(params, tileable, shift=(0, 0), **options):
    """The objective, its image and targets, the image and the photograph shifted."""
    objective = objective_of(tileable, **options)
    x, photograph = (jnp.roll(image(64, 80, seed), shift, (1, 2)) for seed in (0, 1))
    targets = objectives.targets(params, {"content": photograph, "style": image(70, 66, 2)}, objective=objective)
    return x, targets, objective


def gradient_of(params, tileable, shift=(0, 0), **options):
    x, targets, objective = problem(params, tileable, shift, **options)
    weights = objectives.default_weights(objective)
    return value_and_grad(params, x, targets, weights, objective=objective)


@pytest.mark.parametrize(("tileable", "shift"), [("x", (0, 24)), ("y", (8, 0)), ("xy", (40, 16))])
def test_a_shifted_image_has_the_same_losses_and_a_shifted_gradient(tileable, shift, vgg16):
    with jax.enable_x64(True):  # where no rounding switches a ReLU
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), vgg16.params)
        params = prepare_for_inference(params, (CONTENT, *STYLE))
        losses, gradient = gradient_of(params, tileable)
        same, shifted = gradient_of(params, tileable, shift)
        assert_same((same, shifted), (losses, jnp.roll(gradient, shift, (1, 2))), tolerance=1e-6)


def test_neighbours_do_too(vgg16):
    objective = Objective((terms.neighbours(("conv1_1", "conv3_1", "conv4_1")),), tileable="x")
    results = []
    for shift in (0, 16):
        x = jnp.roll(picture(64, 80), shift, 2)
        images = {"style": picture(70, 66, seed=2)}
        targets = objectives.targets(vgg16.params, images, objective=objective, start=x)
        weights = objectives.default_weights(objective)
        results.append(value_and_grad(vgg16.params, x * 0.9, targets, weights, objective=objective))
    (losses, gradient), moved = results
    assert_same(moved, (losses, jnp.roll(gradient, 16, 2)))


@pytest.mark.parametrize(("tileable", "shift"), [("x", (24, 0)), ("y", (0, 24)), ("no", (8, 0))])
def test_along_an_axis_that_is_not_named_they_do_not(tileable, shift, vgg16):
    losses, gradient = gradient_of(vgg16.params, tileable)
    others, shifted = gradient_of(vgg16.params, tileable, shift)
    assert abs(others.total[0] / losses.total[0] - 1) > 1e-3
    assert distance(shifted, jnp.roll(gradient, shift, (1, 2))) > 0.01


@pytest.mark.parametrize("gradients", ["shared", "separate"])
def test_the_gradient_is_that_of_plain_differentiation(gradients, vgg16):
    x, targets, objective = problem(vgg16.params, "xy", gradients=gradients)
    weights = objectives.default_weights(objective)
    ours = value_and_grad(vgg16.params, x, targets, weights, objective=objective)
    assert_same(ours, joint(vgg16.params, x, targets, weights, objective=objective), tolerance=1e-4)


def test_the_gradient_is_the_slope_of_the_loss(vgg16):
    """By differences, at the edge alone: there zero padding would have another slope."""
    x, targets, objective = problem(vgg16.params, "xy")
    weights = objectives.default_weights(objective)
    gradient = value_and_grad(vgg16.params, x, targets, weights, objective=objective)[1]
    edge = jnp.zeros_like(x).at[:, :2].set(1).at[:, -2:].set(1).at[:, :, :2].set(1).at[:, :, -2:].set(1)
    direction = edge * jnp.sign(gradient)
    step = 2e-3
    losses = [evaluate(vgg16.params, x + s * direction, targets, weights, objective=objective) for s in (step, -step)]
    slope = (losses[0].total[0] - losses[1].total[0]) / (2 * step)
    np.testing.assert_allclose(slope, jnp.sum(gradient * direction), rtol=0.02)


def test_a_painting_keeps_its_edges(vgg16):
    images = {"content": picture(64, 80, seed=1), "style": picture(72, 64, seed=2)}
    found = {}
    for tileable in ("no", "xy"):
        objective = replace(objective_of("no"), tileable=tileable)
        found[tileable] = objectives.targets(vgg16.params, images, objective=objective).levels
    names = [term.name for term in objective.terms if term.group == "style"]
    for level, same in zip(found["no"], found["xy"], strict=True):
        jax.tree.map(np.testing.assert_array_equal, *({n: part[n] for n in names} for part in (level, same)))
    name = f"content/{CONTENT}"
    maps, wrapped = found["no"][0][name], found["xy"][0][name]
    np.testing.assert_allclose(wrapped[:, 8:-8, 8:-8], maps[:, 8:-8, 8:-8], rtol=1e-4, atol=1e-4)
    assert distance(wrapped[:, :1], maps[:, :1]) > 0.05


@pytest.mark.parametrize(("tileable", "shift"), [("x", (0, 6)), ("y", (10, 0)), ("xy", (2, 38))])
def test_halving_a_shifted_image_shifts_the_half(tileable, shift):
    x = picture(24, 40)
    moved = halve(jnp.roll(x, shift, (1, 2)), tileable=tileable)
    half = jnp.roll(halve(x, tileable=tileable), [s // 2 for s in shift], (1, 2))
    np.testing.assert_allclose(moved, half, atol=1e-6)
    np.testing.assert_allclose(halve(x, tileable=tileable)[:, 3:-3, 3:-3], halve(x)[:, 3:-3, 3:-3], atol=1e-6)
    with pytest.raises(InputError, match="even sides at each but the smallest level, got 15x15"):
        halve(picture(15, 15), tileable=tileable)


def test_the_variation_has_the_step_over_the_edge():
    x = jnp.zeros((1, 4, 5, 3)).at[:, :, 0].set(1)  # a bright column, dark at its right and beyond the left edge
    np.testing.assert_allclose(statistics.total_variation(x), 1 / 4)
    np.testing.assert_allclose(statistics.total_variation(x, tileable="x"), 2 / 5)
    np.testing.assert_allclose(statistics.total_variation(x, tileable="y"), 1 / 4)
    ones = jnp.ones((1, 4, 5, 1))
    np.testing.assert_allclose(statistics.total_variation(x, weights=ones, tileable="x"), 2 / 5, rtol=1e-6)
    left = ones.at[:, :, -1].set(0)  # what is not counted has no difference
    np.testing.assert_allclose(statistics.total_variation(x, weights=left, tileable="x"), 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("form", ["squares", "absolute"])
def test_the_variation_of_either_form_is_that_of_any_shift(form):
    term, x = terms.total_variation(form=form, tileable="xy"), picture(9, 13)
    whole, moved = (term.observe((image,), (None,)) for image in (x, jnp.roll(x, (4, 5), (1, 2))))
    np.testing.assert_allclose(whole, moved, rtol=1e-5)
    assert whole[0] != terms.total_variation(form=form).observe((x,), (None,))[0]


def test_windows_are_refused():
    with pytest.raises(InputError, match="tileable x needs the whole image at once"):
        objective_of("x", tile=64)
