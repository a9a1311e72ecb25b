# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""What L-BFGS takes for the inverse Hessian before it knows any pair: the identity, or one gain a frequency and colour.

A style loss bends a hundred times more along fine brightness than along coarse colour, and one number for all
directions follows the stiffest. `Spectral` measures, from the same pairs of steps s and gradient differences y, how
strongly each band answers: `h_b^2 = sum |s_b|^2 / sum |y_b|^2`. With this gain `h_b y_b` has the size of `s_b`, so that
the secant equation `H y = s` holds in the mean square of a band. Bands are octaves of spatial frequency times the
three decorrelated colour axes of Ohta, Kanade and Sakai ("Color information for region segmentation", 1980).

A preconditioner is three pure functions: `init(x) -> state`, `update(state, s, y) -> state` with s of unit length, and
`precondition(state, v)`, which is linear in v, symmetric and positive definite. It is a frozen dataclass, so that equal
ones hash alike.
"""

import dataclasses
from functools import partial, reduce
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Int

from jnst.errors import InputError

OCTAVES = 10  # bands: (0.354, 0.707] cycles a pixel, (0.177, 0.354], ..; the last one goes down to the mean
DECAY = 0.8  # how much of a pair's weight is left after one more iteration
FLOOR = 1e-10  # a band with less than this share of the energy is rounding
COLOUR_AXES = np.array([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / np.sqrt([[3], [2], [6]])  # rows: brightness, R-B, G-M
_einsum = partial(jnp.einsum, precision=lax.Precision.HIGHEST)  # accelerators multiply in less by themselves


class Preconditioner(Protocol):
    """Learns the shape of the inverse Hessian from pairs; all arguments have the shape of the optimised array."""

    def init(self, x: Any) -> Any:
        """Returns the state that has seen no pair.

        Args:
            x: an array of the optimised one's shape and dtype.
        """
        ...

    def update(self, state: Any, s: Any, y: Any) -> Any:
        """Returns the state after a pair.

        Args:
            state: before it.
            s: a step of length 1.
            y: the gradient's difference along it.
        """
        ...

    def precondition(self, state: Any, v: Any) -> Any:
        """Returns H0 v, but for one common factor.

        Args:
            state: what the pairs have taught.
            v: the vector, of the optimised array's shape.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Identity:
    """The plain L-BFGS: arrays of any shape, no state."""

    def init(self, x: Any) -> Any:
        """Returns an empty state.

        Args:
            x: any array.
        """
        return ()

    def update(self, state: Any, s: Any, y: Any) -> Any:
        """Returns the state as it is.

        Args:
            state: the empty one.
            s: ignored.
            y: ignored.
        """
        return state

    def precondition(self, state: Any, v: Any) -> Any:
        """Returns v.

        Args:
            state: the empty one.
            v: any array.
        """
        return v


class BandEnergies(NamedTuple):
    """Energy of the steps and of the gradient differences (each of length 1), the older the lighter."""

    s: Float[Array, "octaves 3"]
    y: Float[Array, "octaves 3"]


