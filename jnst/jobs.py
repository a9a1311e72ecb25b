"""Jobs and how they are scheduled: which scale of which job goes into which bucket, known before any work.

Scales whose canvases (`batching`) and settings compile to one program share a bucket. Nothing here touches a device.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jnst.batching import Size, canvas_of
from jnst.config import Config
from jnst.engine import Program
from jnst.errors import InputError
from jnst.losses.sizes import SMALLEST_LEVEL, Scale, pyramid_levels
from jnst.losses.terms import Term
from jnst.network.architecture import MIN_SIDE
from jnst.problem import Optimizer, default_terms, objective_for, solver_for
from jnst.records import Iteration
from jnst.stored_style import StoredStyle
from jnst.tileable import plan_scales


@dataclass(frozen=True)
class Picture:
    """An image that is loaded when it is needed: float, (1, h, w, c), in [0, 1]."""

    key: Hashable
    """equal for equal images: what is computed from one is computed once"""
    size: Size
    """(height, width) in pixels"""
    load: Callable[[], np.ndarray]
    stored: StoredStyle | None = None
    """of a painting that is known by its statistics only, and cannot be loaded"""

    @classmethod
    def from_stored(cls, stored: StoredStyle) -> "Picture":
        """Returns a painting that is known by its statistics only.

        Args:
            stored: its statistics.
        """

        def load() -> np.ndarray:
            raise InputError(f"the style file of {stored.name} has no picture; give the painting itself")

        return cls(("stored", id(stored.statistics), stored.size), stored.size, load, stored)

    @classmethod
    def from_array(cls, image: Any) -> "Picture":
        """Returns an image at hand as a picture.

        Args:
            image: float, (1, h, w, c), in [0, 1].
        """
        return cls(("array", id(image)), (image.shape[1], image.shape[2]), lambda: np.asarray(image, np.float32))


@dataclass(frozen=True)
class Style:
    """One of several paintings, and where it acts."""

    picture: Picture
    mask: Picture | None = None
    """(1, h, w, 1), of the content's size: where in the result; None: everywhere"""
    weight: float = 1.0
    own_mask: Picture | None = None
    """(1, h, w, 1), of the painting's size: which part of it is meant; None: all of it"""


@dataclass(frozen=True)
class Job:
    """One picture to paint."""

    content: Picture
    style: Picture
    config: Config | None = None
    """None: the config of all jobs"""
    name: Any = None
    """the caller's"""
    init: Picture | None = None
    """the start image, of the content's size, instead of what the config names"""
    more_styles: tuple[Style, ...] = ()
    """further paintings"""
    mask: Picture | None = None
    """where in the result `style` acts; None: everywhere"""
    style_weight: float = 1.0
    """of `style` among several"""
    own_mask: Picture | None = None
    """which part of `style` is meant; None: all of it"""

    @property
    def styles(self) -> dict[str, Style]:
        """All paintings by the name of their targets: "style", "style:1", ..."""
        first = Style(self.style, self.mask, self.style_weight, self.own_mask)
        return {f"style:{k}" if k else "style": style for k, style in enumerate((first, *self.more_styles))}


@dataclass
class Task:
    """A job under way: its scales, and how far it is."""

    job: Job
    config: Config
    stages: list[tuple[Scale, Program]]
    stage: int = 0
    start: np.ndarray | None = None
    """the result of the scale before; kept until the next one is done, to begin again with fewer at a time"""
    done: int = -1
    """iterations of this scale"""
    resumed: int = -1
    """what `done` begins with: not -1 where a checkpoint has been at this scale"""
    iterations: int = 0
    """of the scales before, as are the evaluations"""
    evaluations: int = 0
    history: list[Iteration] = field(default_factory=list)
    began: float | None = None
    """when the job was begun, by the clock of the scheduler"""
    compile_seconds: float = 0.0

    @property
    def scale(self) -> Scale:
        """The scale at work."""
        return self.stages[self.stage][0]

    @property
    def program(self) -> Program:
        """The program of the scale at work, which is its bucket."""
        return self.stages[self.stage][1]

    @property
    def pixels(self) -> int:
        """Pixels of the scale at work."""
        return self.scale.height * self.scale.width

    def cost(self, stage: int) -> int:
        """Returns what a scale costs: iterations times pixels.

        Args:
            stage: index of the scale, 0 the coarsest.
        """
        scale = self.stages[stage][0]
        return scale.iterations * scale.height * scale.width


