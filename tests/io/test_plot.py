"""The figure of a run's losses."""

import math
import sys
from pathlib import Path

import pytest
from PIL import Image

from jnst.errors import InputError
from jnst.io import optional, plot
from jnst.io.plot import by_scale, require_plot, write_plot
from jnst.records import Iteration

PLOT = pytest.mark.skipif(optional.find("matplotlib.figure") is None, reason="needs the extra plot")


def row(number, size=(32, 48), loss=1.0):
    return Iteration(number, size, number + 1, 0.1, loss, loss / 2, loss / 3, {})


ROWS = [row(0), row(1, loss=0.5), row(2, (64, 96), 0.8), row(3, (64, 96), 0.4)]


def test_rows_are_parted_where_a_scale_begins():
    assert [[each.iteration for each in rows] for rows in by_scale(ROWS)] == [[0, 1], [2, 3]]


@PLOT
@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")])
def test_every_format(tmp_path, name, begins):
    write_plot(tmp_path / name, ROWS, title="a_$x$ x b")
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@PLOT
def test_the_figure_names_curves_and_scales(tmp_path):
    optional.find("matplotlib").rcParams["svg.fonttype"] = "none"
    write_plot(tmp_path / "a.svg", ROWS, title="cup x whirls")
    text = (tmp_path / "a.svg").read_text()
    for shown in ("total", "content", "style", "48x32", "96x64", "iteration", "loss", "cup x whirls"):
        assert f">{shown}<" in text


@PLOT
@pytest.mark.parametrize(
    "rows", [[], [row(0)], [row(0, loss=0.0)], [row(0, loss=math.nan), row(1, loss=math.inf)], ROWS[:1] * 2]
)
def test_runs_with_nothing_to_draw(tmp_path, rows):
    write_plot(tmp_path / "a.png", rows)
    with Image.open(tmp_path / "a.png") as file:
        assert file.size == (960, 600)


@PLOT
def test_what_matplotlib_raises_is_one_line(tmp_path, monkeypatch):
    def fails(figure, *arguments, **more):
        raise RuntimeError("no\nfont")

    monkeypatch.setattr(optional.find("matplotlib.figure").Figure, "savefig", fails)
    with pytest.raises(InputError, match=r"a.png cannot be drawn \(no font\)$"):
        write_plot(tmp_path / "a.png", ROWS)


def test_what_cannot_be_drawn(monkeypatch):
    with pytest.raises(InputError, match=r"has the extension '.jpg'; a plot can be written as .png, .svg, .pdf"):
        require_plot(Path("a.jpg"))
    monkeypatch.setattr(plot.optional, "find", lambda name: None)
    with pytest.raises(InputError, match=r'a.png: a plot needs further packages: pip install "jnst\[plot\]"'):
        require_plot(Path("a.png"))
