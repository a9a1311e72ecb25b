import jax
import jax.numpy as jnp
import numpy as np

from jnst.losses import statistics
from jnst.problem import total_variation_of


def maps(*shape, seed=0):
    return jnp.asarray(np.maximum(np.random.default_rng(seed).normal(size=shape), 0), jnp.float32)


def slow_gram(f):
    rows = np.asarray(f, np.float64).reshape(-1, f.shape[-1])  # (h, w, c) -> the papers' M x N matrix
    gram = np.zeros((rows.shape[1], rows.shape[1]))
    for i in range(rows.shape[1]):
        for j in range(rows.shape[1]):
            for k in range(rows.shape[0]):
                gram[i, j] += rows[k, i] * rows[k, j]  # eq. 2
    return gram


def test_gram_is_equation_2():
    f = maps(3, 4, 5)
    np.testing.assert_allclose(statistics.gram(f), slow_gram(f), rtol=1e-5)
    np.testing.assert_allclose(statistics.mean_gram(f), slow_gram(f) / 12, rtol=1e-5)


def test_gram_is_symmetric_positive_semidefinite_and_blind_to_positions():
    f = maps(6, 7, 8)
    gram = np.asarray(statistics.gram(f))
    np.testing.assert_array_equal(gram, gram.T)
    assert np.linalg.eigvalsh(gram.astype(np.float64)).min() > -1e-4
    shuffled = jax.random.permutation(jax.random.key(2), f.reshape(-1, 8)).reshape(6, 7, 8)
    np.testing.assert_allclose(statistics.gram(shuffled), gram, rtol=1e-5)


def test_a_gram_matrix_by_strips_is_that_of_the_whole_map(monkeypatch):
    f = jax.random.normal(jax.random.key(3), (2, 7, 9, 4))
    weight = jax.random.normal(jax.random.key(4), (2, 4, 4))
    monkeypatch.setattr(statistics, "STRIP_ELEMENTS", 40)  # six strips of ten positions, and three over

    def both(gram):
        return jax.jit(jax.value_and_grad(lambda f: jnp.vdot(gram(f), weight)))(f)

    for ours, plain in zip(both(statistics.gram), both(lambda f: jnp.einsum("nhwi,nhwj->nij", f, f)), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)


def slow_variation(x, weights):
    """Mean square of all differences of neighbours, each with the product of its pixels' weights."""
    found = 0.0
    for down, right in ((1, 0), (0, 1)):
        total, norm = 0.0, 0.0
        for i in range(x.shape[0] - down):
            for j in range(x.shape[1] - right):
                weight = weights[i, j] * weights[i + down, j + right]
                norm += weight * x.shape[2]
                total += weight * sum((x[i + down, j + right, c] - x[i, j, c]) ** 2 for c in range(x.shape[2]))
        found += total / norm
    return found


def test_total_variation_is_the_mean_square_of_differences():
    x, weights = np.asarray(maps(4, 5, 3)), np.random.default_rng(1).uniform(0, 1, (4, 5))
    np.testing.assert_allclose(
        statistics.total_variation(jnp.asarray(x)), slow_variation(x, np.ones((4, 5))), rtol=1e-5
    )
    weighted = statistics.total_variation(jnp.asarray(x), weights=jnp.asarray(weights[..., None], jnp.float32))
    np.testing.assert_allclose(weighted, slow_variation(x, weights), rtol=1e-5)
    assert statistics.total_variation(jnp.full((4, 5, 3), 0.7)) == 0


def test_total_variation_of_absolute_values_is_the_mean_difference():
    rng = np.random.default_rng(3)
    x = rng.random((1, 6, 7, 3)).astype(np.float32)
    value = statistics.total_variation(jnp.asarray(x), measure=statistics.smooth_absolute)
    slow = sum(np.mean(np.hypot(np.diff(x, axis=axis), 1 / 255) - 1 / 255) for axis in (1, 2))
    np.testing.assert_allclose(value[0], slow, rtol=1e-5)
    np.testing.assert_allclose(total_variation_of(x, form="absolute"), slow, rtol=1e-5)
    np.testing.assert_allclose(slow, sum(np.abs(np.diff(x, axis=axis)).mean() for axis in (1, 2)), rtol=0.03)
    flat = jax.grad(lambda x: statistics.total_variation(x, measure=statistics.smooth_absolute).sum())(jnp.ones_like(x))
    assert not flat.any()  # and no NaN
    inside = jnp.zeros((1, 6, 7, 1)).at[:, :4, :5].set(1)
    part, alone = (
        statistics.total_variation(image, weights=weights, measure=statistics.smooth_absolute)
        for image, weights in ((jnp.asarray(x), inside), (jnp.asarray(x[:, :4, :5]), None))
    )
    np.testing.assert_allclose(part, alone, rtol=1e-6)


def test_total_variation_of_a_part_is_that_of_the_part_alone():
    x = maps(2, 6, 7, 3)
    inside = jnp.zeros((2, 6, 7, 1), bool).at[:, :4, :5].set(True)
    alone = statistics.total_variation(x[:, :4, :5])
    np.testing.assert_allclose(statistics.total_variation(x, weights=inside), alone, rtol=1e-6)
    assert np.isfinite(statistics.total_variation(x, weights=jnp.zeros_like(inside))).all()