@dataclass(frozen=True)
class Schedule:
    """How the jobs are computed, known before any work."""

    tasks: list[Task]

    @property
    def buckets(self) -> Counter[Program]:
        """How many scales of all jobs each program gets."""
        return Counter(program for task in self.tasks for _, program in task.stages)

    @property
    def waste(self) -> float:
        """Share of the computed pixels that lies outside the images."""
        pixels = [(s.height * s.width, p.canvas[0] * p.canvas[1]) for task in self.tasks for s, p in task.stages]
        return 1 - sum(p for p, _ in pixels) / sum(c for _, c in pixels) if pixels else 0.0


@dataclass(frozen=True)
class Extras:
    """What the caller puts in place of what the settings name."""

    terms: tuple[Term, ...] | None = None
    optimizer: Optimizer | None = None
    mesh: Mesh | None = None
    """devices over which the rows of each picture are split"""


def make_schedule(jobs: Sequence[Job], config: Config, *, extras: Extras = Extras()) -> Schedule:
    """Returns every job's scales and their programs.

    Windows, split rows, pictures whose edges meet, and a single picture under the caller's own terms (which need not
    know of masks) have arrays of the picture's own size.

    Args:
        jobs: what to paint.
        config: the settings of the jobs that have none of their own.
        extras: the caller's own terms, optimizer and mesh.

    Raises:
        InputError: scales that an image has no room for, or a setting that cannot be.
    """
    kinds: dict[Any, tuple] = {}
    tasks = []
    for job in jobs:
        own = job.config or config
        stages = []
        for scale in plan_scales(job.content.size, own):
            objective, solver = _kind(job, own, scale, extras, kinds)
            size = (scale.height, scale.width)
            whole = objective.tile or objective.mesh is not None or objective.tileable != "no"
            exact = whole or (extras.terms is not None and len(jobs) == 1)
            canvas = size if exact else canvas_of(size)
            stages.append((scale, Program(canvas, not exact, objective, solver)))
        tasks.append(Task(job, own, stages))
    return Schedule(tasks)


def _kind(job: Job, config: Config, scale: Scale, extras: Extras, kinds: dict[Any, tuple]) -> tuple:
    """All but the padded size that must be equal for two scales to share a program: the objective and the solver."""
    sides = [side for style in job.styles.values() for side in style_size(job, style.picture, scale)]
    shortest = min(scale.height, scale.width, *sides)
    levels = pyramid_levels(shortest, config.style_pyramid_levels, smallest=SMALLEST_LEVEL)
    weights = tuple(style.weight for style in job.styles.values())
    masked = tuple(style.mask is not None for style in job.styles.values())
    key = (replace(config, iterations=0, seed=0, init="content"), levels, weights, masked)
    if key not in kinds:
        terms = extras.terms
        if terms is None:
            terms = default_terms(config, styles=job.styles, weights=weights, masked=masked)
        objective = objective_for(config, mesh=extras.mesh, terms=terms)
        objective = replace(objective, style_pyramid_levels=min(levels, objective.style_pyramid_levels))
        kinds[key] = objective, solver_for(config, optimizer=extras.optimizer)
    return kinds[key]


def style_size(job: Job, style: Picture, scale: Scale) -> Size:
    """Returns the (height, width) of a style image at a scale: reduced as the content is.

    Args:
        job: whose content is painted.
        style: one of its paintings.
        scale: the scale of the result.
    """
    height = job.content.size[0]
    down, across = (max(MIN_SIDE, round(side * scale.height / height)) for side in style.size)
    return down, across
