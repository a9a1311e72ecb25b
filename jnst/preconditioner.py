"""What L-BFGS takes for the inverse Hessian before it knows any pair: the identity, or one gain a frequency and colour.

A style loss bends a hundred times more along fine brightness than along coarse colour, and one number for all
directions follows the stiffest. `Spectral` measures, from the same pairs of steps s and gradient differences y, how
strongly each band answers: `h_b^2 = sum |s_b|^2 / sum |y_b|^2`. With this gain `h_b y_b` has the size of `s_b`, so that
the secant equation `H y = s` holds in the mean square of a band. Bands are octaves of spatial frequency times the
three decorrelated colour axes of Ohta, Kanade and Sakai ("Color information for region segmentation", 1980).

A preconditioner is three pure functions: `init(x) -> state`, `update(state, s, y) -> state` with s of unit length, and
`apply(state, v)`, which is linear in v, symmetric and positive definite.
"""

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
    """See the module's last paragraph."""

    def init(self, x: Any) -> Any: ...

    def update(self, state: Any, s: Any, y: Any) -> Any: ...

    def apply(self, state: Any, v: Any) -> Any: ...


class Identity:
    """The plain L-BFGS: any parameters, no state."""

    def init(self, x: Any) -> Any:
        return ()

    def update(self, state: Any, s: Any, y: Any) -> Any:
        return state

    def apply(self, state: Any, v: Any) -> Any:
        return v


class BandEnergies(NamedTuple):
    """Energy of the steps and of the gradient differences (each of length 1), the older the lighter."""

    s: Float[Array, "octaves 3"]
    y: Float[Array, "octaves 3"]


class Spectral:
    """For RGB images, (..., h, w, 3): one gain an octave and colour axis."""

    def init(self, x: Any) -> BandEnergies:
        """Nothing known. Raises InputError where x is not one array of that shape."""
        shape = getattr(x, "shape", None)
        if shape is None or len(shape) < 3 or shape[-1] != 3:
            raise InputError(f"the spectral preconditioner needs RGB images (..., h, w, 3), got {shape or type(x)}")
        none = jnp.zeros((OCTAVES, 3), x.dtype)
        return BandEnergies(none, none)

    def update(self, state: BandEnergies, s: Float[Array, "*n h w 3"], y: Float[Array, "*n h w 3"]) -> BandEnergies:
        y = y / jnp.linalg.norm(y.ravel())
        return BandEnergies(DECAY * state.s + _energies(s), DECAY * state.y + _energies(y))

    def apply(self, state: BandEnergies, v: Float[Array, "*n h w 3"]) -> Float[Array, "*n h w 3"]:
        gains = _gains(state)
        h, w = v.shape[-3:-1]
        octave = _octave(h, w)
        gain = reduce(jnp.add, [jnp.where(octave == k, gains[k][:, None, None], 0) for k in range(OCTAVES)])
        planes = jnp.fft.irfft2(gain[None] * _spectrum(v), s=(h, w))
        return _einsum("nchw,cr->nhwr", planes, _axes(v)).reshape(v.shape)


def _gains(state: BandEnergies) -> Float[Array, "octaves 3"]:
    """h_b, but never more than that of a coarser octave of the same colour; where no octave has moved, 1.

    Colours hardly bend at the finest scale, because no loss sees them there: with the whole of h_b they fill with
    grain.
    """
    measured = jnp.sqrt(state.s / jnp.maximum(state.y, FLOOR))
    gains = lax.cummin(jnp.where(state.s > FLOOR, measured, jnp.inf), axis=0, reverse=True)
    return jnp.where(jnp.isinf(gains), 1, gains)


def _axes(v: Array) -> Float[Array, "3 3"]:
    return jnp.asarray(COLOUR_AXES, v.dtype)


def _spectrum(v: Float[Array, "*n h w 3"]) -> Complex[Array, "images 3 h half"]:
    """Half of the Fourier plane of each colour axis."""
    planes = _einsum("nhwr,cr->nchw", v.reshape(-1, *v.shape[-3:]), _axes(v))
    h, w = planes.shape[2:]
    # one leading axis: with two, XLA:CPU hands its transform a layout that it refuses where there are several devices
    return jnp.fft.rfft2(planes.reshape(-1, h, w)).reshape(-1, 3, h, w // 2 + 1)


def _octave(h: int, w: int) -> Int[Array, "1 h half"]:
    """For each frequency of `_spectrum` its octave, 0 the finest."""
    fy, fx = np.fft.fftfreq(h)[None, :, None], np.fft.rfftfreq(w)[None, None, :]
    square = jnp.asarray(fy**2) + jnp.asarray(fx**2)
    bounds = 0.5 * 0.25 ** np.arange(1, OCTAVES)
    return reduce(jnp.add, [(square <= bound).astype(jnp.int32) for bound in bounds])


def _energies(v: Float[Array, "*n h w 3"]) -> Float[Array, "octaves 3"]:
    h, w = v.shape[-3:-1]
    energy = jnp.square(jnp.abs(_spectrum(v))).sum(0) / (h * w)
    octave = _octave(h, w)
    return jnp.stack([jnp.sum(jnp.where(octave == k, energy, 0), axis=(1, 2)) for k in range(OCTAVES)])
