"""A run that is never lost: what is kept of it from time to time, and how it goes on from there, bit for bit.

A snapshot is taken between two chunks of the engine: the iterate, the best image, the solver's state, the rows so far,
the scale and where that began. Targets and loss weights are computed again from the images, so the snapshot holds none.
How a run is cut into chunks does not change it (`engine`); so a run that goes on from a snapshot ends where it would
have ended, on the same device with the same versions.

Nothing here knows files: a `Checkpoint` takes and gives what is kept (`jnst.io.checkpoint_file`).
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from jnst import engine
from jnst.config import Config
from jnst.engine import Run
from jnst.errors import InputError
from jnst.io.trace import versions
from jnst.io.weights import Weights
from jnst.jobs import Task
from jnst.programs import origin
from jnst.records import Iteration

EVERY_SECONDS = 60.0
MOST_SHARE = 0.05  # of a run's time that goes into keeping it: a large picture is kept less often
NAMES = {"content": "the photograph, or its size", "style": "the painting, or its size", "mask": "the mask",
         "init": "the start image", "weights": "the weights", "terms": "the losses",
         "optimizer": "the solver"}  # fmt: skip
"""what a message calls a part of a recipe"""

Facts = dict[str, Any]
"""as JSON has it"""
Arrays = dict[str, np.ndarray]
"""by name, on the host"""
_log = logging.getLogger(__name__)


@runtime_checkable
class Checkpoint(Protocol):
    """Where a run is kept."""

    def load(self) -> tuple[Facts, Arrays] | None:
        """Returns what `save` was last given, by an earlier process; None: nothing, so that the run begins."""
        ...

    def save(self, facts: Facts, arrays: Arrays) -> None:
        """Keeps a run in place of what was kept before. A failure is this function's own matter: the run goes on.

        Args:
            facts: as JSON has it.
            arrays: of any dtype; they are the caller's again afterwards.
        """
        ...


def recipe_of(
    content: Any, style: Any, config: Config, params: Any, *,
    init: Any = None, terms: Sequence[Any] | None = None, optimizer: Any = None,
) -> Facts:  # fmt: skip
    """Returns all that decides a picture, as JSON has it: the settings, and checksums of images and weights.

    Args:
        content, style, config, params, init, terms, optimizer: as `stylize` takes them.
    """
    styles = list(style) if isinstance(style, list | tuple) else [(style, None)]
    images = {"content": content, "init": init}
    for k, (image, *more) in enumerate(styles):  # its mask, and whatever else is said of it
        said = None if all(part is None for part in more) else more
        images |= {f"style:{k}" if k else "style": image, f"mask:{k}" if k else "mask": said}
    weights = params.record() if isinstance(params, Weights) else {}
    known = {name: weights[name] for name in ("sha256", "normalized") if name in weights}
    return {
        "settings": {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()},
        "images": {name: _checksum(image) for name, image in images.items() if image is not None},
        "weights": known or {"sha256": _checksum(params)},
        "terms": None if terms is None else [term.name for term in terms],
        "optimizer": None if optimizer is None else type(optimizer).__qualname__,
    }


def _checksum(arrays: Any) -> str:
    """SHA-256 of a pytree of arrays: paths, shapes, types and numbers."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(arrays):
        values = np.array(leaf, order="C")
        digest.update(f"{jax.tree_util.keystr(path)} {values.shape} {values.dtype}".encode() + values.tobytes())
    return digest.hexdigest()


def machine() -> dict[str, str]:
    """Returns what the last bits of a result depend on beside its recipe: versions, device, cores."""
    sources, *_, platform, kind = origin()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = {name: version for name, version in versions().items() if name not in ("jnst", "pillow")}
    return {
        **packages, "device": f"{platform}: {kind}", "devices": str(jax.device_count()), "cores": str(cores),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), "jnst": sources[:12],
    }  # fmt: skip


def require_same(saved: Facts, own: Facts) -> None:
    """Refuses to go on with a run that another recipe began.

    Args:
        saved: the recipe that is kept.
        own: of the run that is asked for.

    Raises:
        InputError: what differs.
    """
    parts = []
    for name in dict.fromkeys([*own["settings"], *saved["settings"]]):
        there, here = (_shown(recipe["settings"].get(name)) for recipe in (saved, own))
        if there != here:
            parts.append(f"`{name}` {there} there, {here} here")
    for name in dict.fromkeys([*own["images"], *saved["images"]]):
        if own["images"].get(name) != saved["images"].get(name):
            parts.append(NAMES.get(name, name))
    parts += [NAMES[name] for name in ("weights", "terms", "optimizer") if own[name] != saved[name]]
    if parts:
        raise InputError(f"the checkpoint is of another run ({'; '.join(parts)}); delete it, or give another name")


