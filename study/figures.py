"""Tables, verdicts and figures for the report, from what runs have kept; drawn with matplotlib (the extra `study`)."""

from pathlib import Path
from typing import Any

import matplotlib  # pyright: ignore[reportMissingImports]
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

DPI = 110


def count(verdicts: list[bool]) -> str:
    return f"{sum(verdicts)} of {len(verdicts)} pairs"


def verdict(outcomes: list[bool], claim: str) -> str:
    word = "Confirmed" if all(outcomes) else "Not confirmed" if not any(outcomes) else "Confirmed in part"
    return f"**{word}** ({count(outcomes)}): {claim}"


def title(pair: tuple[str, str]) -> str:
    return " x ".join(pair)


def number(value: float) -> str:
    return "never" if np.isinf(value) else f"{value:.3g}"


def table(head: list[str], rows: list[list[Any]]) -> str:
    cells = [[number(c) if isinstance(c, float) else str(c) for c in row] for row in rows]
    lines = [" | ".join(row) for row in [head, ["---"] * len(head), *cells]]
    return "\n".join(f"| {line} |" for line in lines)


def curves(place: Path, panels: list[tuple[str, dict[str, dict[str, Any]]]]) -> None:
    """One panel a pair: the fixed objective over evaluations."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.2), squeeze=False)
    for axis, (name, lines) in zip(axes[0], panels, strict=True):
        for k, (label, run) in enumerate(lines.items()):
            axis.plot(run["curve"][:, 0], run["curve"][:, 1], label=label, linestyle=("-", "--", ":")[k % 3])
        axis.set(title=name, xlabel="evaluations", yscale="log")
    axes[0, 0].set_ylabel("fixed objective")
    axes[0, -1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(place, dpi=DPI)
    plt.close(figure)


def pictures(place: Path, rows: list[list[tuple[str, np.ndarray]]]) -> None:
    """Pictures with captions, row by row."""
    columns = max(map(len, rows))
    height, width = rows[0][0][1].shape[1:3]
    figure, axes = plt.subplots(len(rows), columns, squeeze=False,
                                figsize=(1.75 * columns, (1.75 * height / width + 0.25) * len(rows)))  # fmt: skip
    for axis in axes.ravel():
        axis.axis("off")
    for row, cells in zip(axes, rows, strict=True):
        for axis, (caption, picture) in zip(row, cells, strict=False):
            axis.imshow(np.clip(picture[0], 0, 1), interpolation="lanczos")
            axis.set_title(caption, fontsize=7, pad=3)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.18 / figure.get_figheight(), 0.03, 0.18)
    figure.savefig(place, dpi=160, pil_kwargs={"quality": 85})
    plt.close(figure)