@dataclasses.dataclass(frozen=True)
class Spectral:
    """One gain for each octave and colour axis of RGB images, (..., h, w, 3).

    Attributes:
        dft: for images that fill a corner of the array only, from `padded_dft`; by default the array is the image.
            It may be traced, inside a compiled function.
    """

    dft: "PaddedDFT | None" = None

    def init(self, x: Any) -> BandEnergies:
        """Returns the state in which nothing is known: all gains are 1.

        Args:
            x: images, (..., h, w, 3).

        Raises:
            InputError: x is not one array (..., h, w, 3).
        """
        shape = getattr(x, "shape", None)
        if shape is None or len(shape) < 3 or shape[-1] != 3:
            raise InputError(f"the spectral preconditioner needs RGB images (..., h, w, 3), got {shape or type(x)}")
        none = jnp.zeros((OCTAVES, 3), x.dtype)
        return BandEnergies(none, none)

    def update(self, state: BandEnergies, s: Float[Array, "*n h w 3"], y: Float[Array, "*n h w 3"]) -> BandEnergies:
        """Returns the state after a pair.

        Args:
            state: before it.
            s: a step of length 1.
            y: the gradient's difference along it, of any length.
        """
        y = y / jnp.linalg.norm(y.ravel())
        return BandEnergies(DECAY * state.s + self._energies(s), DECAY * state.y + self._energies(y))

    def precondition(self, state: BandEnergies, v: Float[Array, "*n h w 3"]) -> Float[Array, "*n h w 3"]:
        """Multiplies each band of v with its gain.

        Args:
            state: the energies of the bands.
            v: images.

        Returns:
            Images of v's shape.
        """
        gains, transform = _band_gains(state), self._transform(v)
        octave = transform.octave
        gain = reduce(jnp.add, [jnp.where(octave == k, gains[k][:, None, None], 0) for k in range(OCTAVES)])
        planes = transform.inverse(gain[None] * transform.forward(_to_colour_planes(v)))
        return _einsum("nchw,cr->nhwr", planes, _colour_axes(v)).reshape(v.shape)

    def _energies(self, v: Float[Array, "*n h w 3"]) -> Float[Array, "octaves 3"]:
        transform = self._transform(v)
        energy = jnp.square(jnp.abs(transform.forward(_to_colour_planes(v)))).sum(0) / transform.pixels
        octave = transform.octave
        return jnp.stack([jnp.sum(jnp.where(octave == k, energy, 0), axis=(1, 2)) for k in range(OCTAVES)])

    def _transform(self, v: Array) -> "_Transform | PaddedDFT":
        return _Transform(*v.shape[-3:-1]) if self.dft is None else self.dft


