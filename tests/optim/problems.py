"""Small problems within bounds, and a driver that shows every step."""

import jax
import jax.numpy as jnp
import numpy as np

from jnst.optim.base import RUNNING

N = 90
IMAGE = (1, 5, 6, 3)
RNG = np.random.default_rng(0)
CURVATURE = RNG.uniform(0.5, 20, N)
CENTRE = RNG.uniform(-0.5, 1.5, N)  # about half of it outside the box
MINIMUM = np.clip(CENTRE, 0, 1)
START = np.full(N, 0.5)
BOX = (np.zeros(N), np.ones(N))


def start(dtype=jnp.float32):
    return jnp.asarray(START, dtype)


def box(x):
    return jnp.zeros_like(x), jnp.ones_like(x)


def quadratic(x, scale=1.0):
    """Minimum in the box: the centre, clipped."""
    shape = x.shape[-1:] if x.ndim == 1 else x.shape
    curvature, centre = (jnp.asarray(a, x.dtype).reshape(shape) for a in (CURVATURE, CENTRE))
    return 0.5 * scale * jnp.sum(curvature * (x - centre) ** 2)


def valley(x):
    """Rosenbrock's over neighbours, stretched so that its minimum at 1 is x = 0.75."""
    z = 2 * x - 0.5
    return jnp.sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)


KERNELS = RNG.normal(size=(3, 3, 3, 4)) / 5


def style_problem(x):
    """Content and Gram losses of one random layer on a 3x8x8 image."""
    kernels = jnp.asarray(KERNELS, x.dtype)
    target = jnp.asarray(np.random.default_rng(1).uniform(size=(1, 8, 8, 3)), x.dtype)

    def maps(image):
        return jnp.tanh(
            jax.lax.conv_general_dilated(image, kernels, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        )

    def gram(f):
        return jnp.einsum("nhwi,nhwj->ij", f, f) / 64

    content = maps(jnp.clip(3 * target - 1, 0, 1))
    f = maps(x.reshape(1, 8, 8, 3))
    return jnp.sum((gram(f) - gram(maps(target))) ** 2) + 0.001 * jnp.sum((f - content) ** 2)


def bends_by_frequency(x):
    """A quadratic that bends up to a thousand times more along fine patterns than along the mean colour."""
    across, down = x[:, :, 1:] - x[:, :, :-1], x[:, 1:] - x[:, :-1]
    return 0.5 * jnp.sum((x - 0.3) ** 2) + 60 * (jnp.sum(across**2) + jnp.sum(down**2))


def evaluation(fun, x, *args, value_and_grad=False):
    value, gradient = (fun if value_and_grad else jax.value_and_grad(fun))(x, *args)
    return value, gradient, {"sum": jnp.sum(x)}


def stepper(solver, fun, *, bounds=None, value_and_grad=False):
    """One compiled evaluation and update: (x, state, *args) -> (x, state)."""

    @jax.jit
    def step(x, state, *args):
        limits = box(x) if bounds is None else bounds
        point = solver.point(x, state, limits)
        return solver.update(x, state, limits, *evaluation(fun, point, *args, value_and_grad=value_and_grad))

    return step


def blank(solver, x):
    return solver.init(x, {"sum": jax.ShapeDtypeStruct((), x.dtype)})


def run(solver, fun, x, iterations, *args, bounds=None, value_and_grad=False):
    """x and state after the start and after each iteration; stops where the run does."""
    step = stepper(solver, fun, bounds=bounds, value_and_grad=value_and_grad)
    state = blank(solver, x)
    assert (state.iterations, state.evaluations, state.value) == (-1, 0, np.inf)
    xs, states = [], []
    while state.status == RUNNING and len(xs) <= iterations:
        x, state = step(x, state, *args)
        if state.moved:
            xs.append(x)
            states.append(state)
            assert state.iterations == len(xs) - 1
    return xs, states
