"""What a schedule's work is measured by: its share that is done, and the rows of each task's history."""

from collections.abc import Sequence
from typing import Any

import jax

from jnst.engine import Program, Records
from jnst.jobs import Task
from jnst.records import Iteration


class WorkMeter:
    """How much of the whole work is done, by pixels and iterations."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.total = sum(task.cost(stage) for task in tasks for stage in range(len(task.stages)))
        self.done = 0

    def advance(self, task: Task, iterations: int) -> None:
        """Counts iterations of the scale at work.

        Args:
            task: under way.
            iterations: more done; negative where they are to be done again.
        """
        self.done += iterations * task.pixels

    def skip(self, task: Task, stage: int) -> None:
        """Counts all scales from `stage` on as done, because they will not be begun.

        Args:
            task: that ended.
            stage: index of the first such scale.
        """
        self.done += sum(task.cost(later) for later in range(stage, len(task.stages)))

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.done / max(1, self.total)


def read_rows(task: Task, records: Records, place: int, times: tuple[float, float]) -> list[Iteration]:
    """Reads the history of one chunk off the engine's records.

    Args:
        task: under way; as far as it was before the chunk.
        records: of the chunk, on the host.
        place: of the task in the batch.
        times: of the chunk's begin and end, in seconds since the task began; shared out by evaluations.

    Returns:
        A row for each accepted iterate; of a later scale's start image none.
    """
    counts = [task.evaluations + int(n) for n in records.evaluations[place, : records.rows[place]]]
    previous = task.history[-1].evaluations if task.history else 0
    rows, size, (began, ended) = [], (task.scale.height, task.scale.width), times
    for row, count in enumerate(counts):
        number = task.done + 1 + row
        if task.stage and number == 0:
            continue
        share = (count - previous) / max(1, counts[-1] - previous)
        seconds = began + share * (ended - began)
        losses = jax.tree.map(lambda leaf, row=row: float(leaf[place, row]), records.losses)
        layers = _style_layers(task.program, losses.terms)
        content, style = (losses.groups.get(name, 0.0) for name in ("content", "style"))
        rows.append(Iteration(task.iterations + number, size, count, seconds, losses.total, content, style, layers))
    return rows


def _style_layers(program: Program, terms: dict[str, Any]) -> dict[str, float]:
    """Losses of the style's terms: by layer where there is one style and its terms have one layer each."""
    style = [term for term in program.objective.terms if term.group == "style"]
    layers = [term.layers[0] if len(term.layers) == 1 else term.name for term in style]
    names = layers if len(set(layers)) == len(layers) else [term.name for term in style]
    return {name: terms[term.name] for name, term in zip(names, style, strict=True)}
