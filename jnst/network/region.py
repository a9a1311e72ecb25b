"""Which part of an array is image, for arrays that are larger than their image or cut out of it.

Outside the image every map is set to zero, as VGG pads. So the maps inside equal those of the image alone, and images
of different sizes share one shape, hence one compiled program.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


class Region(NamedTuple):
    """The place of each image of a batch, in pixels; every field has one entry an image."""

    top: Int[Array, " n"]
    """position in the image of the array's first row, a multiple of the deepest layer's stride; negative above it"""
    left: Int[Array, " n"]
    height: Int[Array, " n"]
    """of the whole image"""
    width: Int[Array, " n"]

    @classmethod
    def full(cls, count: int, height: int | Int[Array, ""], width: int | Int[Array, ""]) -> "Region":
        """Returns the region of arrays in whose first corner lies an image.

        Args:
            count: arrays.
            height: of every image, in pixels.
            width: of every image, in pixels.
        """
        return cls(*(jnp.full(count, value) for value in (0, 0, height, width)))

    def halved(self) -> "Region":
        """Returns the region after `pyramid.halve`, for images in the first corner of their arrays."""
        return Region(self.top, self.left, self.height // 2, self.width // 2)

    def positions(self, stride: int) -> Int[Array, " n"]:
        """Returns how many positions each whole image's map has.

        Args:
            stride: of the map, in pixels (`architecture.stride_of`).
        """
        return (self.height // stride) * (self.width // stride)

    def mask(self, shape: tuple[int, ...], stride: int) -> Bool[Array, "n h w 1"]:
        """Returns which positions of a map lie in the image.

        Args:
            shape: of the map, (n, h, w, c).
            stride: of the map, in pixels (`architecture.stride_of`).
        """

        def inside(first: Array, size: Array, count: int) -> Array:
            position = (first // stride)[:, None] + jnp.arange(count)[None]
            return (position >= 0) & (position < (size // stride)[:, None])

        rows, columns = inside(self.top, self.height, shape[1]), inside(self.left, self.width, shape[2])
        return rows[:, :, None, None] & columns[:, None, :, None]
