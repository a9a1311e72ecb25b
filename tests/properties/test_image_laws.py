"""Laws of resampling, and of files that lose nothing but the rounding to 8 bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jnst.io import image

SIDES = st.integers(32, 80)


@given(SIDES, SIDES, st.integers(1, 120), st.integers(1, 120), st.floats(0, 1))
def test_a_flat_image_stays_flat(height, width, new_height, new_width, level):
    flat = np.full((1, height, width, 3), level, np.float32)
    np.testing.assert_allclose(image.resize(flat, new_height, new_width), level, atol=2e-6)


@given(SIDES, st.integers(1, 100))
def test_the_weights_of_a_row_of_pixels_sum_to_one(side, new_side):
    """Partition of unity: the images of which each has one white row add up to a white image."""
    grey = np.full((side, side, 4, 3), 0.5, np.float32)  # so that negative weights are not cut off at 0
    lighter = grey.copy()
    lighter[np.arange(side), np.arange(side)] += 0.25
    total = image.resize(lighter, new_side, 4).astype(np.float64) - 0.5
    np.testing.assert_allclose(total.sum(0), 0.25, atol=1e-5)


@given(SIDES, SIDES, st.integers(0, 300))
def test_the_longer_side_is_bounded_and_the_shape_kept(height, width, image_size):
    new_height, new_width = image.fit((height, width), image_size)
    if not image_size or max(height, width) <= image_size:
        assert (new_height, new_width) == (height, width)
    else:
        assert max(new_height, new_width) == image_size
        shorter = min(height, width) * image_size / max(height, width)
        assert min(new_height, new_width) == pytest.approx(max(1, shorter), abs=0.51)


@given(SIDES, SIDES, st.sampled_from([".png", ".tif"]), st.integers(0, 2**32 - 1))
def test_files_keep_all_8_bits(tmp_path, height, width, suffix, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (1, height, width, 3)).astype(np.float32) / 255
    image.save(pixels, tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(image.load(tmp_path / f"x{suffix}"), pixels)
    with open(tmp_path / f"x{suffix}", "rb") as file:
        assert len(file.read()) > 100
