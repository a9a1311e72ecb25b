import jax
import jax.numpy as jnp
import numpy as np
from helpers import picture
from hypothesis import given, settings
from hypothesis import strategies as st

from jnst import resample
from jnst.resample import resize


def test_resizing_keeps_flat_images_flat_and_the_box():
    np.testing.assert_allclose(resize(jnp.full((1, 40, 30, 3), 0.25), 20, 64), 0.25, atol=1e-6)
    image = picture(40, 33)
    np.testing.assert_array_equal(resize(image, 40, 33), image)
    edges = (jnp.arange(40) % 8 < 4).astype(jnp.float32)[None, :, None, None] * jnp.ones((1, 40, 33, 3))
    larger = resize(edges, 100, 99)
    assert larger.shape == (1, 100, 99, 3)
    assert larger.min() == 0  # Lanczos's filter overshoots
    assert larger.max() == 1


def test_resizing_is_that_of_jax():
    image = picture(41, 30) * 0.5 + 0.25
    for size in ((20, 30), (41, 64), (100, 7)):
        expected = jax.image.resize(image, (1, *size, 3), "lanczos3")
        np.testing.assert_allclose(resize(image, *size), expected, atol=1e-5)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 90), st.integers(1, 90))
def test_every_new_pixel_is_a_mean_of_old_ones(old, new):
    """Partition of unity: a flat image stays flat at any size, and colours keep their mean where the size stays."""
    matrix = resample._matrix(old, new)
    assert matrix.shape == (new, old)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    if old == new:
        np.testing.assert_allclose(matrix, np.eye(old), atol=1e-6)
