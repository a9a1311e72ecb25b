import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from hypothesis import given, settings
from hypothesis import strategies as st

from jnst.errors import InputError
from jnst.io.image import resize
from jnst.losses.pyramid import halve
from jnst.losses.sizes import Scale, pyramid_levels, scales
from jnst.network.region import Region


@pytest.mark.parametrize(
    ("size", "requested", "sides"),
    [
        ((384, 512), ("auto",), [128, 256, 512]),
        ((288, 384), ("auto",), [96, 192, 384]),
        ((288, 383), ("auto",), [192, 383]),
        ((144, 192), ("auto",), [96, 192]),
        ((90, 512), ("auto",), [256, 512]),
        ((96, 191), ("auto",), [191]),
        ((384, 512), ("1",), [512]),
        ((384, 512), ("2",), [256, 512]),
        ((384, 512), ("100", "200"), [100, 200, 512]),
        ((384, 512), ("200", "512"), [200, 512]),
    ],
)
def test_the_sizes_are_those_that_were_asked_for(size, requested, sides):
    planned = scales(size[0], size[1], 90, requested)
    assert [scale.width for scale in planned] == sides
    for scale in planned:
        assert abs(scale.height - scale.width * size[0] / size[1]) <= 0.5


def test_the_iterations_are_spread_and_none_is_lost():
    assert [scale.iterations for scale in scales(384, 512, 100, ("3",))] == [33, 33, 34]
    assert scales(384, 512, 2, ("3",)) == [Scale(192, 256, 1), Scale(384, 512, 1)]
    assert scales(384, 512, 0, ("3",)) == [Scale(384, 512, 0)]


@pytest.mark.parametrize(
    ("size", "requested", "message"),
    [
        ((64, 256), ("64", "128"), "scales 64 makes an image of 64x16; sides must be at least 32"),
        ((192, 256), ("128", "300"), "scales 300 must be smaller than the image, 256x192"),
        ((192, 256), ("5",), "scales 5 is too many: this image has room for 3, of sides of 32"),
    ],
)
def test_scales_that_cannot_be_are_refused(size, requested, message):
    with pytest.raises(InputError) as caught:
        scales(size[0], size[1], 90, requested)
    assert message in str(caught.value).replace("`", "")


@settings(deadline=None, derandomize=True)
@given(st.integers(32, 2000), st.integers(32, 2000), st.integers(0, 500), st.sampled_from([("auto",), ("1",), ("2",)]))
def test_the_iterations_sum_and_the_sizes_grow(height, width, iterations, requested):
    if requested == ("2",) and min(height, width) < 64:
        return
    planned = scales(height, width, iterations, requested)
    assert sum(scale.iterations for scale in planned) == iterations
    assert (planned[-1].height, planned[-1].width) == (height, width)
    sides = [max(scale.height, scale.width) for scale in planned]
    assert sides == sorted(set(sides))
    assert min(min(scale.height, scale.width) for scale in planned) >= 32


@pytest.mark.parametrize(("side", "requested", "levels"), [(140, 5, 3), (40, 5, 1), (64, 2, 2), (64, 3, 2), (99, 1, 1)])
def test_no_level_has_a_side_below_32_pixels(side, requested, levels):
    assert pyramid_levels(side, requested) == levels


@pytest.mark.parametrize(("side", "levels"), [(40, 1), (119, 1), (120, 2), (192, 2), (240, 3), (2000, 3)])
def test_a_run_compares_the_style_where_it_sees_strokes(side, levels):
    """Unless the picture itself is smaller."""
    assert pyramid_levels(side, 3, smallest=60) == levels


def test_half_of_an_even_image_is_what_resizing_gives():
    image = picture(40, 36) * 0.5 + 0.25  # far from the bounds
    np.testing.assert_allclose(halve(image), resize(image, 20, 18), atol=1e-5)


def test_half_keeps_flat_images_flat_and_drops_the_odd_row():
    flat = halve(jnp.full((2, 41, 35, 3), 0.25))
    assert flat.shape == (2, 20, 17, 3)
    np.testing.assert_allclose(flat, 0.25, atol=1e-6)


def test_what_alternates_from_pixel_to_pixel_is_gone():
    stripes = jnp.broadcast_to((jnp.arange(64) % 2)[None, None, :, None], (1, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(halve(stripes)[:, 4:-4, 4:-4], 0.5, atol=0.01)


def test_half_of_a_part_is_that_of_the_image_alone():
    image = picture(41, 35)
    padded = jnp.zeros((1, 64, 48, 3)).at[:, :41, :35].set(image)
    halves = halve(padded, region=Region.full(1, 41, 35))
    np.testing.assert_allclose(halves[:, :20, :17], halve(image), atol=1e-6)
    assert not halves[:, 20:].any()
    assert not halves[:, :, 17:].any()