def _shown(value: Any) -> str:
    """A setting in a few words."""
    if value is None:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


class Keeper:
    """Keeps one task, and brings it back to where it was.

    Args:
        checkpoint: where it is kept.
        recipe: of the run.
        every: seconds between two snapshots; by default EVERY_SECONDS.
        clock: tells seconds.
    """

    def __init__(
        self, checkpoint: Checkpoint, recipe: Facts, *,
        every: float | None = None, clock: Callable[[], float] = time.perf_counter,
    ) -> None:  # fmt: skip
        self.checkpoint, self.recipe, self.clock = checkpoint, recipe, clock
        self.every = EVERY_SECONDS if every is None else every
        self.machine = machine()
        self.due = clock() + self.every
        self.arrays: Arrays = {}

    def resume(self, task: Task) -> float:
        """Sets a task to where it was kept; one that was not is let alone.

        Args:
            task: not begun yet.

        Returns:
            Seconds that it has taken so far.

        Raises:
            InputError: what is kept is another run's.
        """
        kept = self.checkpoint.load()
        if kept is None:
            return 0.0
        facts, self.arrays = kept
        require_same(facts["recipe"], self.recipe)
        if "stage" not in facts:  # kept before anything was computed
            return 0.0
        self._warn(facts["machine"])
        task.stage, task.resumed, task.start = facts["stage"], facts["done"], self.arrays.pop("start")
        task.iterations, task.evaluations = facts["iterations"], facts["evaluations"]
        task.history, task.compile_seconds = rows_of(facts), facts["compile_seconds"]
        return facts["seconds"]

    def _warn(self, there: Mapping[str, str]) -> None:
        here = self.machine
        others = [f"{name} {there.get(name)}, now {here[name]}" for name in here if there.get(name) != here[name]]
        if others:
            _log.warning("the checkpoint is of other versions or another machine (%s): the run goes on, "
                         "perhaps not bit for bit", "; ".join(others))  # fmt: skip

    def restore(self, blank: Run) -> Run:
        """Returns the run that was kept; the blank one where none was, or it has been taken up already.

        Args:
            blank: of the same scale, n = 1; its arrays are used up.

        Raises:
            InputError: what is kept has other arrays.
        """
        arrays, self.arrays = self.arrays, {}
        if not arrays:
            return blank
        leaves, structure = jax.tree_util.tree_flatten_with_path(blank)
        values = [arrays.get(jax.tree_util.keystr(path)) for path, _ in leaves]
        for (path, leaf), value in zip(leaves, values, strict=True):
            if value is None or (value.shape, value.dtype) != (leaf.shape, leaf.dtype):
                name = jax.tree_util.keystr(path)
                raise InputError(f"the checkpoint does not fit this version ({name}); delete it, or give another name")
        return engine.fill(blank, jnp.int32(0), jax.tree_util.tree_unflatten(structure, values))

    def keep(self, task: Task, seconds: float, *, run: Run | None = None, now: bool = False) -> None:
        """Keeps a task where the last time is long enough ago.

        Args:
            task: with all rows so far, and the start of its scale.
            seconds: that it has taken so far.
            run: where the scale at work is, n = 1; None: it is not begun yet.
            now: whatever the time.
        """
        began = self.clock()
        if not now and began < self.due:
            return
        arrays = {} if run is None else {
            jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(run)
        }  # fmt: skip
        assert task.start is not None
        facts = {
            "recipe": self.recipe, "machine": self.machine, "stage": task.stage,
            "done": -1 if run is None else task.done, "iterations": task.iterations, "evaluations": task.evaluations,
            "seconds": seconds, "compile_seconds": task.compile_seconds,
            "history": [asdict(row) for row in task.history],
        }  # fmt: skip
        self.checkpoint.save(facts, {**arrays, "start": np.asarray(task.start)})
        ended = self.clock()
        self.due = ended + max(self.every, (ended - began) * (1 / MOST_SHARE - 1))


def rows_of(facts: Facts) -> list[Iteration]:
    """Returns the iterations that a snapshot holds.

    Args:
        facts: of the snapshot.
    """
    return [Iteration(**{**row, "size": tuple(row["size"])}) for row in facts.get("history", ())]
