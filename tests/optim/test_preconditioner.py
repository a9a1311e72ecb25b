import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jnst import InputError
from jnst.optim.preconditioner import COLOUR_AXES, DECAY, OCTAVES, BandEnergies, Identity, Spectral, padded_dft

RNG = np.random.default_rng(0)
GAINS = np.sort(RNG.uniform(0.1, 10, (OCTAVES, 3)), axis=0)[::-1]  # the finest octave bends most


def random_image(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def unit(v):
    return v / jnp.linalg.norm(v.ravel())


def slow_filter(v, gains):
    """Each frequency and colour axis times its gain, on the whole Fourier plane, frequency by frequency."""
    n, h, w, _ = v.shape
    out = np.zeros(v.shape)
    for i in range(n):
        for c, axis in enumerate(COLOUR_AXES):
            plane = np.fft.fft2(np.asarray(v[i], np.float64) @ axis)
            for y, fy in enumerate(np.fft.fftfreq(h)):
                for x, fx in enumerate(np.fft.fftfreq(w)):
                    octave = np.log2(np.sqrt(0.5) / max(np.hypot(fy, fx), 1e-9)) + 1e-9
                    octave = min(OCTAVES - 1, int(np.floor(octave)))
                    plane[y, x] *= gains[octave, c]
            out[i] += np.fft.ifft2(plane).real[..., None] * axis
    return out


@pytest.mark.parametrize("shape", [(1, 32, 24, 3), (2, 7, 9, 3), (1, 1, 12, 3)])
def test_gains_are_learnt_from_one_pair_that_answers_band_by_band(shape):
    """If y is s with a gain a band, H0 y is s again, but for the length of y."""
    s = unit(random_image(*shape))
    y = jnp.asarray(slow_filter(s, GAINS), jnp.float32)
    spectral = Spectral()
    state = spectral.update(spectral.init(s), s, y)
    np.testing.assert_allclose(spectral.precondition(state, y), s * jnp.linalg.norm(y.ravel()), atol=1e-4)
    other = random_image(*shape)
    filtered = spectral.precondition(state, jnp.asarray(slow_filter(other, GAINS), jnp.float32))
    np.testing.assert_allclose(filtered, other * jnp.linalg.norm(y.ravel()), rtol=1e-3, atol=2e-3)


def test_no_octave_gets_more_than_a_coarser_one_of_its_colour():
    s, other = unit(random_image(1, 32, 24, 3)), random_image(1, 32, 24, 3)
    bend = np.array([0.01, 1, 2, 0.5, 0.2, *[0.1] * 5])[:, None] * np.ones(3)  # fine grain hardly bends
    y = slow_filter(s, bend)
    spectral = Spectral()
    state = spectral.update(spectral.init(s), s, jnp.asarray(y, jnp.float32))
    capped = np.array([0.5, 0.5, 0.5, 2, 5, *[10] * 5])[:, None] * np.ones(3)
    expected = slow_filter(other, capped) * np.linalg.norm(y)
    np.testing.assert_allclose(spectral.precondition(state, other), expected, rtol=1e-3, atol=2e-3)


def test_symmetric_positive_definite_and_linear():
    spectral, shape = Spectral(), (1, 6, 5, 3)
    state = spectral.update(spectral.init(random_image(*shape)), unit(random_image(*shape)), random_image(*shape))
    columns = [spectral.precondition(state, jnp.asarray(e, jnp.float32).reshape(shape)).ravel() for e in np.eye(90)]
    matrix = np.stack(columns, 1)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
    assert np.linalg.eigvalsh(matrix).min() > 0
    v = random_image(*shape)
    np.testing.assert_allclose(spectral.precondition(state, v).ravel(), matrix @ v.ravel(), atol=1e-4)


def test_before_any_pair_and_in_bands_that_never_moved_the_gain_is_1():
    spectral, v = Spectral(), random_image(1, 8, 8, 3)
    np.testing.assert_allclose(spectral.precondition(spectral.init(v), v), v, atol=1e-5)
    grey = jnp.broadcast_to(v[..., :1], v.shape)
    state = spectral.update(spectral.init(v), unit(grey), 5 * grey)
    np.testing.assert_allclose(
        spectral.precondition(state, grey), grey, atol=1e-5
    )  # s and y alike, but for their lengths
    colour = v - v.mean(-1, keepdims=True)
    np.testing.assert_allclose(spectral.precondition(state, colour), colour, atol=1e-3)


@pytest.mark.parametrize(("period", "octave"), [(2, 0), (4, 1), (8, 2), (0, OCTAVES - 1)])
def test_bands_are_octaves_of_three_colour_axes(period, octave):
    columns = np.arange(16)
    wave = np.cos(2 * np.pi * columns / period) if period else np.ones(16)
    for c, axis in enumerate(COLOUR_AXES):
        v = jnp.asarray(np.broadcast_to(wave[None, None, :, None], (1, 16, 16, 1)) * axis, jnp.float32)
        energy = Spectral().update(Spectral().init(v), unit(v), v).s
        assert energy[octave, c] > 0.4
        np.testing.assert_allclose(energy.sum(), energy[octave, c], atol=1e-5)


def test_older_pairs_weigh_less_and_the_length_of_y_nothing():
    spectral, (s, y) = Spectral(), (unit(random_image(1, 8, 8, 3)), random_image(1, 8, 8, 3))
    once = spectral.update(spectral.init(s), s, y)
    twice = spectral.update(once, s, 1e6 * y)
    np.testing.assert_allclose(twice.s, (1 + DECAY) * once.s, rtol=1e-5)
    np.testing.assert_allclose(twice.y, (1 + DECAY) * once.y, rtol=1e-5)


@pytest.mark.thorough
def test_vmap_equals_one_by_one():
    spectral, s, y = Spectral(), random_image(3, 1, 8, 6, 3), random_image(3, 1, 8, 6, 3)
    states = jax.vmap(lambda s, y: spectral.update(spectral.init(s), s, y))(s, y)
    batched = jax.vmap(spectral.precondition)(states, y)
    for k in range(3):
        state = spectral.update(spectral.init(s[k]), s[k], y[k])
        np.testing.assert_allclose(batched[k], spectral.precondition(state, y[k]), atol=1e-4)


@pytest.mark.parametrize("x", [np.zeros(7), np.zeros((1, 8, 8, 4)), {"a": np.zeros((8, 8, 3))}])
def test_what_is_not_rgb_images_is_refused(x):
    with pytest.raises(InputError, match=r"needs RGB images \(..., h, w, 3\), got"):
        Spectral().init(x)


def test_identity_takes_any_pytree():
    tree = {"a": jnp.ones(3), "b": jnp.zeros((2, 2))}
    identity = Identity()
    assert identity.precondition(identity.update(identity.init(tree), tree, tree), tree) is tree


@pytest.mark.parametrize("size", [(24, 30), (23, 31), (32, 40)])
def test_the_image_in_a_corner_is_the_image_alone(size):
    height, width = size
    rng = np.random.default_rng(3)
    s, y, v = (jnp.asarray(rng.normal(size=(1, height, width, 3)), jnp.float32) for _ in range(3))
    alone = Spectral()
    state = alone.update(alone.init(s), s, y)
    expected = alone.precondition(state, v)

    def pad(a):
        return jnp.pad(a, ((0, 0), (0, 32 - height), (0, 40 - width), (0, 0)))

    @jax.jit
    def inside(size):
        padded = Spectral(padded_dft((32, 40), size))
        state = padded.update(padded.init(pad(s)), pad(s), pad(y))
        return state, padded.precondition(state, pad(v))

    inside_state, product = inside(jnp.asarray(size))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), inside_state, state)
    np.testing.assert_allclose(product[:, :height, :width], expected, atol=1e-5 * float(jnp.abs(expected).max()))
    assert not np.asarray(product[:, height:]).any()
    assert not np.asarray(product[:, :, width:]).any()


