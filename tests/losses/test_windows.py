import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture

from jnst import InputError
from jnst.losses import objective
from jnst.losses import windows as tiles
from jnst.losses.objective import LossWeights, Spec
from jnst.network import vgg

WHOLE = Spec(content_layers=("conv2_1",), style_layers=("conv1_1", "conv3_1"))
WEIGHTS = LossWeights(*(jnp.asarray(w, jnp.float32) for w in (0.3, 0.7, (0.4, 0.6), 0.1)))
value_and_grad = jax.jit(objective.value_and_grad, static_argnames="spec")


@pytest.fixture(scope="module")
def params():
    return vgg.random_params(jax.random.key(0), "vgg16")


def error(a, b):
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(b)


@pytest.mark.parametrize(("size", "tile"), [((70, 83), 64), ((33, 47), 100), ((64, 32), 65)])
@pytest.mark.parametrize("options", [{}, {"pooling": "average", "checkpoint": True}])
def test_losses_and_gradient_are_those_of_the_whole_image(params, size, tile, options):
    whole = dataclasses.replace(WHOLE, **options)
    by_tiles = dataclasses.replace(whole, tile=tile)
    x, content, style = picture(*size, seed=2), picture(*size), picture(61, 50, seed=1)
    target = objective.targets(params, content, style, spec=whole)
    same_target = objective.targets(params, content, style, spec=by_tiles)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), same_target, target)
    losses, gradient = value_and_grad(params, x, target, WEIGHTS, spec=whole)
    same_losses, same_gradient = value_and_grad(params, x, target, WEIGHTS, spec=by_tiles)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), same_losses, losses)
    assert error(same_gradient, gradient) < 1e-5


def test_the_grid_covers_the_image():
    plan = tiles.grid(300, 1000, 400, "vgg19", ("conv5_1", "conv1_1"))
    assert plan.margin == 96
    assert plan.core == 208
    assert (plan.rows, plan.columns) == (2, 5)


def test_the_receptive_radius_is_how_far_a_value_looks(params):
    """Measured: the pixels on which one value of a map depends."""
    for layer in ("conv1_2", "conv2_1", "conv3_1"):
        x = picture(96, 96)
        unit = 2 ** (int(layer[4]) - 1)
        middle = 48 // unit

        def value(x, layer=layer, middle=middle):
            return jnp.sum(vgg.features(params, x, [layer], pooling="average")[layer][0, middle, middle])

        seen = np.flatnonzero(np.abs(jax.jit(jax.grad(value))(x)).sum((0, 2, 3)))
        radius = tiles.receptive_radius("vgg16", [layer])
        assert seen.max() - middle * unit == radius
        assert middle * unit - seen.min() <= radius


@pytest.mark.parametrize(("layer", "need"), [("conv5_1", 208), ("conv1_1", 3)])
def test_a_window_must_hold_the_receptive_field(layer, need):
    tiles.grid(300, 300, need, "vgg19", (layer,))
    with pytest.raises(InputError, match=rf"receptive field of {layer}: at least {need}, or 0"):
        tiles.grid(300, 300, need - 1, "vgg19", (layer,))


def test_the_gradient_in_the_parameters_is_refused(params):
    def loss(params):
        spec = dataclasses.replace(WHOLE, tile=64)
        return jnp.sum(objective.statistics(params, picture(40, 80), spec=spec).gram["conv1_1"])

    with pytest.raises(InputError, match="not known by tiles"):
        jax.grad(loss)(params)
