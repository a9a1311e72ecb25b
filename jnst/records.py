"""What a run tells: iterations, progress, results. Plain data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Iteration:
    """The losses of the iterate after `iteration` iterations of the whole run.

    Attributes:
        iteration: 0 is the start.
        size: (height, width) of its scale in pixels.
        evaluations: of the objective so far, over all scales.
        seconds: since the start of the run; those of a chunk are divided among its iterations in proportion to their
            evaluations.
        loss: L (eq. 5).
        content_loss: L_c.
        style_loss: L_s (eq. 4).
        style_layers: E_l by style layer (eq. 3); by term name where the terms are the caller's own.
    """

    iteration: int
    size: tuple[int, int]
    evaluations: int
    seconds: float
    loss: float
    content_loss: float
    style_loss: float
    style_layers: dict[str, float]


@dataclass(frozen=True)
class Progress:
    """What a callback gets once a chunk, for each picture at work.

    Attributes:
        iteration: iterations done, over all scales.
        iterations: of the whole run.
        seconds: since the start of the run.
        best_loss: of the scale at work.
        new: the iterations of this chunk.
        image: copies the best image so far, (1, h, w, 3) at its scale, to the host; only during the callback.
        name: of the job, as its caller named it.
    """

    iteration: int
    iterations: int
    seconds: float
    best_loss: float
    new: list[Iteration]
    image: Callable[[], np.ndarray]
    name: Any = None


@dataclass(frozen=True)
class Result:
    """The best image that a run has seen, and how it was found; or why there is none.

    Attributes:
        image: (1, h, w, 3), RGB in [0, 1]; None where the job failed.
        loss: of the image.
        iterations, evaluations: over all scales.
        seconds: of the run; `compile_seconds` of them went by before the first iteration of each scale.
        stop_reason: `max_iterations`, `converged`, `line_search`, `not_finite`, or `stopped` (by the callback).
        history: every iteration.
        weights: the record of the weights, where they were given as `Weights`.
        name: of the job, as its caller named it.
        config: the settings, with the layers that were chosen.
        error: why the job failed, in one line; empty where it did not.
    """

    image: Any
    loss: float = float("nan")
    iterations: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    stop_reason: str = ""
    history: tuple[Iteration, ...] = ()
    weights: dict[str, str] | None = None
    name: Any = None
    config: Any = None
    error: str = ""


Callback = Callable[[Progress], bool | None]
"""gets the progress of one picture; a true answer stops it"""
