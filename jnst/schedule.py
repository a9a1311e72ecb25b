"""From jobs to tasks: which scale of which job goes into which bucket, known before any work."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jnst.batching import Size, canvases
from jnst.config import Config
from jnst.engine import Bucket
from jnst.losses import objective
from jnst.losses.pyramid import Scale, scales
from jnst.network.architecture import MIN_SIDE
from jnst.transfer import spec_of


@dataclass(frozen=True)
class Picture:
    """An image that is loaded when it is needed: float, (1, h, w, 3), RGB in [0, 1]."""

    key: Hashable
    """equal for equal images: what is computed from one is computed once"""
    size: Size
    """(height, width) in pixels"""
    load: Callable[[], np.ndarray]

    @classmethod
    def of(cls, image: Any) -> "Picture":
        """An image at hand."""
        return cls(("array", id(image)), (image.shape[1], image.shape[2]), lambda: np.asarray(image, np.float32))


@dataclass(frozen=True)
class Job:
    """One picture to paint; `name` is the caller's."""

    content: Picture
    style: Picture
    config: Config | None = None
    """None: the config of all"""
    name: Any = None


@dataclass
class Task:
    """One scale of one job."""

    job: Job
    config: Config
    stages: list[tuple[Scale, Bucket]]
    stage: int = 0
    start: np.ndarray | None = None
    """what the scale before has found; kept until the next one has, for another try with fewer at a time"""
    done: int = -1
    """iterations of this scale"""
    iterations: int = 0
    evaluations: int = 0
    """of the scales before"""

    @property
    def scale(self) -> Scale:
        return self.stages[self.stage][0]

    @property
    def pixels(self) -> int:
        """Of the scale."""
        return self.scale.height * self.scale.width

    def work(self, stage: int) -> int:
        """What a scale costs: iterations times pixels."""
        scale = self.stages[stage][0]
        return scale.iterations * scale.height * scale.width

    @property
    def bucket(self) -> Bucket:
        return self.stages[self.stage][1]


@dataclass(frozen=True)
class Plan:
    """How the jobs are computed, known before any work."""

    tasks: list[Task]
    style_canvases: dict[Size, Size]
    """of each size of a style image; one program computes the targets of all that share a canvas"""

    @property
    def buckets(self) -> Counter[Bucket]:
        """How many scales of all jobs each of them gets."""
        return Counter(bucket for task in self.tasks for _, bucket in task.stages)

    @property
    def waste(self) -> float:
        """Share of the computed pixels that lies outside the images."""
        pixels = [(s.height * s.width, b.canvas[0] * b.canvas[1]) for task in self.tasks for s, b in task.stages]
        return 1 - sum(p for p, _ in pixels) / max(1, sum(c for _, c in pixels))


def plan_of(jobs: Sequence[Job], config: Config) -> Plan:
    """Every job's scales and their buckets; `config` is that of the jobs that have none."""
    found: list[tuple[Job, Config, list[Scale]]] = []
    counts: dict[Any, Counter[Size]] = {}
    styles: Counter[Size] = Counter()
    for job in jobs:
        own = job.config or config
        stages = scales(*job.content.size, own.iterations, own.scales)
        found.append((job, own, stages))
        for scale in stages:
            counts.setdefault(_kind(job, own, scale), Counter())[scale.height, scale.width] += 1
            styles[style_size(job, scale)] += 1
    canvas = {kind: canvases(sizes) for kind, sizes in counts.items()}
    whole = {
        (kind, c): len({size for size in sizes if canvas[kind][size] == c}) == 1
        for kind, sizes in counts.items() for c in canvas[kind].values()
    }  # fmt: skip
    tasks = []
    for job, own, stages in found:
        buckets = []
        for scale in stages:
            kind = _kind(job, own, scale)
            size = canvas[kind][scale.height, scale.width]
            buckets.append((scale, Bucket(size, not whole[kind, size], *kind)))
        tasks.append(Task(job, own, buckets))
    return Plan(tasks, canvases(styles))


def _kind(job: Job, config: Config, scale: Scale) -> tuple[Any, ...]:
    """What but the canvas decides the bucket."""
    shortest = min(scale.height, scale.width, *style_size(job, scale))
    spec = spec_of(config)
    spec = replace(spec, style_sizes=objective.sizes(shortest, spec.style_sizes))
    return spec, config.layer_weights(), config.history_size, config.history_dtype


def style_size(job: Job, scale: Scale) -> Size:
    """Of the style image at that scale."""
    height = job.content.size[0]
    down, across = (max(MIN_SIDE, round(side * scale.height / height)) for side in job.style.size)
    return down, across
