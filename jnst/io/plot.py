"""The curves of a run as a figure: losses over iterations, drawn by matplotlib (extra `plot`).

A `Figure` of its own with the canvas of its format: nothing of pyplot's, which is the process's, is touched.
"""

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jnst.errors import InputError, single_line
from jnst.io import optional
from jnst.io.atomic import write_whole
from jnst.records import Iteration

FORMATS = (".png", ".svg", ".pdf")
_CURVES = {"loss": ("total", "#222222"), "content_loss": ("content", "#1f77b4"), "style_loss": ("style", "#d62728")}
"""field of an iteration -> its name in the legend, and its colour"""


_LEAST = 1e-6
"""of a curve's largest value: less is rounding, as the content's loss where the photograph is the start"""


def require_plot(path: Path) -> None:
    """Refuses a path whose extension names no format of figures.

    Args:
        path: of the figure to write.

    Raises:
        InputError: with the extensions that do; a package that is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} has the extension {path.suffix!r}; a plot can be written as {', '.join(FORMATS)}")
    if optional.find("matplotlib.figure") is None:
        optional.require("matplotlib.figure", path, "a plot")


def write_plot(path: Path, history: Sequence[Iteration], *, title: str = "") -> None:
    """Draws total, content and style loss over the iterations, on a logarithmic scale; scales are marked.

    A loss of a coarser scale is not that of a finer one: where a scale begins, the curves begin anew.

    Args:
        path: ends in .png, .svg or .pdf.
        history: of a run.
        title: above the curves.

    Raises:
        UnwritableError: a place that cannot be written.
        InputError: an unknown extension, matplotlib is missing or fails.
    """
    require_plot(path)
    figure = optional.find("matplotlib.figure").Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    runs = by_scale(history)
    for field, (name, colour) in _CURVES.items():
        least = _LEAST * max((value for row in history if math.isfinite(value := getattr(row, field))), default=0.0)
        for number, rows in enumerate(runs):
            values = [getattr(row, field) for row in rows]
            shown = [value if math.isfinite(value) and value > least else math.nan for value in values]
            label = name if number == 0 else None
            axes.plot([row.iteration for row in rows], shown, color=colour, label=label, marker="." * (len(rows) == 1))
    if any(line for line in axes.get_lines() if any(value == value for value in line.get_ydata())):
        axes.set_yscale("log")
    for number, rows in enumerate(runs):
        height, width = rows[0].size
        if number:
            axes.axvline(rows[0].iteration - 0.5, color="#999999", linewidth=0.8, linestyle="--")
        place = {"xycoords": axes.get_xaxis_transform(), "xytext": (3, -4), "textcoords": "offset points"}
        axes.annotate(f"{width}x{height}", (rows[0].iteration, 1.0), va="top", fontsize=8, color="#666666", **place)
    axes.set(xlabel="iteration", ylabel="loss")
    axes.set_title(title.replace("$", r"\$"), fontsize=10)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=True, which="major", color="#e5e5e5")
    if runs:
        axes.legend(loc="best")
    content = _drawn(path, figure)
    write_whole(path, lambda file: file.write(content))


def by_scale(history: Iterable[Iteration]) -> list[list[Iteration]]:
    """Returns the rows of each scale, coarsest first.

    Args:
        history: of a run.
    """
    runs: list[list[Iteration]] = []
    for row in history:
        if not runs or runs[-1][-1].size != row.size:
            runs.append([])
        runs[-1].append(row)
    return runs


def _drawn(path: Path, figure: Any) -> bytes:
    whole = io.BytesIO()
    try:
        figure.savefig(whole, format=path.suffix.lower()[1:], dpi=120)
    except Exception as error:  # as of a font cache that cannot be read
        raise InputError(f"{path} cannot be drawn ({single_line(error)})") from None
    return whole.getvalue()
