"""Puts the claims of the 2017 study, and of its sources, to the test, on pictures that come with the project.

    python scripts/reproduce.py out/study                      # about a quarter of an hour on 2 cores: 128 px
    python scripts/reproduce.py out/study --size 256 --effort 2
    python scripts/reproduce.py out/study --document docs      # writes docs/reproduction.md and its figures

Each run is kept in the folder as it ends; begun again, the script goes on where it was. All curves are of one fixed
objective (relative losses, default layers, strength 0.93, one size), whatever was minimised, so that they can be
compared. The document and all its numbers are made from these files by `reproduce_report.py`.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image

from jnst import minimize, transfer
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import compile_cache as compilation
from jnst.io import weights
from jnst.losses import objective
from jnst.losses.objective import LossWeights, Spec
from jnst.optim import base as solver
from jnst.presets import settings_of

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PAIRS = (("cat", "swirls"), ("coffee", "facets"), ("rocket", "dabs"))
SEASON, LIGHT = ("summer", "winter"), ("summer", "rocket")
ONE_SIZE = Config(scales=("1",), style_sizes=1, loss="mse")
STRENGTH = 0.93
HIGH = ("conv3_1", "conv4_1", "conv5_1")
LAYERS = {
    "all, conv4_2": {}, "all, conv5_2": {"content_layers": ("conv5_2",)},
    "high, conv4_2": {"style_layers": HIGH}, "high, conv5_2": {"style_layers": HIGH, "content_layers": ("conv5_2",)},
}  # fmt: skip
STRENGTHS = (0.5, 0.8, 0.93)
ENTRIES = tuple((layer, pair) for layer in ("conv2_1", "conv3_1", "conv4_1") for pair in ((5, 5), (5, 40), (90, 90)))
CLAIMS = ("forms", "starts", "gradients", "layers", "bounds", "partial", "entries")
EVERY = 5  # iterations between two points of a curve


@dataclass(frozen=True)
class Run:
    """One run: what it is called, and how its picture and curve come about."""

    claim: str
    pair: tuple[str, str]
    name: str
    paint: Callable[["Study", "Run"], dict[str, Any]]
    settings: dict[str, Any]

    @property
    def key(self) -> str:
        return "/".join((self.claim, "_".join(self.pair), self.name))


@dataclass(frozen=True)
class Study:
    """Where it is kept, how large its pictures are, and how many times the quick version's iterations it makes."""

    folder: Path
    size: int
    effort: float
    network: weights.Weights

    @cached_property
    def params(self) -> Any:
        return jax.device_put(self.network.params)

    def image(self, name: str, shape: tuple[int, int] | None = None) -> np.ndarray:
        """An example, its middle cut to the common shape (4:3, so that all runs share their programs)."""
        (path,) = EXAMPLES.glob(f"{name}.*")
        height, width = shape or (round(self.size * 3 / 4), self.size)
        with Image.open(path) as picture:
            scale = min(picture.width / width, picture.height / height)
            w, h = width * scale, height * scale
            box = ((picture.width - w) / 2, (picture.height - h) / 2, (picture.width + w) / 2, (picture.height + h) / 2)
            cut = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS, box=box)
        return np.asarray(cut, np.float32)[None] / 255

    def images(self, pair: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
        return self.image(pair[0]), self.image(pair[1])

    def count(self, iterations: int) -> int:
        return round(iterations * self.effort)

    def judge(self, pair: tuple[str, str]) -> Callable[[Any], list[float]]:
        """The fixed objective's total, content and style loss of an image."""
        spec = Spec()
        target = _targets(self.params, *map(jnp.asarray, self.images(pair)), spec=spec)
        layers = jnp.full(len(spec.style_layers), 1 / len(spec.style_layers))
        fixed = LossWeights(jnp.float32(1 - STRENGTH), jnp.float32(STRENGTH), layers, jnp.float32(0))

        def losses(image: Any) -> list[float]:
            found = _evaluate(self.params, jnp.asarray(image), target, fixed, spec=spec)
            return [float(found.total[0]), float(found.content[0]), float(found.style[0])]

        return losses

    def path(self, run: Run) -> Path:
        return self.folder / f"{run.key.replace(', ', '_').replace(' ', '_')}.npz"

    def done(self, run: Run) -> bool:
        """Whether this very run is there."""
        path = self.path(run)
        if not path.exists():
            return False
        with np.load(path) as file:
            return str(file["about"]) == self.about(run)

    def about(self, run: Run) -> str:
        common = {"size": self.size, "effort": self.effort, "weights": self.network.sha256}
        return json.dumps({"key": run.key, "settings": run.settings, **common}, sort_keys=True, default=list)

    def keep(self, run: Run, found: dict[str, Any]) -> None:
        """Whole or not at all."""
        path = self.path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, about=self.about(run), **found)
        part.replace(path)


