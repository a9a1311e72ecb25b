"""`jnst frames`: what is painted from what, what is written, and how it ends."""

import os
from contextlib import closing
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from cli_helpers import FAST

from jnst.cli.main import main
from jnst.errors import InputError, OutOfMemory
from jnst.io import image, optional
from jnst.io.atomic import UnwritableError
from jnst.io.clip import Clip, open_clip
from jnst.io.film import Film
from jnst.records import Result

needs_av = pytest.mark.skipif(optional.find("av") is None, reason="needs the extra video")


@pytest.fixture
def clip(files):
    """The folder of a photograph that moves by four pixels a frame, six times, at ten frames a second."""
    photo = image.load(files / "photo.png")
    with closing(Film(files / "clip.gif", (48, 52), Fraction(10))) as made:
        for k in range(6):
            made.add(photo[:, :, 4 * k : 4 * k + 52])
    return files


@pytest.fixture
def painted(monkeypatch):
    """What `stylize` is given; the picture is the frame, a tenth darker, or what `answers` has."""
    calls = SimpleNamespace(given=[], answers=[])

    def stylize(content, style, config, weights, *, init, callback):
        calls.given.append(SimpleNamespace(content=content, config=config, init=init))
        answer = calls.answers.pop(0) if calls.answers else None
        if isinstance(answer, BaseException):
            raise answer
        return answer or Result(content * np.float32(0.9), stop_reason="max_iterations")

    monkeypatch.setattr("jnst.transfer.stylize", stylize)
    return calls


def frames(folder, *arguments, clip="clip.gif"):
    places = ["frames", folder / clip, folder / "painting.png", *FAST]
    return main(list(map(str, [*places, *arguments])))


def test_frames_are_painted_by_the_network_itself(clip, capsys):
    assert frames(clip, "-o", clip / "out.gif", "--every", 3, "--next-iterations", 2) == 0
    made = open_clip(clip / "out.gif")
    assert (made.size, made.frames) == ((44, 48), 2)
    assert made.rate is not None
    assert made.frames / made.rate == pytest.approx(0.6, abs=0.02)  # as long as the clip
    (_, first), (_, second) = made.pictures(made.size)
    before = [picture for _, picture in open_clip(clip / "clip.gif").pictures(made.size, every=3)]
    assert 0.01 < np.abs(first - before[0]).mean() < 0.5
    assert 0.01 < np.abs(second - first).mean() < 0.5
    assert capsys.readouterr().out.startswith(f"{clip / 'out.gif'}  (2 of 2 frames, 48x44, 3.333 a second, ")


def test_each_frame_begins_where_the_one_before_has_ended(clip, painted):
    assert frames(clip, "-o", clip / "out", "--iterations", "20", "--scales", "2", "--strength", "0.8") == 0
    first, *others = painted.given
    assert (first.init, first.config.iterations, first.config.scales) == (None, 20, ("2",))
    assert len(others) == 5
    for before, after in zip(painted.given, others, strict=False):
        np.testing.assert_array_equal(after.init, before.content * np.float32(0.9))
        assert (after.config.iterations, after.config.scales, after.config.strength) == (6, ("1",), 0.8)
    assert sorted(os.listdir(clip / "out")) == [f"frame-{k:06d}.png" for k in range(6)]
    assert np.abs(image.load(clip / "out" / "frame-000005.png") - others[-1].content * 0.9).max() < 0.01


def test_a_folder_of_pictures_is_a_clip(clip, painted, capsys):
    (clip / "in").mkdir()
    for k, (_, picture) in enumerate(open_clip(clip / "clip.gif").pictures((48, 52))):
        image.save(picture, clip / "in" / f"s{k + 8}.png")  # s8, s9, s10, ...
    assert frames(clip, "-o", clip / "out.webp", "--fps", "12.5", clip="in") == 0
    assert "6 of 6 frames, 48x44, 12.5 a second" in capsys.readouterr().out
    means = [float(call.content.mean()) for call in painted.given]
    own = [picture.mean() for _, picture in open_clip(clip / "clip.gif").pictures((44, 48))]
    np.testing.assert_allclose(means, own, atol=0.01)


@needs_av
def test_a_film_keeps_its_rate_and_not_its_sound(clip, painted, capsys):
    av = optional.find("av")
    with av.open(str(clip / "clip.mp4"), "w") as container:
        video, audio = container.add_stream("mpeg4", rate=30), container.add_stream("aac", rate=44100)
        video.width, video.height, video.pix_fmt = 52, 48, "yuv420p"
        for _ in range(4):
            noise = av.VideoFrame.from_ndarray(np.zeros((48, 52, 3), np.uint8), format="rgb24")
            container.mux(video.encode(noise))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.sample_rate = 44100
        container.mux(audio.encode(silence))
        container.mux([*video.encode(None), *audio.encode(None)])
    assert frames(clip, "-o", clip / "out.mp4", "--every", 2, clip="clip.mp4") == 0
    assert "jnst: the clip's sound is not kept\n" in capsys.readouterr().err
    made = open_clip(clip / "out.mp4")
    assert (made.size, made.frames, made.rate, made.sound) == ((44, 48), 2, 15, False)


def test_a_signal_keeps_the_frames_so_far(clip, painted, capsys):
    painted.answers = [None, None, KeyboardInterrupt()]
    assert frames(clip, "-o", clip / "out.gif") == 130
    assert open_clip(clip / "out.gif").frames == 2
    assert "(2 of 6 frames" in capsys.readouterr().out
    painted.answers = [KeyboardInterrupt()]
    assert frames(clip, "-o", clip / "none.gif") == 130
    assert "no frame was done; nothing is written" in capsys.readouterr().err
    assert not (clip / "none.gif").exists()


