from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references import FORMS
from test_statistics import maps, slow_gram

from jnst.losses import statistics, terms


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


def slow_moments(f, s, form):
    n = f.shape[-1]
    both = [np.concatenate([part.mean(0), part.std(0)]) for part in (np.float64(a).reshape(-1, n) for a in (f, s))]
    total = sum((a - b) ** 2 for a, b in zip(*both, strict=True))
    return {"sum": total, "mse": total / (2 * n), "relative": total / (both[1] ** 2).sum()}[form]


@partial(jax.jit, static_argnums=0)  # one program, not one an operation
def loss(term, f, target):
    """Of a term on maps, as the objective computes it: observe, finish, compare."""

    def of(maps):
        total = jnp.full(len(maps), maps.shape[1] * maps.shape[2], maps.dtype)
        return term.finish(term.observe((maps,), (None,)), (total,))

    return term.compare(of(f), of(target))


@pytest.mark.parametrize("form", FORMS)
def test_content_loss_is_equation_1(form):
    f, p = maps(2, 3, 4, 5), maps(2, 3, 4, 5, seed=1)
    expected = [slow_content(f[k], p[k], form) for k in range(2)]
    np.testing.assert_allclose(loss(terms.content("conv1_1", form=form), f, p), expected, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("style_size", [(3, 4), (6, 5)])
def test_style_loss_is_equation_3(form, style_size):
    f, s = maps(2, 3, 4, 5), maps(2, *style_size, 5, seed=1)
    # `sum` of equal sizes: (G - A)^2 / (4 N^2 M^2) equals (G/M - A/M)^2 / (4 N^2)
    expected = [slow_style(f[k], s[k], form) for k in range(2)]
    np.testing.assert_allclose(loss(terms.gram("conv1_1", form=form), f, s), expected, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_of_moments_is_that_of_means_and_deviations(form):
    f, s = maps(2, 3, 4, 5), maps(2, 6, 5, 5, seed=1)
    expected = [slow_moments(f[k], s[k], form) for k in range(2)]
    np.testing.assert_allclose(loss(terms.moments("conv1_1", form=form), f, s), expected, rtol=1e-5)


MAKERS = [terms.content, terms.gram, terms.moments]
ALL = [*MAKERS, terms.wasserstein]  # which is 0 at its target to some 0.1 % only


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("form", FORMS)
def test_losses_are_0_at_their_targets_and_above_elsewhere(make, form):
    f, other = maps(1, 3, 4, 5), maps(1, 3, 4, 5, seed=1)
    assert loss(make("conv1_1", form=form), f, f)[0] == 0
    assert loss(make("conv1_1", form=form), f, other)[0] > 0


@pytest.mark.parametrize("make", ALL)
def test_relative_losses_have_no_unit_and_survive_a_silent_map(make):
    f, p, term = maps(1, 3, 4, 5), maps(1, 3, 4, 5, seed=1), make("conv1_1")
    small, large = (loss(term, k * f, k * p) for k in (1e-3, 1e3))
    np.testing.assert_allclose(small, large, rtol=1e-4)
    assert np.isfinite(jax.grad(lambda f: loss(term, f, 0 * p)[0])(0 * f)).all()


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_finite_differences(make, form):
    with jax.enable_x64(True):
        f, p, d = (jnp.asarray(maps(1, 3, 4, 5, seed=k), jnp.float64) for k in range(3))
        value = lambda f: loss(make("conv1_1", form=form), f, p)[0] + statistics.total_variation(f)[0]  # noqa: E731
        h = 1e-6
        slope = (value(f + h * d) - value(f - h * d)) / (2 * h)
        np.testing.assert_allclose(jnp.vdot(jax.grad(value)(f), d), slope, rtol=1e-7)