_evaluate = jax.jit(objective.evaluate, static_argnames="spec")
_targets = objective.targets


def stylized(study: Study, run: Run) -> dict[str, Any]:
    """By `jnst.stylize`, looking at the picture every few iterations."""
    content, style = study.images(run.pair)
    judge, rows = study.judge(run.pair), []
    config = replace(ONE_SIZE, **{**run.settings, "iterations": study.count(run.settings["iterations"])})

    def look(progress: transfer.Progress) -> None:
        rows.append([progress.new[-1].evaluations, *judge(progress.image())])

    every = max(EVERY, config.iterations // 20)
    result = transfer.stylize(content, style, config, study.network, callback=look, stop_every=every)
    found = {"image": result.image, "curve": np.array(rows), "iterations": result.iterations}
    return {**found, "evaluations": result.evaluations, "stop_reason": result.stop_reason}


def own_unit(study: Study, run: Run) -> dict[str, Any]:
    """A form of the losses in its own unit, alpha 1 and beta so that all forms have the same minimum, by one solver."""
    content, style = (jnp.asarray(image) for image in study.images(run.pair))
    specs = {form: Spec(form=form) for form in ("mse", "sum")}
    goals = {form: _targets(study.params, content, style, spec=spec) for form, spec in specs.items()}
    units = {}
    for form, spec in specs.items():
        alpha, beta = objective.balance(goals[form], jnp.float32(STRENGTH), spec=spec)
        units[form] = np.array([1.0, float(beta / alpha)])
    form = "mse" if run.settings["form"] == "mse" else "sum"
    alpha, beta = units[form]
    if run.settings["form"] == "sum, rescaled":
        lengths = [_length(study.params, content, goals[f], _weights(*units[f]), specs[f]) for f in ("mse", "sum")]
        alpha, beta = units[form] * lengths[0] / lengths[1]
    if run.settings["optimizer"] == "clamped":
        return clamped(study, run, specs[form], goals[form], _weights(alpha, beta))
    settings = {"loss": form, "content_weight": float(alpha), "style_weight": float(beta)}
    settings |= {"optimizer": run.settings["optimizer"], "iterations": run.settings["iterations"]}
    return stylized(study, replace(run, settings=settings))


def _weights(alpha: float, beta: float) -> LossWeights:
    layers = len(Spec().style_layers)
    return LossWeights(jnp.float32(alpha), jnp.float32(beta), jnp.full(layers, 1 / layers), jnp.float32(0))


def _length(params: Any, x: Any, target: Any, given: LossWeights, spec: Spec) -> float:
    return float(jnp.linalg.norm(_value_and_grad(params, x, target, given, spec=spec)[1].ravel()))


_value_and_grad = jax.jit(objective.value_and_grad, static_argnames="spec")
_lbfgs = optax.scale_by_lbfgs(memory_size=10)


@jax.jit
def _clamped_step(x: Any, meant: Any, gradient: Any, state: Any) -> tuple[Any, Any, Any]:
    """L-BFGS with step 1 and no line search; what leaves the box is clamped, and the memory does not know.

    So it is where a caller clamps between the steps of PyTorch's LBFGS: the memory keeps the steps that were meant.
    `meant` is where these would have led; optax takes its memory from there.
    """
    direction, state = _lbfgs.update(gradient, state, meant)
    return jnp.clip(x - direction, 0, 1), meant - direction, state


def clamped(study: Study, run: Run, spec: Spec, target: Any, given: LossWeights) -> dict[str, Any]:
    """The way of the 2017 study, with optax's L-BFGS; the curve is of the iterates, not of the best one."""
    judge, rows = study.judge(run.pair), []
    x = meant = jnp.asarray(study.image(run.pair[0]))
    state, best, count = _lbfgs.init(x), (np.inf, x), study.count(run.settings["iterations"])
    for k in range(count + 1):
        losses, gradient = _value_and_grad(study.params, x, target, given, spec=spec)
        if float(losses.total[0]) < best[0]:
            best = float(losses.total[0]), x
        if k % max(EVERY, count // 20) == 0 or k == count:
            rows.append([k + 1, *judge(x)])
        x, meant, state = _clamped_step(x, meant, gradient, state)
    found = {"image": np.asarray(best[1]), "curve": np.array(rows), "iterations": count, "evaluations": count + 1}
    return {**found, "stop_reason": "max_iterations"}


def clamped_mse(study: Study, run: Run) -> dict[str, Any]:
    """`clamped` on the same objective as `stylized`."""
    spec = Spec(form="mse")
    target = _targets(study.params, *map(jnp.asarray, study.images(run.pair)), spec=spec)
    alpha, beta = objective.balance(target, jnp.float32(STRENGTH), spec=spec)
    return clamped(study, run, spec, target, _weights(float(alpha), float(beta)))


def three_gradients(study: Study, run: Run) -> dict[str, Any]:
    """How far the three ways of computing one gradient are apart, half way between photograph and painting."""
    content, style = (jnp.asarray(image) for image in study.images(run.pair))
    x, found = (content + style) / 2, {}
    for name in ("joint", "separate", "shared"):
        spec = Spec(form="mse", gradients=name)
        target = _targets(study.params, content, style, spec=spec)
        alpha, beta = objective.balance(target, jnp.float32(STRENGTH), spec=spec)
        given = _weights(float(alpha), float(beta))
        found[name] = np.asarray(_value_and_grad(study.params, x, target, given, spec=spec)[1], np.float64)
    length = np.linalg.norm(found["joint"])
    return {name: np.linalg.norm(found[name] - found["joint"]) / length for name in ("separate", "shared")}


def gram_entry(study: Study, run: Run) -> dict[str, Any]:
    """The picture, from noise, that maximises one entry of a Gram matrix (Nikulin and Novak 2016)."""
    layer, entry, side = run.settings["layer"], tuple(run.settings["entry"]), study.size // 2

    def fun(x: Any, params: Any) -> Any:
        value, gradient = jax.value_and_grad(lambda x: -objective.gram_entry(params, x, layer=layer, entry=entry)[0])(x)
        return (value, value), gradient

    noise = 0.5 + 0.1 * jax.random.normal(jax.random.key(0), (1, side, side, 3))
    program, args = solver.make(fun, "lbfgsb", history_size=10, learning_rate=0.02), (study.params,)
    state = minimize.start(program, jnp.clip(noise, 0, 1), args)
    state, records = minimize.advance(program, state, args, jnp.int32(min(minimize.CHUNK, study.count(40))))
    return {"image": np.asarray(state.best_x), "curve": -np.asarray(records.value)[: int(state.iteration) + 1]}


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
        for gradients in ("joint", "separate", "shared"):
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
    partial_settings = {**settings_of("nikulin2016-partial"), "gradients": "shared", "iterations": 50}
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
        parser.exit(2, "reproduce: --document needs all claims; leave --only out\n")
    if options.document and importlib.util.find_spec("matplotlib") is None:
        parser.exit(2, 'reproduce: --document draws with matplotlib: pip install -e ".[study]"\n')
    if options.size < 64 or options.effort <= 0:
        given = f"{options.size}, {options.effort:g}"
        parser.exit(2, f"reproduce: --size must be at least 64, --effort above 0, got {given}\n")
    try:
        path = str(options.weights) if options.weights else None
        network = weights.find(path=path, notify=partial(print, file=sys.stderr))
    except InputError as error:
        parser.exit(2, f"reproduce: {error}\n")
    compilation.keep_compiled()
    study = Study(options.folder, options.size, options.effort, network)
    wanted = [run for run in runs() if not options.only or run.claim in options.only]
    began = time.perf_counter()
    for k, run in enumerate(wanted, 1):
        if not study.done(run):
            minutes = (time.perf_counter() - began) / 60
            print(f"{k} of {len(wanted)}  {run.key}  ({minutes:.1f} min)", file=sys.stderr, flush=True)
            study.keep(run, run.paint(study, run))
    if options.document:
        from reproduce_report import write

        device = jax.devices()[0]
        packages = ("jax", "jaxlib", "jaxopt", "optax", "numpy")
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
        about = f"{network.architecture}, {device.platform}, Python {sys.version.split()[0]}, {versions}"
        write(study, {run.key: dict(np.load(study.path(run))) for run in wanted}, options.document, about)


if __name__ == "__main__":
    main()
