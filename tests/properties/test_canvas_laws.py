"""Laws of the padded sizes that pictures of different sizes share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jnst.batching import MAX_PADDING_FRACTION, bucket_sizes, pad_to

SIDES = st.integers(32, 600)
COUNTS = st.dictionaries(st.tuples(SIDES, SIDES), st.integers(1, 9), min_size=1, max_size=12)


@given(COUNTS)
def test_every_size_fits_its_canvas(counts):
    chosen = bucket_sizes(counts)
    assert set(chosen) == set(counts)
    assert all(size[0] <= canvas[0] and size[1] <= canvas[1] for size, canvas in chosen.items())


@given(COUNTS, st.floats(0, 0.5))
def test_the_waste_stays_within_its_bound(counts, waste):
    chosen = bucket_sizes(counts, max_padding=waste)
    images = sum(n * h * w for (h, w), n in counts.items())
    computed = sum(n * chosen[size][0] * chosen[size][1] for size, n in counts.items())
    assert images <= computed <= images / (1 - waste) + 1e-6 * images


@given(SIDES, SIDES, st.integers(1, 1000))
def test_one_size_has_no_waste(height, width, count):
    assert bucket_sizes({(height, width): count}, max_padding=MAX_PADDING_FRACTION) == {
        (height, width): (height, width)
    }


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_an_image_in_the_corner_of_its_canvas_is_whole_and_the_rest_zero(height, width, below, beside):
    image = np.random.default_rng(0).uniform(0.1, 1, (1, height, width, 3)).astype(np.float32)
    padded = pad_to(image, (height + below, width + beside))
    assert padded.shape == (1, height + below, width + beside, 3)
    assert (padded[:, :height, :width] == image).all()
    assert padded.sum(dtype=np.float64) == image.sum(dtype=np.float64)
