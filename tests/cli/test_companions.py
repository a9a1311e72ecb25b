"""Film and plot of a single run, the lines at its end, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import paint_folders, paint_one

from jnst.cli.companions import summary_lines
from jnst.io import image, optional, plot
from jnst.io.clip import open_clip
from jnst.records import Result

needs_plot = pytest.mark.skipif(optional.find("matplotlib.figure") is None, reason="needs the extra plot")
needs_av = pytest.mark.skipif(optional.find("av") is None, reason="needs the extra video")


@needs_plot
def test_a_film_and_a_plot_of_a_run(files, capsys):
    film, figure, trace = files / "run.gif", files / "loss.svg", files / "run.jsonl"
    more = ["--animation", film, "--plot", figure, "--trace", trace, "--save-every", 3]
    assert paint_one(files, "-o", files / "out.png", *more) == 0
    clip = open_clip(film)
    assert (clip.size, clip.frames) == ((32, 48), 5)  # of the start and of 1, 2, 3; the fourth is the result, held
    frames = [picture for _, picture in clip.pictures(clip.size)]
    photo, out = image.load(files / "photo.png", size=(32, 48)), image.load(files / "out.png")
    assert np.abs(frames[0] - photo).mean() < 0.03  # 256 colours
    assert np.abs(frames[-1] - out).mean() < 0.03
    assert np.abs(frames[-1] - photo).mean() > 0.03
    assert figure.read_bytes().startswith(b"<?xml")
    assert (files / "out-0003.png").exists()
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert f"jnst: trace {trace}, film {film}, plot {figure}\n" in shown.err
    assert "peak memory" in shown.err


@needs_plot
def test_what_cannot_be_written_at_the_end_loses_no_picture(files, capsys, monkeypatch):
    def full(path, history, **more):
        raise plot.InputError(f"{path} cannot be written (full)")

    monkeypatch.setattr("jnst.cli.companions.write_plot", full)
    assert paint_one(files, "-o", files / "out.png", "--plot", files / "p.png", "--quiet") == 0
    assert capsys.readouterr().err == f"jnst: no plot: {files / 'p.png'} cannot be written (full)\n"
    assert (files / "out.png").exists()


def test_the_last_lines():
    ended = Result(np.zeros((1, 2, 2, 3), np.float32), stop_reason="line_search")
    first, second = summary_lines(ended, {"compile": 12.4, "iterations": 3}, {"trace": None, "film": Path("a.mp4")})
    assert first.startswith("stopped early: no step lowers the loss, 12 s before the first iterations")
    assert ", 3 s in them, peak memory " in first
    assert second == "film a.mp4"
    assert len(summary_lines(Result(None, stop_reason="max_iterations"), {}, {})) == 1


REFUSED = [
    (["--animation", "{}/a.avi"], "a.avi has the extension '.avi'; a film can be written as .mp4, .gif, .webp"),
    (["--animation", "{}/none/a.gif"], "cannot be written: there is no folder"),
    (["--animation", "{}/photo.gif"], "photo.gif exists; give --overwrite to replace it, or another --animation"),
    (
        ["--animation", "{}/a.gif", "--trace", "{}/a.gif"],
        "a.gif is also an input or another output; give another --an",
    ),
    (["--plot", "{}/a.jpg"], "a.jpg has the extension '.jpg'; a plot can be written as .png, .svg, .pdf"),
    (["--plot", "{}/out.png"], "out.png is also an input or another output; give another --plot"),
    (["--plot", "{}/out-0002.png", "--save-every", "2"], "out-0002.png is also an input or another output"),
    (["--plot", "{}/painting.png", "--overwrite"], "painting.png is also an input or another output"),
]


@needs_plot
@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_is_refused_before_anything_is_computed(files, capsys, monkeypatch, arguments, message):
    (files / "photo.gif").write_bytes(b"")
    monkeypatch.setattr("jnst.cli.single.load_images", lambda *_: pytest.fail("it went on"))
    before = sorted(os.listdir(files))
    assert paint_one(files, "-o", files / "out.png", *(text.format(files) for text in arguments)) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert sorted(os.listdir(files)) == before


@pytest.mark.parametrize(("option", "name"), [("--animation", "a.mp4"), ("--plot", "a.png")])
def test_a_missing_package_is_one_line(files, capsys, monkeypatch, option, name):
    monkeypatch.setattr(optional, "find", lambda package: None)
    assert paint_one(files, option, files / name) == 2
    extra = "video" if option == "--animation" else "plot"
    assert f'needs further packages: pip install "jnst[{extra}]"' in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--animation", "--plot"])
def test_batches_have_none(folders, capsys, option):
    assert paint_folders(folders, option, folders / "a.gif") == 2
    assert capsys.readouterr().err == f"jnst: {option} is for single pictures\n"
    assert not (folders / "out").exists()
