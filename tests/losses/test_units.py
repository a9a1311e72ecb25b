"""Style losses relative to the photograph's own statistics, too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from references import small

import jnst
from benchmarks import problem as problems
from jnst.losses import objective as objectives
from jnst.network import vgg

CONTENT, STYLE = picture(36, 44), picture(40, 33, seed=1)


@pytest.fixture(scope="module")
def params():
    return vgg.random_params(jax.random.key(0), "vgg16")


def test_a_unit_is_the_paintings_norm_over_the_photographs(params):
    objective = small(style_pyramid_levels=1)
    targets = objectives.targets(params, {"content": CONTENT, "style": STYLE}, objective=objective)
    other = objectives.targets(params, {"content": CONTENT, "style": CONTENT}, objective=objective)
    content, norms = objectives.content_statistics(params, CONTENT, objective=objective)
    units = objectives.style_units(targets, norms, objective=objective)
    style = [term.name for term in objective.terms if term.group == "style"]
    assert sorted(units) == sorted(style)
    for name in style:
        expected = jnp.linalg.norm(targets.levels[0][name]) / jnp.linalg.norm(other.levels[0][name])
        np.testing.assert_allclose(units[name], min(expected**1.5, 4), rtol=1e-5)
    for name, value in content[0].items():
        np.testing.assert_allclose(value, targets.levels[0][name], rtol=1e-5, atol=1e-6)


def test_a_photograph_as_its_own_painting_has_units_of_one(params):
    objective = small(style_pyramid_levels=1)
    targets = objectives.targets(params, {"content": CONTENT, "style": CONTENT}, objective=objective)
    _, norms = objectives.content_statistics(params, CONTENT, objective=objective)
    for unit in objectives.style_units(targets, norms, objective=objective).values():
        np.testing.assert_allclose(unit, 1, rtol=1e-5)


def test_a_painting_much_busier_than_the_photograph_counts_4_times_at_most(params):
    objective = small(style_pyramid_levels=1)
    targets = objectives.targets(params, {"content": CONTENT, "style": STYLE}, objective=objective)
    calm = dict.fromkeys((term.name for term in objective.terms if term.group == "style"), jnp.full(1, 1e-6))
    assert all(unit.item() == 4 for unit in objectives.style_units(targets, calm, objective=objective).values())


def test_a_black_photograph_leaves_the_painting_its_own_unit(params):
    objective = small(style_pyramid_levels=1)
    targets = objectives.targets(params, {"content": CONTENT, "style": STYLE}, objective=objective)
    nothing = dict.fromkeys((term.name for term in objective.terms if term.group == "style"), jnp.zeros(1))
    assert all(unit.item() == 1 for unit in objectives.style_units(targets, nothing, objective=objective).values())


def test_stylize_minimises_what_the_units_say(vgg16):
    """At the start image the losses are those of the problem with units; without them they are others."""
    config = jnst.Config(
        content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), iterations=1, scales=("1",),
        style_pyramid_levels=1,
    )  # fmt: skip
    first = jnst.stylize(CONTENT, STYLE, config, vgg16).history[0]
    problem = problems.make_problem(np.asarray(CONTENT), np.asarray(STYLE), vgg16.params, config)
    expected = problems.evaluate(problem, CONTENT)
    np.testing.assert_allclose(first.loss, expected.total, rtol=1e-4)
    assert abs(first.style_loss / np.mean(list(first.style_layers.values())) - 1) > 0.01
