"""The command line of many pictures."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from cli_helpers import paint_folders, paint_listed
from helpers import FAST_BATCH, ROOT
from PIL import Image

from jnst.cli.main import main
from jnst.cli.progress import BatchReporter
from jnst.io import image
from jnst.io.atomic import UnwritableError
from jnst.io.paths import UNFINISHED

SHALLOW = ["--content-layers", "conv1_1", "--batch-size", "1"]  # for programs that one test alone compiles


def outputs(folder):
    """The finished pictures; one that is being written, or was when its process was killed, has a hidden name."""
    return sorted(path.name for path in (folder / "out").glob("[!.]*.png"))


def lines(folder):
    return [json.loads(line) for line in (folder / "out" / "manifest.jsonl").read_text().splitlines()]


def test_every_photograph_in_every_manner(folders, capsys):
    sheet = folders / "sheet.png"
    assert paint_folders(folders, "--contact-sheet", sheet) == 0
    assert outputs(folders) == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]  # two on each of eight devices
    assert [line["iterations"] for line in lines(folders)] == [2] * 4
    assert sorted(line["job"]["output"] for line in lines(folders)) == outputs(folders)
    assert image.load(sheet).shape[1:3] == (3 * 166 + 6, 3 * 166 + 6)
    shown = capsys.readouterr()
    assert "4 pictures, 1 program to compile, 2% of pixels empty" in shown.err
    assert "program 1 of 1: up to 48x41 pixels, 16 at a time" in shown.err
    assert "4 of 4 done, 0 failed" in shown.err
    assert "(4 pictures," in shown.out


def test_what_is_done_is_not_done_again(folders, capsys):
    assert paint_folders(folders) == 0
    before = {path.name: path.stat().st_mtime_ns for path in (folders / "out").glob("*.png")}
    (folders / "out" / "b_x.png").unlink()
    manifest = folders / "out" / "manifest.jsonl"
    with manifest.open("a") as file:
        file.write('{"job": {"outp')  # as kill -9 leaves it
    (folders / "out" / ".jnst-abc.png").write_bytes(b"half")
    capsys.readouterr()
    assert paint_folders(folders) == 0
    assert "3 of 4 are done already" in capsys.readouterr().err
    after = {path.name: path.stat().st_mtime_ns for path in (folders / "out").glob("*.png")}
    assert [name for name in before if before[name] != after[name]] == ["b_x.png"]
    assert not (folders / "out" / ".jnst-abc.png").exists()
    assert paint_folders(folders, "--strength", "0.5") == 0  # other settings: other pictures
    assert all(path.stat().st_mtime_ns != after[path.name] for path in (folders / "out").glob("*.png"))


def test_shards_do_each_picture_once_and_other_shards_find_it_done(folders, capsys):
    assert [paint_folders(folders, "--shard", f"{k}/2") for k in (1, 0)] == [0, 0]
    assert outputs(folders) == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]
    before = {path.name: path.stat().st_mtime_ns for path in (folders / "out").glob("*.png")}
    names = [path.name for path in (folders / "out").glob("manifest*")]
    assert sorted(names) == ["manifest-0-of-2.jsonl", "manifest-1-of-2.jsonl"]
    capsys.readouterr()
    for k in range(5):  # as many as pictures and one more: one at least has nothing to do
        assert paint_folders(folders, "--shard", f"{k}/5") == 0
    assert paint_folders(folders) == 0
    assert {path.name: path.stat().st_mtime_ns for path in (folders / "out").glob("*.png")} == before
    assert "4 of 4 are done already" in capsys.readouterr().err
    assert main([str(folders / "photos" / "a.png"), str(folders / "paintings" / "x.png"), "--shard", "0/2"]) == 2
    assert "--shard is for many pictures; give a folder, or --jobs" in capsys.readouterr().err


def test_a_broken_image_fails_alone(folders, capsys):
    (folders / "photos" / "bad.jpg").write_text("no picture")
    assert paint_folders(folders, "--quiet") == 1
    assert outputs(folders) == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]
    shown = capsys.readouterr().err
    assert shown.count("bad.jpg is not an image that can be read") == 2
    assert "jnst: 2 of 6 failed" in shown


def test_jobs_from_a_list_have_options_of_their_own(folders):
    rows = [
        {"content": "photos/a.png", "style": "paintings/x.png", "output": "one.png", "strength": "0.5"},
        {"content": "photos/b.png", "style": "paintings/y.png", "output": "two.jpg", "strength": ""},
    ]
    with (folders / "jobs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert paint_listed(folders, "jobs.csv") == 0
    strengths = {line["job"]["output"]: line["job"]["config"]["strength"] for line in lines(folders)}
    assert strengths == {"one.png": 0.5, "two.jpg": None}
    assert (folders / "out" / "two.jpg").exists()
    (folders / "jobs.jsonl").write_text(json.dumps({**rows[0], "output": "three.png", "style-layers": ["conv1_1"]}))
    assert paint_listed(folders, "jobs.jsonl", "--style-layers", "conv1_2") == 0
    assert lines(folders)[-1]["job"]["config"]["style_layers"] == ["conv1_1"]


def test_combinations_that_cannot_be_are_refused(folders, capsys):
    (folders / "empty").mkdir()
    photo, out = folders / "photos" / "a.png", folders / "out"
    for arguments, message in (
        ((folders / "empty", photo, "-o", out), "empty holds no picture"),
        ((folders / "photos", photo), "many pictures need a folder: give -o FOLDER"),
        ((folders / "photos", photo, "-o", photo), "is a file; many pictures need a folder"),
        ((folders / "photos",), "STYLE is missing"),
        (("--jobs", folders / "no.csv", "-o", out), "no.csv: no such file"),
        ((photo, photo, "--jobs", photo, "-o", out), "--jobs stands without CONTENT and STYLE"),
        ((folders / "photos", photo, "-o", out, "--plan"), "--plan is for single pictures"),
        ((folders / "photos", photo, "-o", out, "--style-scale", 0), "--style-scale must be above 0"),
        ((folders / "photos", photo, "-o", out, "--devices", 2), "--devices is for single pictures"),
        ((folders / "photos", photo, "-o", out, "--max-memory", "ten"), "--max-memory must be a size like 6GB"),
        ((folders / "photos", photo, "-o", out, "--tile", 64), "--tile 64 is for single pictures; give 0 or auto"),
        ((folders / "photos", photo, "-o", out, "--batch-size", -1), "--batch-size must be at least 0, got -1"),
        ((folders / "photos", photo, "-o", out, "--contact-sheet", "a.gif"), "a.gif has the extension '.gif'"),
        ((folders / "photos", photo, "-o", out, "--preset", "gatys2016"), "a batch needs --normalize-with FOLDER too"),
        ((folders / "photos", photo, "-o", out, "--processes", 2, "--process", 2), "--process 2 of --processes 2"),
    ):
        assert main([*map(str, arguments), "--quiet", "--backbone", "vgg16"]) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()


def test_pictures_of_no_batch_are_not_replaced(folders, capsys):
    (folders / "out").mkdir()
    (folders / "out" / "a_x.png").write_bytes(b"mine")
    assert paint_folders(folders) == 2
    assert "a_x.png exists; give --overwrite" in capsys.readouterr().err
    assert (folders / "out" / "a_x.png").read_bytes() == b"mine"


def test_the_contact_sheet_takes_the_place_of_nothing_else(folders, capsys):
    mine = folders / "mine.png"
    mine.write_bytes(b"mine")
    for sheet, message in (
        (folders / "photos" / "a.png", "a.png is also an input or another output; give another --contact-sheet"),
        (folders / "out" / "b_x.png", "b_x.png is also an input or another output"),
        (folders / "out" / "sheet.gif", "sheet.gif has the extension '.gif'"),
        (mine, "mine.png exists; give --overwrite"),
    ):
        assert paint_folders(folders, "--contact-sheet", sheet) == 2
        assert message in capsys.readouterr().err
    assert mine.read_bytes() == b"mine"
    assert not outputs(folders)


def start(folder, *more):
    """The same command in a process of its own."""
    command = [sys.executable, "-m", "jnst", folder / "photos", folder / "paintings", "-o", folder / "out"]
    command += [*FAST_BATCH, *SHALLOW]
    one = os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": one}
    return subprocess.Popen(list(map(str, [*command, *more])), env=environment, stderr=subprocess.PIPE, text=True)


def test_killed_and_begun_again_nothing_is_lost(folders):
    process = start(folders, "--iterations", 30)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(outputs(folders)) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = {line["job"]["output"] for line in lines(folders)}
    assert 1 <= len(done) < 4
    for name in outputs(folders):
        image.load(folders / "out" / name)  # whole
    assert paint_folders(folders, *SHALLOW, "--iterations", 30) == 0
    names = [line["job"]["output"] for line in lines(folders)]
    assert sorted(names) == outputs(folders) == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]
    assert not list((folders / "out").glob(f"{UNFINISHED}*"))


def test_a_signal_ends_a_batch_after_the_running_step(folders, capsys, monkeypatch):
    """A step of two places of each of eight devices would do all; so one place, of one device."""
    monkeypatch.setattr("jax.local_devices", lambda: jax.devices()[:1])
    step, steps = BatchReporter.step, []

    def told(reporter, coming):
        steps.append(coming)
        if coming.share > 0.4:  # two pictures are done, one of them is not yet handed out
            os.kill(os.getpid(), signal.SIGTERM)
        step(reporter, coming)

    monkeypatch.setattr(BatchReporter, "step", told)
    assert paint_folders(folders, *SHALLOW) == 143
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "jnst: SIGTERM: stopping after this step" in shown.err
    assert "jnst: stopped; 2 of 4 are done; begin again to go on" in shown.err
    assert len(outputs(folders)) == len(lines(folders)) == 2
    monkeypatch.setattr(BatchReporter, "step", step)
    assert paint_folders(folders, *SHALLOW) == 0
    assert "2 of 4 are done already" in capsys.readouterr().err
    assert len(outputs(folders)) == len(lines(folders)) == 4


def test_a_picture_that_cannot_be_written_fails_alone_and_is_kept(folders, capsys, monkeypatch):
    save, here = image.save, folders / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def full(pixels, path, **more):
        if path.parent.name == "out" and path.name == "a_y.png":
            raise UnwritableError(path, OSError(28, "No space left on device"))
        save(pixels, path, **more)

    monkeypatch.setattr(image, "save", full)
    assert paint_folders(folders) == 1
    assert outputs(folders) == ["a_x.png", "b_x.png", "b_y.png"]
    kept = here / "a_y.png"
    assert kept.exists()
    shown = capsys.readouterr().err
    assert f"a_y.png cannot be written (No space left on device); the picture is in {kept} instead\n" in shown
    assert "4 of 4 done, 1 failed" in shown
    assert "jnst: 1 of 4 failed" in shown
    monkeypatch.setattr(image, "save", save)
    assert paint_folders(folders) == 0
    assert "3 of 4 are done already" in capsys.readouterr().err


def test_a_manifest_that_cannot_be_written_is_told_once_and_loses_no_picture(folders, capsys, monkeypatch):
    def full(file, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("jnst.io.manifest.append", full)
        assert paint_folders(folders) == 0
    shown = capsys.readouterr().err
    assert shown.count("manifest.jsonl cannot be written (No space left on device)") == 1
    assert "what it does not name, the next run paints again" in shown
    assert len(outputs(folders)) == 4


@pytest.mark.thorough
def test_two_processes_share_the_jobs(folders):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [start(folders, "--coordinator", place, "--processes", 2, "--process", k) for k in (0, 1)]
    for process in processes:
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    assert outputs(folders) == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]
    assert all(len((folders / "out" / f"manifest-{k}.jsonl").read_text().splitlines()) == 2 for k in (0, 1))


@pytest.mark.parametrize("option", ["adam", "start.png"])
def test_a_batch_has_what_a_single_picture_has(folders, option):
    """Adam, and a start from a file: at iteration 0 the result is that file."""
    Image.new("RGB", (100, 50), (255, 0, 0)).save(folders / "start.png")
    more = ["--optimizer", "adam"] if option == "adam" else ["--init", folders / "start.png", "--iterations", 0]
    assert paint_folders(folders, *SHALLOW, *more) == 0
    assert outputs(folders) == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]
    if option != "adam":
        np.testing.assert_allclose(image.load(folders / "out" / "a_x.png")[0, 20, 24], [1, 0, 0], atol=1e-6)
