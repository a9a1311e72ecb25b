"""What the tests of the losses share: small objectives, and slow, obvious twins of what they test."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnst.losses import objective as objectives
from jnst.losses import terms
from jnst.losses.objective import LossWeights, Objective
from jnst.network import vgg

FORMS = ["relative", "mse", "sum"]
CONTENT_LAYERS, STYLE_LAYERS = ("conv2_2",), ("conv1_1", "conv2_1")

value_and_grad = jax.jit(objectives.value_and_grad, static_argnames="objective")
evaluate = jax.jit(objectives.evaluate, static_argnames="objective")
features = jax.jit(vgg.features, static_argnames=("layers", "pooling"))


def small(*, form: Any = "relative", content=CONTENT_LAYERS, style=STYLE_LAYERS, more=(), **options):
    """The objective of these layers, with total variation."""
    made = [terms.content(layer, form=form) for layer in content]
    made += [terms.gram(layer, form=form, weight=1 / len(style)) for layer in style]
    return Objective((*made, *more, terms.total_variation()), **options)


def weights_for(objective, *, content: Any = 0.3, style: Any = 0.7, image: Any = 0.1, dtype=jnp.float32, **layers):
    """alpha, beta, tau; unequal weights of the style layers 0.4, 0.6, ..."""
    names = [term.name for term in objective.terms if term.group == "style"]
    by_term = dict(objectives.default_weights(objective).terms)
    by_term |= {name: 0.4 + 0.2 * k for k, name in enumerate(names)} | layers
    groups = {"content": content, "style": style, "image": image}
    return LossWeights(*jax.tree.map(lambda weight: jnp.asarray(weight, dtype), (groups, by_term)))


@partial(jax.jit, static_argnames="objective")
def joint(params, x, targets, weights, *, objective, region=None):
    """Plain automatic differentiation of the total over all levels at once: the reference of every gradient mode."""

    def total(x):
        losses = objectives.evaluate(params, x, targets, weights, objective=objective, region=region)
        return jnp.sum(losses.total), losses

    (_, losses), gradient = jax.value_and_grad(total, has_aux=True)(x)
    return losses, gradient


def assert_same(ours, theirs, *, tolerance=1e-5):
    """Losses one by one, and the gradient in its norm."""
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=1e-12), ours[0], theirs[0])
    assert distance(ours[1], theirs[1]) < tolerance


def distance(a, b):
    """Relative to b."""
    return np.linalg.norm(np.asarray(a, np.float64) - np.asarray(b, np.float64)) / np.linalg.norm(b)
