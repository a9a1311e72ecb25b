import jax.numpy as jnp
import numpy as np
from helpers import picture

from jnst.io.image import resize
from jnst.network.vgg import Region
from jnst.resample import halve


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
    canvas = jnp.zeros((1, 64, 48, 3)).at[:, :41, :35].set(image)
    region = Region.of(1, 41, 35)
    found = halve(canvas, region)
    np.testing.assert_allclose(found[:, :20, :17], halve(image), atol=1e-6)
    assert not found[:, 20:].any()
    assert not found[:, :, 17:].any()
