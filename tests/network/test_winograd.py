import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jnst.network import conv, winograd


def plain_conv(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def problem(shape, width, dtype):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], shape, dtype)
    kernel = jax.random.normal(keys[1], (3, 3, shape[-1], width), dtype)
    return x, kernel, jax.random.normal(keys[2], (*shape[:3], width), dtype)


@pytest.mark.parametrize("shape", [(2, 7, 9, 4), (1, 1, 5, 4), (1, 16, 8, 4), (1, 33, 6, 4)])
@pytest.mark.parametrize("strip_bytes", [winograd.STRIP_BYTES, 1000])
@pytest.mark.parametrize(("tile", "gradient_tile"), [(2, 2), (2, 4), (4, 4)])
def test_values_and_gradients_are_those_of_a_plain_convolution(shape, strip_bytes, tile, gradient_tile, monkeypatch):
    monkeypatch.setattr(winograd, "STRIP_BYTES", strip_bytes)  # small strips: the last one hangs over
    with jax.enable_x64(True):
        x, kernel, g = problem(shape, 5, jnp.float64)

        @jax.jit
        def both(x, kernel, g):
            transformed = winograd.transform_kernel(kernel, gradient_tile)
            assert transformed.shape == ((gradient_tile + 2) ** 2, shape[-1], 5)
            forward = winograd.transform_kernel(kernel, tile)
            ours, pull_ours = jax.vjp(lambda x: conv.winograd_conv3x3(x, forward, transformed), x)
            theirs, pull_theirs = jax.vjp(lambda x: plain_conv(x, kernel), x)
            return (ours, pull_ours(g)), (theirs, pull_theirs(g))

        ours, theirs = both(x, kernel, g)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), ours, theirs)


def test_the_gradient_in_x_is_by_the_kernel_that_is_given_for_it():
    """Equal kernels give equal gradients, whichever is used; so another one is given."""
    x, kernel, g = problem((1, 6, 7, 3), 2, jnp.float32)
    transformed = winograd.transform_kernel(kernel, 2)
    for factor in (1, 2):
        _, pull = jax.vjp(lambda x, f=factor: conv.winograd_conv3x3(x, transformed, f * transformed), x)
        expected = factor * winograd.convolve_transposed(g, transformed)
        np.testing.assert_allclose(pull(g)[0], expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_in_the_transformed_kernel_is_exact():
    """Nobody asks for it on the way to an image, but a custom derivative must not lie."""
    with jax.enable_x64(True):
        x, kernel, g = problem((1, 6, 7, 3), 2, jnp.float64)

        def gradient_of(convolve):
            return jax.jit(lambda kernel, g: jax.vjp(convolve, kernel)[1](g)[0])(kernel, g)

        def ours(k):
            return conv.winograd_conv3x3(x, winograd.transform_kernel(k, 4), winograd.transform_kernel(kernel, 2))

        gradient = gradient_of(ours)
        expected = gradient_of(lambda k: plain_conv(x, k))
        np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("tile", "bound"), [(2, 5e-7), (4, 2e-6)])
def test_its_rounding_is_that_of_a_direct_convolution_or_a_few_times_as_much(tile, bound):
    with jax.enable_x64(True):
        x, kernel, _ = problem((1, 16, 16, 256), 32, jnp.float64)
        x = jax.nn.relu(x)
        exact = plain_conv(x, kernel)
        x, kernel = (a.astype(jnp.float32) for a in (x, kernel))
        error = jax.jit(winograd.convolve)(x, winograd.transform_kernel(kernel, tile)) - exact
    assert np.linalg.norm(error) < bound * np.linalg.norm(exact)


@pytest.mark.thorough
def test_it_maps_over_images():
    x, kernel, _ = problem((3, 9, 8, 4), 5, jnp.float32)
    transformed = winograd.transform_kernel(kernel, 2)
    one_by_one = jax.jit(jax.vmap(lambda x: winograd.convolve(x[None], transformed)[0]))(x)
    np.testing.assert_allclose(one_by_one, jax.jit(winograd.convolve)(x, transformed), rtol=1e-5, atol=1e-5)
