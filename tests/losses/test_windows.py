import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from references import assert_same, value_and_grad, weights_for

from jnst.errors import InputError
from jnst.losses import objective as objectives
from jnst.losses import terms, windows
from jnst.losses.evaluation import statistics
from jnst.losses.objective import Objective
from jnst.losses.observation import Positions
from jnst.network import vgg
from jnst.network.region import Region


def cross_layer_gram(maps, weights):
    """Of two layers of the same size, a sum over positions."""
    weight = 1 if weights[0] is None else weights[0].astype(maps[0].dtype)
    return jnp.einsum("nhwi,nhwj->nij", weight * maps[0], maps[1])


WHOLE = Objective(
    (
        terms.content("conv2_1"),
        terms.gram("conv1_1"),
        terms.gram("conv3_1", mask="left"),
        terms.moments("conv2_1"),
        terms.wasserstein("conv1_2"),
        terms.sliced("conv2_2"),
        terms.neighbours(("conv1_1", "conv2_1", "conv3_1")),
        terms.custom("cross", ("conv1_1", "conv1_2"), cross_layer_gram, reduce="sum"),
        terms.total_variation(),
    )
)


@pytest.fixture(scope="module")
def params():
    return vgg.random_params(jax.random.key(0), "vgg16")


def gradual(height, width):
    return jnp.broadcast_to(jnp.linspace(1, 0, width)[None, None, :, None], (1, height, width, 1))


@pytest.mark.parametrize(
    ("size", "tile", "options"),
    [((70, 83), 64, {}), ((33, 47), 100, {}), pytest.param((64, 32), 65, {}, marks=pytest.mark.thorough),
     ((70, 83), 64, {"pooling": "average", "checkpoint": True, "style_pyramid_levels": 2})],
)  # fmt: skip
def test_losses_and_gradient_are_those_of_the_whole_image(params, size, tile, options):
    whole = dataclasses.replace(WHOLE, **options)
    by_windows = dataclasses.replace(whole, tile=tile)
    x, images = picture(*size, seed=2), {"content": picture(*size), "style": picture(81, 70, seed=1)}
    make = partial(objectives.targets, params, images, masks={"left": gradual(*size)})
    targets, same_targets = make(objective=whole), make(objective=by_windows)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), same_targets, targets)
    expected = value_and_grad(params, x, targets, weights_for(whole), objective=whole)
    assert_same(value_and_grad(params, x, targets, weights_for(whole), objective=by_windows), expected, tolerance=3e-5)


def test_windows_of_a_part_of_a_larger_array_are_those_of_the_image_alone(params):
    size, whole = (70, 83), Objective(WHOLE.terms)
    x, images = picture(*size, seed=2), {"content": picture(*size), "style": picture(61, 50, seed=1)}
    targets = objectives.targets(params, images, objective=whole, masks={"left": gradual(*size)})
    pad = lambda a: jnp.pad(a, ((0, 0), (0, 96 - size[0]), (0, 96 - size[1]), (0, 0)))  # noqa: E731
    content = {name: pad(a) if name.startswith("content") else a for name, a in targets.levels[0].items()}
    content["content/conv2_1"] = jnp.pad(
        targets.levels[0]["content/conv2_1"], ((0, 0), (0, 48 - size[0] // 2), (0, 48 - size[1] // 2), (0, 0))
    )
    columns = targets.levels[0]["neighbours"]["columns"]
    columns = jnp.pad(columns, ((0, 0), (0, 24 - size[0] // 4), (0, 24 - size[1] // 4), (0, 0)))
    content["neighbours"] = {"columns": columns}
    padded = targets._replace(levels=(content,), masks={"left": pad(targets.masks["left"])})
    expected = value_and_grad(params, x, targets, weights_for(whole), objective=whole)
    losses, gradient = value_and_grad(
        params, pad(x), padded, weights_for(whole),
        objective=dataclasses.replace(whole, tile=64), region=Region.full(1, *size),
    )  # fmt: skip
    assert_same((losses, gradient[:, : size[0], : size[1]]), expected, tolerance=3e-5)


def test_the_grid_covers_the_image():
    grid = windows.grid(300, 1000, 400, "vgg19", ("conv5_1", "conv1_1"))
    assert grid.margin == 96
    assert grid.core == 208
    assert (grid.rows, grid.columns, grid.count) == (2, 5, 10)


def test_slices_and_places_are_inverse():
    grid = windows.Windows(height=37, width=50, core=16, margin=8)
    x = picture(37, 50)
    whole = jnp.zeros((1, grid.rows * 8, grid.columns * 8, 3))
    for k in range(grid.count):
        core = grid.inner(grid.slice(grid.pad(x), jnp.int32(k)), 1)
        whole = grid.place(whole, core[:, ::2, ::2], 2, jnp.int32(k))
        np.testing.assert_array_equal(grid.take(whole, (1, 8, 8, 3), 2, jnp.int32(k)), core[:, ::2, ::2])
    np.testing.assert_array_equal(whole[:, : math.ceil(37 / 2), :25], x[:, ::2, ::2])
    np.testing.assert_array_equal(grid.unpad(grid.pad(x)), x)


def test_the_receptive_radius_is_how_far_a_value_looks(params):
    """Measured: the pixels on which one value of a map depends."""
    for layer in ("conv1_2", "conv2_1", "conv3_1"):
        x = picture(96, 96)
        unit = 2 ** (int(layer[4]) - 1)
        middle = 48 // unit

        def value(x, layer=layer, middle=middle):
            return jnp.sum(vgg.features(params, x, [layer], pooling="average")[layer][0, middle, middle])

        seen = np.flatnonzero(np.abs(jax.jit(jax.grad(value))(x)).sum((0, 2, 3)))
        radius = windows.receptive_radius("vgg16", [layer])
        assert seen.max() - middle * unit == radius
        assert middle * unit - seen.min() <= radius


@pytest.mark.parametrize(("layer", "need"), [("conv5_1", 208), ("conv1_1", 3)])
def test_a_window_must_hold_the_receptive_field(layer, need):
    windows.grid(300, 300, need, "vgg19", (layer,))
    with pytest.raises(InputError, match=rf"receptive field of {layer}: at least {need}, or 0"):
        windows.grid(300, 300, need - 1, "vgg19", (layer,))


def test_the_gradient_in_the_parameters_is_refused(params):
    def loss(params):
        objective, x = Objective((terms.gram("conv1_1"),), tile=64), picture(40, 80)
        return jnp.sum(statistics(params, x, objective.terms, objective=objective, positions=Positions(None, {}))[0])

    with pytest.raises(InputError, match=r"tile`? must be 0 for a gradient in the network's parameters"):
        jax.grad(loss)(params)
