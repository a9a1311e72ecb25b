from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from jax import lax

from jnst.errors import InputError
from jnst.network import conv, vgg, winograd
from jnst.network.architecture import wrapped_axes
from jnst.network.region import Region
from jnst.network.wrapping import convolve_wrapped


@pytest.fixture(scope="module")
def random_vgg19():
    return vgg.random_params(jax.random.key(0), "vgg19")


AXES = ["no", "x", "y", "xy"]


def plain_conv(x, kernel, tileable):
    """What is meant: one pixel around the map, of the opposite edge or zero, and a convolution without padding."""
    wrap = [(1, 1) if axis in wrapped_axes(tileable) else (0, 0) for axis in range(4)]
    zero = [(1, 1) if axis in (1, 2) and axis not in wrapped_axes(tileable) else (0, 0) for axis in range(4)]
    padded = jnp.pad(jnp.pad(x, wrap, mode="wrap"), zero)
    return lax.conv_general_dilated(padded, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def by_winograd(tile, x, kernel):
    """Its gradient in the kernel is of the first: the second has none."""
    return conv.winograd_conv3x3(x, *(winograd.transform_kernel(kernel, tile),) * 2)


CONVOLUTIONS = {
    "direct": partial(conv.conv3x3, precision="float32"),
    "winograd 2": partial(by_winograd, 2),
    "winograd 4": partial(by_winograd, 4),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize(
    ("shape", "tileable"),
    [
        *(((2, 7, 9, 4), tileable) for tileable in AXES),
        *(
            pytest.param(shape, tileable, marks=[pytest.mark.thorough] if tileable != "xy" else [])
            for shape in ((1, 1, 2, 3), (1, 8, 8, 4))
            for tileable in AXES
        ),
    ],
)
def test_the_opposite_edge_takes_the_place_of_zeros_in_both_directions(shape, tileable, kind):
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 3)
        x = jax.random.normal(keys[0], shape)
        kernel = jax.random.normal(keys[1], (3, 3, shape[-1], 5))
        direction = jax.random.normal(keys[2], (*shape[:3], 5))

        def ours(x, kernel):
            return convolve_wrapped(lambda x: CONVOLUTIONS[kind](x, kernel), x, tileable=tileable)

        y, pull = jax.vjp(ours, x, kernel)
        expected, pull_plain = jax.vjp(partial(plain_conv, tileable=tileable), x, kernel)
        np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10)
        for a, b in zip(pull(direction), pull_plain(direction), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@partial(jax.jit, static_argnames=("layers", "tileable", "checkpoint"))
def maps_and_gradient(params, image, layers, **options):
    maps, pull = jax.vjp(lambda x: vgg.features(params, x, layers, **options), image)
    return maps, pull(jax.tree.map(jnp.sin, maps))[0]


@pytest.mark.parametrize("tileable", [pytest.param("x", marks=pytest.mark.thorough), "xy"])
def test_a_shift_by_the_stride_shifts_the_maps_and_the_gradient(tileable, random_vgg19):
    layers, image = ("conv1_1", "conv3_1"), picture(32, 40)
    params = vgg.prepare_for_inference(random_vgg19, layers)
    shift = {"x": (0, 12), "xy": (8, 12)}[tileable]
    maps, gradient = maps_and_gradient(params, image, layers, tileable=tileable)
    shifted, same = maps_and_gradient(params, jnp.roll(image, shift, (1, 2)), layers, tileable=tileable)
    for name, stride in (("conv1_1", 1), ("conv3_1", 4)):
        moved = jnp.roll(maps[name], [s // stride for s in shift], (1, 2))
        np.testing.assert_allclose(shifted[name], moved, atol=1e-5 * np.abs(moved).max())
    assert np.linalg.norm(same - jnp.roll(gradient, shift, (1, 2))) < 1e-5 * np.linalg.norm(gradient)


def test_an_axis_that_is_not_named_is_padded_with_zeros(random_vgg19):
    image = picture(16, 16)
    maps, _ = maps_and_gradient(random_vgg19, image, ("conv2_1",), tileable="x")
    moved, _ = maps_and_gradient(random_vgg19, jnp.roll(image, 4, 1), ("conv2_1",), tileable="x")
    apart = np.linalg.norm(moved["conv2_1"] - jnp.roll(maps["conv2_1"], 2, 1))
    assert apart > 0.05 * np.linalg.norm(maps["conv2_1"])


def test_the_gradient_comes_the_same_by_a_checkpoint(random_vgg19):
    layers = ("conv2_1",)
    kept = maps_and_gradient(random_vgg19, picture(16, 24), layers, tileable="xy")
    again = maps_and_gradient(random_vgg19, picture(16, 24), layers, tileable="xy", checkpoint=True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), kept, again)


def test_what_would_part_the_two_edges_is_refused(random_vgg19):
    with pytest.raises(InputError, match="multiples of 2 pixels for conv2_1, got 17x16"):
        vgg.features(random_vgg19, picture(16, 17), ("conv2_1",), tileable="x")
    assert vgg.features(random_vgg19, picture(16, 17), ("conv2_1",), tileable="y")["conv2_1"].shape[2] == 8
    with pytest.raises(InputError, match="give no region"):
        vgg.features(random_vgg19, picture(16, 16), ("conv1_1",), tileable="x", region=Region.full(1, 16, 12))
