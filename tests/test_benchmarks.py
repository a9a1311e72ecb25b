"""The benchmarks: that they start, and that their adapter to jnst computes what jnst computes."""

import subprocess
import sys
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import EXAMPLES, ROOT, picture

import jnst
from benchmarks import problem as problems
from benchmarks.baselines_solver import Outcome, scipy_lbfgsb, two_loop
from benchmarks.solver import against_jaxopt, against_scipy, jnst_solver
from jnst.io.weights import Weights

SMALL = replace(problems.ONE_SIZE, content_layers=("conv2_1",), style_layers=("conv1_1",), iterations=4)


@pytest.fixture(scope="module")
def problem(vgg16: Weights) -> problems.Problem:
    content, style = (np.asarray(picture(32, 40, seed=seed)) for seed in (0, 1))
    return problems.make_problem(content, style, vgg16.params, SMALL)


@pytest.mark.parametrize("name", ["speed", "solver"])
def test_bad_input_is_refused_in_one_line(name, tmp_path):
    command = [sys.executable, "-m", f"benchmarks.{name}", EXAMPLES, "--weights", tmp_path / "no.h5"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"{name}: {tmp_path / 'no.h5'}: no such weight file; give an existing one"


def test_a_problem_is_what_stylize_minimises(problem, vgg16):
    result = jnst.stylize(problem.content, problem.style, SMALL, vgg16)
    assert problems.evaluate(problem, result.image).total == pytest.approx(result.loss, rel=1e-4)
    assert problems.value_and_grad(problem, result.image)[0] == pytest.approx(result.loss, rel=1e-4)
    solver = problems.make_solver(problem.function, "lbfgsb")
    run = problems.start(solver, jnp.asarray(problem.content), problem.args)
    _, values = problems.advance(solver, run, problem.args, 5)  # the start and four iterations
    np.testing.assert_allclose(values, [row.loss for row in result.history], rtol=1e-4)


def quadratic(x, centre):
    return (0.5 * jnp.sum((x - centre) ** 2), None), x - centre


@pytest.mark.parametrize("solve", [scipy_lbfgsb, two_loop, jnst_solver("lbfgsb")], ids=["scipy", "two loop", "jnst"])
def test_every_solver_counts_its_evaluations_and_finds_the_minimum_in_the_box(solve):
    centre = jnp.linspace(-0.5, 1.5, 12).reshape(1, 2, 2, 3)
    start = jnp.full(centre.shape, 0.5)
    outcome = solve(quadratic, start, (centre,), 30)
    assert len(outcome.curve) <= 30
    assert outcome.curve[0] == pytest.approx(float(quadratic(start, centre)[0][0]))
    assert sorted(outcome.curve, reverse=True) == outcome.curve
    goal = float(quadratic(jnp.clip(centre, 0, 1), centre)[0][0])
    assert outcome.curve[-1] == pytest.approx(goal, rel=1e-3)
    assert outcome.at_bound == pytest.approx(0.5)


def test_solvers_are_compared_problem_by_problem():
    def row(solver, last, at_bound=0.1):
        curve = Outcome([4.0, 2.0, last], 2, at_bound)
        return {"problem": "p", "seed": 0, "size": 64, "weights": "vgg16", "solver": solver,
                "loss": [4.0, 2.0, 2.0, 2.0, last], "curve": curve.curve, "at_bound": at_bound}  # fmt: skip

    table = [row("scipy", 1.0), row("lbfgsb", 0.5), row("jaxopt", 2.0)]
    assert against_scipy(table, 200)["lbfgsb"] == (0.5, 0.5)
    assert against_jaxopt(table)["lbfgsb"] == pytest.approx((100, 1))  # two evaluations for what took 200
