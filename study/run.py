"""Puts the claims of the 2017 study, and of its sources, to the test, on pictures that come with the project.

    python -m study.run out/study                      # about a quarter of an hour on 2 cores: 128 px
    python -m study.run out/study --size 256 --effort 2
    python -m study.run out/study --document docs      # writes docs/reproduction.md and its figures

Each run is kept in the folder as it ends; begun again, the script goes on where it was. All curves are of one fixed
objective (relative losses, default layers, strength 0.93, one size), whatever was minimised, so that they can be
compared. The document and all its numbers are made from these files by `study.report`.
"""

import argparse
import importlib.metadata
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnst
from benchmarks import problem as problems
from benchmarks.problem import Problem
from jnst.errors import InputError
from jnst.io import compile_cache, weights
from jnst.presets import preset_settings
from study.claims import CLAIMS, ENTRIES, EVERY, LAYERS, LIGHT, PAIRS, SEASON, STRENGTH, STRENGTHS, Run, Study

ONE_SIZE = replace(problems.ONE_SIZE, loss="mse")


def make_problem(study: Study, pair: tuple[str, str], *, alpha_beta: Any = None, **settings: Any) -> Problem:
    """The objective of a pair at the study's size; by settings of `Config`, mse where they say nothing."""
    config = replace(ONE_SIZE, **settings)
    return problems.make_problem(*study.images(pair), study.params, config, alpha_beta=alpha_beta)


def make_judge(study: Study, pair: tuple[str, str]) -> Callable[[Any], list[float]]:
    """The fixed objective's total, content and style loss of an image, as a function."""
    fixed = make_problem(study, pair, loss="relative", alpha_beta=(1 - STRENGTH, STRENGTH))
    return lambda picture: list(problems.evaluate(fixed, picture))


