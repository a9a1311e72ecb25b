"""Which iterations become frames, and films that cannot be: told in a line, while the run goes on."""

import math
import os
from fractions import Fraction

import numpy as np
import pytest

from jnst.cli import animation
from jnst.cli.animation import HELD_SECONDS, Animation, callback_interval, frame_interval
from jnst.io import optional
from jnst.io.atomic import UnwritableError
from jnst.io.clip import open_clip
from jnst.records import Iteration, Progress

SIZE = (32, 48)


def grey(level, height=32, width=48):
    return np.full((1, height, width, 3), level, np.float32)


def progress(number, picture):
    rows = [Iteration(number, SIZE, number + 1, 0.1, 1.0, 1.0, 1.0, {})]
    return Progress(number, 12, 0.1, 1.0, rows, lambda: picture)


@pytest.mark.parametrize("iterations", [0, 1, 30, 60, 61, 100, 119, 300, 1000])
def test_about_sixty_frames(iterations):
    every = frame_interval(iterations)
    assert iterations // every <= 60
    assert iterations < 60 or iterations // every >= 30


@pytest.mark.parametrize(("save_every", "interval"), [(25, 2), (0, 5), (25, 0), (0, 0), (10, 5)])
def test_the_run_pauses_for_both(save_every, interval):
    every = callback_interval(save_every, interval)
    assert all(number % every == 0 for number in (save_every, interval) if number)
    assert every == math.gcd(save_every, interval)


def test_frames_of_the_start_of_coarse_scales_and_of_the_picture(tmp_path):
    made = Animation(tmp_path / "a.gif", SIZE, 130)
    assert (made.interval, made.rate) == (3, Fraction(11))
    made.begin(lambda: grey(0.0))
    made.take(progress(0, grey(0.9)))  # the start is there already
    for number in (1, 2, 3):  # of which the last is due
        made.take(progress(number, grey(0.2 + number / 10, 16, 24)))
    made.finish(grey(1.0))
    made.abandon()
    assert made.is_there
    clip = open_clip(tmp_path / "a.gif")
    assert [round(float(picture.mean()), 1) for _, picture in clip.pictures(SIZE)] == [0.0, 0.5, 1.0]
    assert clip.rate is not None
    assert clip.frames / clip.rate == pytest.approx(HELD_SECONDS + 2 / 11, abs=0.03)


@pytest.mark.skipif(optional.find("av") is None, reason="needs the extra video")
def test_a_run_that_begins_again_begins_its_film_again(tmp_path):
    made = Animation(tmp_path / "a.mp4", SIZE, 4)
    made.begin(lambda: grey(0.0))
    made.take(progress(1, grey(0.5)))
    made.begin(lambda: grey(0.2))
    assert len(os.listdir(tmp_path)) == 1  # half a film, and not two
    made.finish(grey(1.0))
    assert os.listdir(tmp_path) == ["a.mp4"]
    (_, first), *others = open_clip(tmp_path / "a.mp4").pictures(SIZE)
    assert first.mean() == pytest.approx(0.2, abs=0.02)
    assert len(others) == HELD_SECONDS * made.rate


def test_without_a_path_nothing_is_done(tmp_path):
    made = Animation(None, SIZE, 100)
    made.begin(lambda: pytest.fail("it was begun"))
    made.take(progress(2, None))
    made.finish(None)
    made.abandon()
    assert (made.interval, made.is_there) == (0, False)


@pytest.mark.parametrize("when", ["begin", "take", "finish"])
def test_a_film_that_cannot_be_written_is_told_once(tmp_path, capsys, monkeypatch, when):
    def full(*arguments, **more):
        raise UnwritableError(tmp_path / "a.gif", OSError(28, "No space left on device"))

    made = Animation(tmp_path / "a.gif", SIZE, 4)
    for step, act in {"begin": lambda: made.begin(lambda: grey(0.0)), "take": lambda: made.take(progress(1, grey(0.5))),
                      "finish": lambda: made.finish(grey(1.0))}.items():  # fmt: skip
        if step == when:
            monkeypatch.setattr(animation.Film, "close" if when == "finish" else "add", full)
        act()
    assert capsys.readouterr().err == (
        f"jnst: no film: {tmp_path / 'a.gif'} cannot be written (No space left on device); choose another place\n"
    )
    assert not made.is_there
    assert os.listdir(tmp_path) == []
