"""How the result changes with the style's weight: implicit differentiation of a minimum within bounds."""

import jax
import jax.numpy as jnp
from jaxopt.linear_solve import solve_cg

from jnst.losses import objective, terms
from jnst.optim.jaxopt_api import LBFGSB

OBJECTIVE = objective.Objective((terms.content("conv2_1"), terms.gram("conv1_1")), pooling="average")


def gradient(measure, content, style, params, beta, iterations=50):
    targets = objective.targets(params, {"content": content, "style": style}, objective=OBJECTIVE)
    of_terms, box = objective.default_weights(OBJECTIVE).terms, (jnp.zeros_like(content), jnp.ones_like(content))

    def fun(x, beta):
        weights = objective.LossWeights({"content": 1.0, "style": beta}, of_terms)
        losses, slope = objective.value_and_grad(params, x, targets, weights, objective=OBJECTIVE)
        return losses.total[0], slope

    solve = lambda matvec, b, **options: solve_cg(matvec, b, **(options | {"ridge": 1e-3, "maxiter": 20}))  # noqa: E731
    solver = LBFGSB(fun, value_and_grad=True, maxiter=iterations, implicit_diff_solve=solve)
    return jax.grad(lambda beta: measure(solver.run(content, box, beta).params))(beta)