def test_equal_settings_are_equal_and_hash_alike():
    assert Spectral() == Spectral()
    assert len({Spectral(), Spectral(), Identity(), Identity()}) == 2


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    gains_s=arrays(np.float64, (OCTAVES, 3), elements=st.floats(1e-6, 1)),
    gains_y=arrays(np.float64, (OCTAVES, 3), elements=st.floats(1e-6, 1)),
    seed=st.integers(0, 1000),
)
def test_whatever_was_measured_h0_is_symmetric_and_positive_definite(gains_s, gains_y, seed):
    with jax.enable_x64(True):
        state = BandEnergies(jnp.asarray(gains_s), jnp.asarray(gains_y))
        u, v = (jnp.asarray(w) for w in np.random.default_rng(seed).normal(size=(2, 1, 6, 8, 3)))
        hu, hv = (Spectral().precondition(state, w) for w in (u, v))
        np.testing.assert_allclose(jnp.vdot(u, hv), jnp.vdot(hu, v), rtol=1e-9, atol=1e-9)
        assert jnp.vdot(u, hu) > 0


def test_an_image_that_goes_on_at_its_opposite_edge_is_filtered_as_such():
    """The transform is that of the torus: a shifted image has shifted results."""
    s, y, v = (random_image(1, 24, 20, 3) for _ in range(3))
    spectral, results = Spectral(), []
    for shift in ((0, 0), (5, 13)):
        moved = [jnp.roll(image, shift, (1, 2)) for image in (unit(s), y, v)]
        state = spectral.update(spectral.init(v), *moved[:2])
        results.append(spectral.precondition(state, moved[2]))
    np.testing.assert_allclose(results[1], jnp.roll(results[0], (5, 13), (1, 2)), atol=1e-5)