def stylized(study: Study, run: Run) -> dict[str, Any]:
    """By `jnst.stylize`, looking at the picture every few iterations."""
    content, style = study.images(run.pair)
    judge, rows = make_judge(study, run.pair), []
    weighed = {"strength", "content_weight"} & set(run.settings)
    settings = ({} if weighed else {"strength": STRENGTH}) | run.settings
    config = replace(ONE_SIZE, **{**settings, "iterations": study.count(run.settings["iterations"])})

    def look(progress: Any) -> None:
        rows.append([progress.new[-1].evaluations, *judge(progress.image())])

    every = max(EVERY, config.iterations // 20)
    result = jnst.stylize(content, style, config, study.network, callback=look, callback_every=every)
    arrays = {"image": result.image, "curve": np.array(rows), "iterations": result.iterations}
    return {**arrays, "evaluations": result.evaluations, "stop_reason": result.stop_reason}


def own_unit(study: Study, run: Run) -> dict[str, Any]:
    """A form of the losses in its own unit, alpha 1 and beta so that all forms have the same minimum, by one solver."""
    unbalanced = {form: make_problem(study, run.pair, loss=form, alpha_beta=(1, 1)) for form in ("mse", "sum")}
    units = {}
    for form, problem in unbalanced.items():
        alpha, beta = problems.balanced_weights(problem, STRENGTH)
        units[form] = np.array([1.0, beta / alpha])
    form = "mse" if run.settings["form"] == "mse" else "sum"
    alpha, beta = units[form]
    if run.settings["form"] == "sum, rescaled":
        lengths = [gradient_length(problems.with_weights(unbalanced[f], *units[f])) for f in ("mse", "sum")]
        alpha, beta = units[form] * lengths[0] / lengths[1]
    if run.settings["optimizer"] == "clamped":
        return clamped(study, run, problems.with_weights(unbalanced[form], alpha, beta))
    settings = {"loss": form, "content_weight": float(alpha), "style_weight": float(beta)}
    settings |= {"optimizer": run.settings["optimizer"], "iterations": run.settings["iterations"]}
    return stylized(study, replace(run, settings=settings))


def gradient_length(problem: Problem) -> float:
    """Euclidean length of the gradient at the content image."""
    return float(jnp.linalg.norm(problems.value_and_grad(problem, problem.content)[1].ravel()))


_lbfgs = optax.scale_by_lbfgs(memory_size=10)


@jax.jit
def _clamped_step(x: Any, meant: Any, gradient: Any, state: Any) -> tuple[Any, Any, Any]:
    """L-BFGS with step 1 and no line search; what leaves the box is clamped, and the memory does not know.

    So it is where a caller clamps between the steps of PyTorch's LBFGS: the memory keeps the steps that were meant.
    `meant` is where these would have led; optax takes its memory from there.
    """
    direction, state = _lbfgs.update(gradient, state, meant)
    return jnp.clip(x - direction, 0, 1), meant - direction, state


def clamped(study: Study, run: Run, problem: Problem) -> dict[str, Any]:
    """The way of the 2017 study, with optax's L-BFGS; the curve is of the iterates, not of the best one."""
    judge, rows = make_judge(study, run.pair), []
    x = meant = jnp.asarray(problem.content)
    state, best, count = _lbfgs.init(x), (np.inf, x), study.count(run.settings["iterations"])
    for k in range(count + 1):
        value, gradient = problems.value_and_grad(problem, x)
        if value < best[0]:
            best = value, x
        if k % max(EVERY, count // 20) == 0 or k == count:
            rows.append([k + 1, *judge(x)])
        x, meant, state = _clamped_step(x, meant, gradient, state)
    arrays = {"image": np.asarray(best[1]), "curve": np.array(rows), "iterations": count, "evaluations": count + 1}
    return {**arrays, "stop_reason": "max_iterations"}


def clamped_mse(study: Study, run: Run) -> dict[str, Any]:
    """`clamped` on the same objective as `stylized`."""
    problem = make_problem(study, run.pair, alpha_beta=(1, 1))
    return clamped(study, run, problems.with_weights(problem, *problems.balanced_weights(problem, STRENGTH)))


def three_gradients(study: Study, run: Run) -> dict[str, Any]:
    """How far three ways of computing one gradient are apart, half way between photograph and painting.

    "joint" differentiates the whole loss at once.
    """
    content, style = study.images(run.pair)
    gradients = {}
    for name in ("separate", "shared"):
        problem = make_problem(study, run.pair, gradients=name, alpha_beta=(1, 1))
        problem = problems.with_weights(problem, *problems.balanced_weights(problem, STRENGTH))
        gradients[name] = np.asarray(problems.value_and_grad(problem, (content + style) / 2)[1], np.float64)
        gradients["joint"] = np.asarray(problems.joint_gradient(problem, (content + style) / 2), np.float64)
    length = np.linalg.norm(gradients["joint"])
    return {name: np.linalg.norm(gradients[name] - gradients["joint"]) / length for name in ("separate", "shared")}


def gram_entry(study: Study, run: Run) -> dict[str, Any]:
    """The picture, from noise, that maximises one entry of a Gram matrix (Nikulin and Novak 2016)."""
    side, args = study.size // 2, (study.params,)
    function = problems.gram_entry_function(run.settings["layer"], tuple(run.settings["entry"]))
    noise = 0.5 + 0.1 * jax.random.normal(jax.random.key(0), (1, side, side, 3))
    solver = problems.make_solver(function, "lbfgsb")
    state = problems.start(solver, jnp.clip(noise, 0, 1), args)
    state, values = problems.advance(solver, state, args, min(problems.CHUNK, study.count(40)))
    return {"image": np.asarray(state.x), "curve": -values}


def runs() -> Iterator[Run]:
    """Everything that is tested, claim by claim."""
    for pair in PAIRS:
        for optimizer in ("lbfgsb", "jaxopt", "clamped"):
            for form in ("mse", "sum", "sum, rescaled"):
                settings: dict[str, Any] = {"optimizer": optimizer, "form": form, "iterations": 30}
                settings |= {"memory": "meant"} if optimizer == "clamped" else {}
                yield Run("forms", pair, f"{optimizer}, {form}", own_unit, settings)
        for init in ("content", "noise", "style"):
            yield Run("starts", pair, init, stylized, {"init": init, "iterations": 50})
        yield Run("gradients", pair, "differences", three_gradients, {})
        for gradients in ("separate", "shared"):
            yield Run("gradients", pair, gradients, stylized, {"gradients": gradients, "iterations": 20})
        for gradients in ("shared", "normalized"):
            settings = {"gradients": gradients, "optimizer": "adam", "loss": "relative", "iterations": 50}
            yield Run("gradients", pair, f"adam, {gradients}", stylized, settings)
        for name, layers in LAYERS.items():
            for strength in STRENGTHS:
                settings = {**layers, "strength": strength, "loss": "relative", "iterations": 25}
                yield Run("layers", pair, f"{name}, {strength}", stylized, settings)
        for name in ("all, conv4_2", "high, conv4_2"):
            yield Run("layers", pair, f"mse, {name}", stylized, {**LAYERS[name], "iterations": 25})
        yield Run("bounds", pair, "clamped", clamped_mse, {"iterations": 250, "memory": "meant"})
        yield Run("bounds", pair, "bounds", stylized, {"iterations": 250})
    partial_settings = {**preset_settings("nikulin2016-partial"), "gradients": "shared", "iterations": 50}
    for pair in (*PAIRS, SEASON, LIGHT):
        yield Run("partial", pair, "full", stylized, {"iterations": 50})
        yield Run("partial", pair, "partial", stylized, partial_settings)
    for layer, entry in ENTRIES:
        yield Run("entries", (layer, "-".join(map(str, entry))), "maximised", gram_entry,
                  {"layer": layer, "entry": entry})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs")
    parser.add_argument("--size", type=int, default=128, help="longer side in pixels")
    parser.add_argument("--effort", type=float, default=1, help="times the quick version's iterations")
    parser.add_argument("--weights", type=Path, help="a weight file")
    parser.add_argument("--only", nargs="+", choices=CLAIMS, help="these claims only")
    parser.add_argument("--document", type=Path, help="folder in which to write reproduction.md and its figures")
    options = parser.parse_args()
    if options.document and options.only:
        parser.exit(2, "study: --document needs all claims; leave --only out\n")
    if options.document and importlib.util.find_spec("matplotlib") is None:
        parser.exit(2, 'study: --document draws with matplotlib: pip install -e ".[study]"\n')
    if options.size < 64 or options.effort <= 0:
        given = f"{options.size}, {options.effort:g}"
        parser.exit(2, f"study: --size must be at least 64, --effort above 0, got {given}\n")
    try:
        path = str(options.weights) if options.weights else None
        network = weights.find(path=path, notify=partial(print, file=sys.stderr))
    except InputError as error:
        parser.exit(2, f"study: {error}\n")
    compile_cache.keep_compiled()
    study = Study(options.folder, options.size, options.effort, network)
    chosen = [run for run in runs() if not options.only or run.claim in options.only]
    began = time.perf_counter()
    for k, run in enumerate(chosen, 1):
        if not study.is_done(run):
            minutes = (time.perf_counter() - began) / 60
            print(f"{k} of {len(chosen)}  {run.key}  ({minutes:.1f} min)", file=sys.stderr, flush=True)
            study.keep(run, run.paint(study, run))
    if options.document:
        from study.report import write

        device = jax.devices()[0]
        packages = ("jax", "jaxlib", "jaxopt", "optax", "numpy")
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
        about = f"{network.architecture}, {device.platform}, Python {sys.version.split()[0]}, {versions}"
        write(study, {run.key: dict(np.load(study.path(run))) for run in chosen}, options.document, about)


if __name__ == "__main__":
    main()