class _Transform:
    """The real Fourier transform of whole arrays."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width, self.pixels = height, width, height * width

    def forward(self, planes: Float[Array, "n 3 h w"]) -> Complex[Array, "n 3 h half"]:
        """Transforms images.

        Args:
            planes: real, (n, 3, h, w).

        Returns:
            The lower half of the spectrum, (n, 3, h, w // 2 + 1).
        """
        # one leading axis: with two, XLA:CPU chooses a layout that its transform refuses on several devices
        spectrum = jnp.fft.rfft2(planes.reshape(-1, self.height, self.width))
        return spectrum.reshape(-1, 3, self.height, self.width // 2 + 1)

    def inverse(self, spectrum: Complex[Array, "n 3 h half"]) -> Float[Array, "n 3 h w"]:
        """Transforms back.

        Args:
            spectrum: as `forward` returns it.

        Returns:
            Real planes, (n, 3, h, w).
        """
        return jnp.fft.irfft2(spectrum, s=(self.height, self.width))

    @property
    def octave(self) -> Int[Array, "1 h half"]:
        """For each frequency its octave, 0 the finest."""
        return _octave_index(jnp.asarray(np.fft.fftfreq(self.height)), jnp.asarray(np.fft.rfftfreq(self.width)))


class PaddedDFT(NamedTuple):
    """DFT of an image of traced size in the corner of a zero-padded array, as dense cosine and sine matrices.

    An FFT of the array would be the DFT of the wrong length; this one takes O(h^2 w + h w^2) instead of
    O(h w log(h w)). In real numbers: XLA:CPU is slow at products of complex matrices.
    """

    cos_down: Float[Array, "h h"]
    sin_down: Float[Array, "h h"]
    cos_across: Float[Array, "w half"]
    sin_across: Float[Array, "w half"]
    weight: Float[Array, "1 1 1 half"]
    """how many frequencies of the whole plane each column stands for"""
    octave: Int[Array, "1 h half"]
    pixels: Int[Array, ""]

    def forward(self, planes: Float[Array, "n 3 h w"]) -> Complex[Array, "n 3 h half"]:
        """Transforms images.

        Args:
            planes: real, (n, 3, h, w).

        Returns:
            The lower half of the spectrum, (n, 3, h, w // 2 + 1).
        """
        across, down = partial(_einsum, "nchw,wx->nchx"), partial(_einsum, "hy,nchx->ncyx")
        real, imaginary = across(planes, self.cos_across), -across(planes, self.sin_across)
        spectrum = lax.complex(
            down(self.cos_down, real) + down(self.sin_down, imaginary),
            down(self.cos_down, imaginary) - down(self.sin_down, real),
        )
        return jnp.where(self.weight > 0, spectrum, 0)

    def inverse(self, spectrum: Complex[Array, "n 3 h half"]) -> Float[Array, "n 3 h w"]:
        """Transforms back.

        Args:
            spectrum: as `forward` returns it.

        Returns:
            Real planes, (n, 3, h, w).
        """
        across, down = partial(_einsum, "nchx,wx->nchw"), partial(_einsum, "hy,ncyx->nchx")
        real, imaginary = jnp.real(spectrum) * self.weight, jnp.imag(spectrum) * self.weight
        rows = down(self.cos_down, real) - down(self.sin_down, imaginary)
        mirrored = down(self.cos_down, imaginary) + down(self.sin_down, real)
        return (across(rows, self.cos_across) - across(mirrored, self.sin_across)) / self.pixels


def padded_dft(canvas: tuple[int, int], size: Int[Array, " 2"]) -> PaddedDFT:
    """Builds the transform of an image whose size is not known when the program is compiled.

    Args:
        canvas: height and width of the array, in pixels.
        size: height and width of the image in its upper left corner, at most the canvas's.

    Returns:
        Its cosines and sines, of the canvas's shape.
    """
    height, width = size
    rows, columns = jnp.arange(canvas[0]), jnp.arange(canvas[1] // 2 + 1)
    twice = (columns > 0) & (2 * columns != width)
    weight = jnp.where(columns <= width // 2, jnp.where(twice, 2.0, 1.0), 0.0)
    octave = _octave_index(jnp.where(2 * rows < height, rows, rows - height) / height, columns / width)
    down, across = _waves(canvas[0], canvas[0], height), _waves(canvas[1], len(columns), width)
    return PaddedDFT(*down, *across, weight[None, None, None], octave, height * width)


def _waves(length: int, count: int, size: Array) -> tuple[Float[Array, "length count"], Float[Array, "length count"]]:
    """Cosine and sine of `2 pi j k / size` for positions j and frequencies k below it, else 0."""
    j, k = jnp.arange(length)[:, None], jnp.arange(count)[None]
    turns = (j * k % size) / size  # whole numbers first, so that no angle is large
    inside = (j < size) & (k < size)
    return jnp.where(inside, jnp.cos(2 * jnp.pi * turns), 0), jnp.where(inside, jnp.sin(2 * jnp.pi * turns), 0)


def _band_gains(state: BandEnergies) -> Float[Array, "octaves 3"]:
    """Computes h_b, but never more than that of a coarser octave of the same colour; 1 where no octave has moved.

    Colours hardly bend at the finest scale, because no loss sees them there: with the whole of h_b they fill with
    grain.
    """
    measured = jnp.sqrt(state.s / jnp.maximum(state.y, FLOOR))
    gains = lax.cummin(jnp.where(state.s > FLOOR, measured, jnp.inf), axis=0, reverse=True)
    return jnp.where(jnp.isinf(gains), 1, gains)


def _colour_axes(v: Array) -> Float[Array, "3 3"]:
    return jnp.asarray(COLOUR_AXES, v.dtype)


def _to_colour_planes(v: Float[Array, "*n h w 3"]) -> Float[Array, "images 3 h w"]:
    """Projects the images onto the colour axes."""
    return _einsum("nhwr,cr->nchw", v.reshape(-1, *v.shape[-3:]), _colour_axes(v))


def _octave_index(down: Float[Array, " h"], across: Float[Array, " half"]) -> Int[Array, "1 h half"]:
    """Returns each frequency's octave, 0 the finest; frequencies in cycles a pixel."""
    square = jnp.square(down)[None, :, None] + jnp.square(across)[None, None, :]
    bounds = 0.5 * 0.25 ** np.arange(1, OCTAVES)
    return reduce(jnp.add, [(square <= bound).astype(jnp.int32) for bound in bounds])
