import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jnst.network.region import Region


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16]))
def test_the_mask_of_an_image_in_the_corner_is_a_crop(height, width, stride):
    region = Region.full(1, height, width)
    mask = np.asarray(region.mask((1, 40 // stride, 40 // stride, 5), stride))[0, :, :, 0]
    crop = np.zeros_like(mask)
    crop[: height // stride, : width // stride] = True
    np.testing.assert_array_equal(mask, crop)
    assert region.positions(stride)[0] == crop.sum()


@settings(deadline=None, derandomize=True)
@given(st.integers(-2, 3), st.integers(-2, 3), st.sampled_from([1, 2, 4]))
def test_the_mask_of_a_window_is_a_part_of_the_whole_images(row, column, stride):
    """An image of 30 x 25 pixels, seen through a window of 16 x 16 that may hang over."""
    top, left = 8 * row, 8 * column
    whole = np.zeros((80 // stride, 80 // stride), bool)  # with a margin of 24 pixels, wider than any overhang
    whole[24 // stride : 24 // stride + 30 // stride, 24 // stride : 24 // stride + 25 // stride] = True
    first = (24 + top) // stride, (24 + left) // stride
    expected = whole[first[0] : first[0] + 16 // stride, first[1] : first[1] + 16 // stride]
    region = Region(*(jnp.full(1, value) for value in (top, left, 30, 25)))
    mask = region.mask((1, 16 // stride, 16 // stride, 3), stride)
    np.testing.assert_array_equal(np.asarray(mask)[0, :, :, 0], expected)


def test_half_a_region_is_the_floor():
    halved = Region.full(2, 41, 36).halved()
    assert (int(halved.height[1]), int(halved.width[0])) == (20, 18)


@pytest.mark.parametrize("stride", [1, 4])
def test_every_image_of_a_batch_has_its_own_region(stride):
    region = Region(jnp.zeros(2, jnp.int32), jnp.zeros(2, jnp.int32), jnp.array([8, 20]), jnp.array([12, 16]))
    counts = np.asarray(region.mask((2, 24 // stride, 24 // stride, 1), stride)).sum((1, 2, 3))
    np.testing.assert_array_equal(counts, region.positions(stride))
