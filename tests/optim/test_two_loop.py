import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst.optim.two_loop import History, empty_history, has_curvature, inverse_hessian_product, push_pair

N, RNG = 8, np.random.default_rng(0)
ROOT = RNG.normal(size=(N, N))
HESSIAN = ROOT @ ROOT.T + np.eye(N)


def random_pairs(count):
    steps = RNG.normal(size=(count, N))
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    return [(s, HESSIAN @ s) for s in steps]


def stored(pairs, rows):
    history = empty_history(rows, N, jnp.float64)
    for s, y in pairs:
        history = push_pair(history, jnp.asarray(s), jnp.asarray(y), jnp.asarray(True))
    return history


def slow_inverse(pairs, free, h0):
    """The inverse Hessian of the free variables, written out (Nocedal and Wright, eq. 6.17), zero elsewhere."""
    mask = np.diag(free.astype(float))
    inverse = mask @ h0 @ mask
    for s, y in ((mask @ s, mask @ y) for s, y in pairs):
        v = np.eye(len(s)) - np.outer(y, s) / (s @ y)
        inverse = v.T @ inverse @ v + np.outer(s, s) / (s @ y)
    return inverse


@pytest.mark.parametrize("count", [0, 2, 3, 7])
@pytest.mark.parametrize("free", [np.ones(N, bool), np.arange(N) % 3 > 0])
def test_product_is_that_of_the_written_out_matrix(count, free):
    """With three rows of history, so that with seven pairs the ring has wrapped."""
    with jax.enable_x64(True):
        h0 = np.diag(RNG.uniform(0.1, 1, N))
        pairs, gradient = random_pairs(count), RNG.normal(size=N)
        pairs = [(s, y) for s, y in pairs if (s * free) @ (y * free) > 0] or pairs
        expected = slow_inverse(pairs[-3:], free, h0) @ gradient
        product = inverse_hessian_product(
            stored(pairs, 3), jnp.asarray(gradient), jnp.asarray(free), lambda v: jnp.asarray(h0) @ v
        )
        np.testing.assert_allclose(product, expected, rtol=1e-10, atol=1e-12)


def test_pairs_whose_free_part_has_no_curvature_are_passed_over():
    with jax.enable_x64(True):
        bent, flat = random_pairs(1)[0], (np.eye(N)[0], np.eye(N)[1])
        gradient, free = jnp.asarray(RNG.normal(size=N)), jnp.ones(N, bool)
        both, one = (inverse_hessian_product(stored(p, 3), gradient, free, lambda v: v) for p in ([bent, flat], [bent]))
        np.testing.assert_allclose(both, one, rtol=1e-12)
        assert not has_curvature(*map(jnp.asarray, flat))


def test_rows_beyond_the_count_and_useless_pairs_have_no_part():
    with jax.enable_x64(True):
        history, free = stored(random_pairs(3), 3), jnp.ones(N, bool)
        gradient = jnp.asarray(RNG.normal(size=N))
        dropped = history._replace(stored=jnp.int32(0))
        np.testing.assert_array_equal(inverse_hessian_product(dropped, gradient, free, lambda v: v), gradient)
        s, y = random_pairs(1)[0]
        same = push_pair(history, jnp.asarray(s), jnp.asarray(y), jnp.asarray(False))
        jax.tree.map(np.testing.assert_array_equal, same, history)
        assert isinstance(same, History)
