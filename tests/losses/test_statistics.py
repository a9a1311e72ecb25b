import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst.losses import statistics as losses


def maps(*shape, seed=0):
    return jnp.asarray(np.maximum(np.random.default_rng(seed).normal(size=shape), 0), jnp.float32)


def matrix(f):
    """(h, w, c) -> the papers' M x N matrix."""
    return np.asarray(f, np.float64).reshape(-1, f.shape[-1])


def slow_gram(f):
    rows = matrix(f)
    gram = np.zeros((rows.shape[1], rows.shape[1]))
    for i in range(rows.shape[1]):
        for j in range(rows.shape[1]):
            for k in range(rows.shape[0]):
                gram[i, j] += rows[k, i] * rows[k, j]  # eq. 2
    return gram


def slow_content(f, p, form):
    total, norm = 0.0, 0.0
    for a, b in zip(np.float64(f).ravel(), np.float64(p).ravel(), strict=True):
        total += (a - b) ** 2
        norm += b**2
    return {"sum": total / 2, "mse": total / f.size, "relative": total / norm}[form]  # eq. 1


def slow_style(f, s, form):
    """From maps of the result and of the style, which may differ in size."""
    n, m = f.shape[-1], f.shape[0] * f.shape[1]
    g, a = slow_gram(f), slow_gram(s)
    if form == "sum" and f.shape == s.shape:
        return sum((g[i, j] - a[i, j]) ** 2 for i in range(n) for j in range(n)) / (4 * n**2 * m**2)  # eq. 3
    g, a = g / m, a / (s.shape[0] * s.shape[1])
    total = sum((g[i, j] - a[i, j]) ** 2 for i in range(n) for j in range(n))
    return {"sum": total / (4 * n**2), "mse": total / n**2, "relative": total / (a**2).sum()}[form]


FORMS = ["sum", "mse", "relative"]


def test_gram_is_equation_2():
    f = maps(3, 4, 5)
    np.testing.assert_allclose(losses.gram(f), slow_gram(f), rtol=1e-5)
    np.testing.assert_allclose(losses.mean_gram(f), slow_gram(f) / 12, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_content_loss_is_equation_1(form):
    f, p = maps(3, 4, 5), maps(3, 4, 5, seed=1)
    np.testing.assert_allclose(losses.content_loss(f, p, form=form), slow_content(f, p, form), rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("style_size", [(3, 4), (6, 5)])
def test_style_loss_is_equation_3(form, style_size):
    f, s = maps(3, 4, 5), maps(*style_size, 5, seed=1)
    # `sum` of equal sizes: (G - A)^2 / (4 N^2 M^2) equals (G/M - A/M)^2 / (4 N^2)
    ours = losses.style_loss(losses.mean_gram(f), losses.mean_gram(s), form=form)
    np.testing.assert_allclose(ours, slow_style(f, s, form), rtol=1e-5)


def test_total_variation_is_the_mean_square_of_differences():
    x = maps(4, 5, 3)
    vertical = np.mean([(x[i + 1, j, c] - x[i, j, c]) ** 2 for i in range(3) for j in range(5) for c in range(3)])
    horizontal = np.mean([(x[i, j + 1, c] - x[i, j, c]) ** 2 for i in range(4) for j in range(4) for c in range(3)])
    np.testing.assert_allclose(losses.total_variation(x), vertical + horizontal, rtol=1e-5)
    assert losses.total_variation(jnp.full((4, 5, 3), 0.7)) == 0


def test_gram_is_symmetric_positive_semidefinite_and_blind_to_positions():
    f = maps(6, 7, 8)
    gram = np.asarray(losses.gram(f))
    np.testing.assert_array_equal(gram, gram.T)
    assert np.linalg.eigvalsh(gram.astype(np.float64)).min() > -1e-4
    shuffled = jax.random.permutation(jax.random.key(2), f.reshape(-1, 8)).reshape(6, 7, 8)
    np.testing.assert_allclose(losses.gram(shuffled), gram, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_losses_are_0_at_their_targets_and_above_elsewhere(form):
    f, other = maps(3, 4, 5), maps(3, 4, 5, seed=1)
    g, a = losses.mean_gram(f), losses.mean_gram(other)
    assert losses.content_loss(f, f, form=form) == 0
    assert losses.style_loss(g, g, form=form) == 0
    assert losses.content_loss(f, other, form=form) > 0
    assert losses.style_loss(g, a, form=form) > 0


def test_relative_losses_have_no_unit_and_survive_a_silent_map():
    f, p = maps(3, 4, 5), maps(3, 4, 5, seed=1)
    small, large = (losses.content_loss(k * f, k * p, form="relative") for k in (1e-3, 1e3))
    np.testing.assert_allclose(small, large, rtol=1e-5)
    assert np.isfinite(losses.content_loss(0 * f, 0 * f, form="relative"))


@pytest.mark.parametrize("form", FORMS)
def test_every_image_of_a_batch_has_its_own_loss(form):
    f, p = maps(2, 3, 4, 5), maps(2, 3, 4, 5, seed=1)
    both = losses.content_loss(f, p, form=form)
    single = [losses.content_loss(f[k], p[k], form=form) for k in range(2)]
    np.testing.assert_allclose(both, single, rtol=1e-6)
    both = losses.style_loss(losses.mean_gram(f), losses.mean_gram(p), form=form)
    single = [losses.style_loss(losses.mean_gram(f[k]), losses.mean_gram(p[k]), form=form) for k in range(2)]
    np.testing.assert_allclose(both, single, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_finite_differences(form):
    with jax.enable_x64(True):
        f, p, d = (jnp.asarray(maps(3, 4, 5, seed=k), jnp.float64) for k in range(3))

        def loss(f):
            style = losses.style_loss(losses.mean_gram(f), losses.mean_gram(p), form=form)
            return losses.content_loss(f, p, form=form) + style + losses.total_variation(f)

        h = 1e-6
        slope = (loss(f + h * d) - loss(f - h * d)) / (2 * h)
        np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(f), d), slope, rtol=1e-7)


def test_options_are_keyword_only():
    for function in (losses.content_loss, losses.style_loss):
        assert inspect.signature(function).parameters["form"].kind is inspect.Parameter.KEYWORD_ONLY


def test_a_gram_matrix_by_strips_is_that_of_the_whole_map(monkeypatch):
    f = jax.random.normal(jax.random.key(3), (2, 7, 9, 4))
    weight = jax.random.normal(jax.random.key(4), (2, 4, 4))
    monkeypatch.setattr(losses, "STRIP_ELEMENTS", 40)  # six strips of ten positions, and three over

    def both(gram):
        return jax.jit(jax.value_and_grad(lambda f: jnp.vdot(gram(f), weight)))(f)

    for ours, plain in zip(both(losses.gram), both(lambda f: jnp.einsum("nhwi,nhwj->nij", f, f)), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)
