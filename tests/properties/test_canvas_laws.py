"""Laws of the padded sizes that pictures of different sizes share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jnst.batching import MAX_PADDING_FRACTION, canvas_of, pad_to

SIDES = st.integers(32, 9000)


@given(SIDES, SIDES)
def test_an_image_fits_its_canvas_and_little_is_wasted(height, width):
    canvas = canvas_of((height, width))
    assert canvas[0] >= height
    assert canvas[1] >= width
    assert height * width >= (1 - MAX_PADDING_FRACTION) * canvas[0] * canvas[1]


@given(SIDES, SIDES)
def test_an_image_on_its_side_has_the_canvas_on_its_side(height, width):
    assert canvas_of((height, width)) == canvas_of((width, height))[::-1]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_an_image_in_the_corner_of_its_canvas_is_whole_and_the_rest_zero(height, width, below, beside):
    image = np.random.default_rng(0).uniform(0.1, 1, (1, height, width, 3)).astype(np.float32)
    padded = pad_to(image, (height + below, width + beside))
    assert padded.shape == (1, height + below, width + beside, 3)
    assert (padded[:, :height, :width] == image).all()
    assert padded.sum(dtype=np.float64) == image.sum(dtype=np.float64)