def test_what_ends_it_early_keeps_the_frames_so_far(clip, painted, capsys):
    painted.answers = [None, Result(None, stop_reason="not_finite")]
    assert frames(clip, "-o", clip / "out.gif") == 1
    assert open_clip(clip / "out.gif").frames == 1
    assert "the loss left the finite numbers at frame 1; the film ends there" in capsys.readouterr().err


def test_a_clip_that_is_damaged_later_keeps_the_frames_so_far(clip, painted, capsys, monkeypatch):
    read = Clip.pictures

    def damaged(clip, *arguments, **more):
        for number, picture in read(clip, *arguments, **more):
            if number == 4:
                raise InputError("clip.gif cannot be read (no more)")
            yield number, picture

    monkeypatch.setattr(Clip, "pictures", damaged)
    assert frames(clip, "-o", clip / "half") == 1
    assert len(os.listdir(clip / "half")) == 4
    assert capsys.readouterr().err.endswith("jnst: clip.gif cannot be read (no more); the film ends there\n")


def test_too_little_memory_is_one_line(clip, painted, capsys):
    painted.answers = [OutOfMemory("no")]
    assert frames(clip, "-o", clip / "out.gif") == 2
    assert capsys.readouterr().err == "jnst: not enough memory for 48x44 pixels; give a smaller --image-size\n"
    assert not (clip / "out.gif").exists()
    painted.answers = [None, OutOfMemory("no")]
    assert frames(clip, "-o", clip / "out.gif") == 1
    assert open_clip(clip / "out.gif").frames == 1


def test_what_nobody_has_foreseen_keeps_the_frames_so_far(clip, painted):
    painted.answers = [None, None, ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        frames(clip, "-o", clip / "out.gif")
    assert open_clip(clip / "out.gif").frames == 2


def test_a_full_disk_is_one_line(clip, painted, capsys, monkeypatch):
    def full(film, picture):
        raise UnwritableError(film.path, OSError(28, "No space left on device"))

    monkeypatch.setattr(Film, "add", full)
    assert frames(clip, "-o", clip / "out.gif", "--quiet") == 2
    line = f"jnst: {clip / 'out.gif'} cannot be written (No space left on device); choose another place\n"
    assert capsys.readouterr().err == line
    assert not (clip / "out.gif").exists()


REFUSED = [
    ([], "give -o OUTPUT: a film, .mp4 .gif or .webp, or a folder of pictures"),
    (["-o", "{}/a.avi"], "a.avi has the extension '.avi'; a film can be written as"),
    (["-o", "{}/clip.gif"], "clip.gif is also an input or another output; give another --output"),
    (["-o", "{}/full"], "frame-000000.png exists; give --overwrite to replace it, or another --output"),
    (["-o", "{}/photo.png/a"], "cannot be made"),
    (["-o", "{}/a.gif", "--every", "0"], "--every must be at least 1, got 0"),
    (["-o", "{}/a.gif", "--next-iterations", "0"], "--next-iterations must be at least 1, got 0"),
    (["-o", "{}/a.gif", "--fps", "nan"], "--fps must be above 0 and at most 240, got nan"),
    (["-o", "{}/a.gif", "--plan"], "--plan is for single pictures"),
    (["-o", "{}/a.gif", "--devices", "2"], "--devices is for single pictures"),
    (["-o", "{}/a.gif", "--for", "v5e"], "--for is for single pictures"),
    (["-o", "{}/a.gif", "--init", "x.png"], "--init of a clip must be content, style or noise, got x.png"),
    (["-o", "{}/a.gif", "--strength", "2"], "--strength must be a number between 0 and 1, got 2.0"),
    (["-o", "{}/a.gif", "--image-size", "33"], "both sides need at least 32: give --image-size 35"),
    (["-o", "{}/a.gif", "--wrong"], "see --help"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_is_refused_before_anything_is_computed(clip, painted, capsys, arguments, message):
    (clip / "full").mkdir()
    image.save(np.zeros((1, 32, 32, 3), np.float32), clip / "full" / "frame-000000.png")
    before = sorted(os.listdir(clip))
    assert frames(clip, *(text.format(clip) for text in arguments)) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert sorted(os.listdir(clip)) == before
    assert not painted.given


def test_clips_that_are_none(clip, painted, capsys, monkeypatch):
    (clip / "empty").mkdir()
    for name, message in (("none.mp4", "no such file"), ("empty", "holds no picture"), ("photo.jpg", "no such file")):
        assert frames(clip, "-o", clip / "a.gif", clip=name) == 2
        assert message in capsys.readouterr().err
    assert main(["frames"]) == 2
    assert "CLIP and STYLE are required" in capsys.readouterr().err
    monkeypatch.setattr("jnst.cli.frame_outputs.KEPT_BYTES", 10_000)
    assert frames(clip, "-o", clip / "a.gif") == 2
    assert "would hold 6 frames, too many for a .gif; give an .mp4" in capsys.readouterr().err


def test_presets_and_help(capsys):
    assert main(["frames", "--list-presets"]) == 0
    with pytest.raises(SystemExit):
        main(["frames", "--help"])
    shown = capsys.readouterr().out
    assert "gatys2016" in shown
    assert "usage: jnst frames" in shown
    assert "--next-iterations" in shown
