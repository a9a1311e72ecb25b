"""The command line of many pictures."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import FAST_BATCH as FAST
from helpers import ROOT
from PIL import Image

from jnst.cli import main as run
from jnst.io import image


@pytest.fixture
def folders(tmp_path):
    """Two photographs and two paintings of 48 pixels."""
    rng = np.random.default_rng(0)
    for folder, names in (("photos", ("a", "b")), ("paintings", ("x", "y"))):
        (tmp_path / folder).mkdir()
        for name in names:
            pixels = rng.uniform(0, 255, (40, 48, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    return tmp_path


def jnst(folder, *more):
    arguments = [folder / "photos", folder / "paintings", "-o", folder / "out", *FAST, *more]
    return run.main(list(map(str, arguments)))


def listed(folder, name, *more):
    return run.main(list(map(str, ["--jobs", folder / name, "-o", folder / "out", *FAST, *more])))


def outputs(folder):
    return sorted(path.name for path in (folder / "out").glob("*.png"))


def lines(folder):
    return [json.loads(line) for line in (folder / "out" / "manifest.jsonl").read_text().splitlines()]


def test_every_photograph_in_every_manner(folders, capsys):
    sheet = folders / "sheet.png"
    assert jnst(folders, "--contact-sheet", sheet) == 0
    assert outputs(folders) == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]  # two on each of eight devices
    assert [line["iterations"] for line in lines(folders)] == [2] * 4
    assert sorted(line["job"]["output"] for line in lines(folders)) == outputs(folders)
    assert image.load(sheet).shape[1:3] == (3 * 166 + 6, 3 * 166 + 6)
    shown = capsys.readouterr()
    assert "4 pictures, 1 program to compile, 0% of pixels empty" in shown.err
    assert "program 1 of 1: up to 48x40 pixels, 16 at a time" in shown.err
    assert "4 of 4 done, 0 failed" in shown.err
    assert "(4 pictures," in shown.out


def test_what_is_done_is_not_done_again(folders, capsys):
    assert jnst(folders) == 0
    before = {path.name: path.stat().st_mtime_ns for path in (folders / "out").glob("*.png")}
    (folders / "out" / "b_x.png").unlink()
    manifest = folders / "out" / "manifest.jsonl"
    with manifest.open("a") as file:
        file.write('{"job": {"outp')  # as kill -9 leaves it
    (folders / "out" / ".jnst-abc.png").write_bytes(b"half")
    capsys.readouterr()
    assert jnst(folders) == 0
    assert "3 of 4 are done already" in capsys.readouterr().err
    after = {path.name: path.stat().st_mtime_ns for path in (folders / "out").glob("*.png")}
    assert [name for name in before if before[name] != after[name]] == ["b_x.png"]
    assert not (folders / "out" / ".jnst-abc.png").exists()
    assert jnst(folders, "--strength", "0.5") == 0  # other settings: other pictures
    assert all(path.stat().st_mtime_ns != after[path.name] for path in (folders / "out").glob("*.png"))


def test_a_broken_image_fails_alone(folders, capsys):
    (folders / "photos" / "bad.jpg").write_text("no picture")
    assert jnst(folders, "--quiet") == 1
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
    assert listed(folders, "jobs.csv") == 0
    found = {line["job"]["output"]: line["job"]["config"]["strength"] for line in lines(folders)}
    assert found == {"one.png": 0.5, "two.jpg": None}
    (folders / "jobs.jsonl").write_text(json.dumps({**rows[0], "output": "three.png", "style-layers": ["conv1_2"]}))
    assert listed(folders, "jobs.jsonl") == 0
    assert lines(folders)[-1]["job"]["config"]["style_layers"] == ["conv1_2"]


ROW = {"content": "photos/a.png", "style": "paintings/x.png", "output": "one.png"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({**ROW, "colour": 1}), "row 1: unknown column 'colour'; known are"),
        (json.dumps({"content": "photos/a.png"}), "row 1: no style; every row needs content, style, output"),
        (json.dumps({**ROW, "content": "no.png"}), "no.png: no such file"),
        (json.dumps({**ROW, "strength": 2}), "row 1: --strength must be between 0 and 1, got 2"),
        (json.dumps({**ROW, "iterations": "many"}), "row 1: "),
        (json.dumps(ROW) + "\n" + json.dumps(ROW), "one.png would be written twice"),
        ("{", "row 1: not JSON"),
        ("[1]", "is no object; write one object a line"),
        (json.dumps({**ROW, "output": "sub/one.png"}), "row 1: output sub/one.png must be a name without folders"),
        (json.dumps({**ROW, "style_scale": 0}), "row 1: --style-scale must be above 0 and at most 100, got 0"),
        (json.dumps({**ROW, "image_size": 5}), "row 1: --image-size must be at least 32"),
        (json.dumps({**ROW, "output": "one.gif"}), "one.gif has the extension '.gif'"),
    ],
)
def test_a_list_that_cannot_be_is_refused_before_any_work(folders, capsys, text, message):
    (folders / "jobs.jsonl").write_text(text)
    assert listed(folders, "jobs.jsonl") == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not outputs(folders)


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
        ((folders / "photos", photo, "-o", out, "--optimizer", "adam"), "--optimizer adam paints single pictures only"),
        ((folders / "photos", photo, "-o", out, "--preset", "gatys2016"), "a batch needs --normalize-with FOLDER too"),
        ((folders / "photos", photo, "-o", out, "--processes", 2, "--process", 2), "--process 2 of --processes 2"),
    ):
        assert run.main([*map(str, arguments), "--quiet", "--backbone", "vgg16"]) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()


def test_pictures_of_no_batch_are_not_replaced(folders, capsys):
    (folders / "out").mkdir()
    (folders / "out" / "a_x.png").write_bytes(b"mine")
    assert jnst(folders) == 2
    assert "a_x.png exists; give --overwrite" in capsys.readouterr().err
    assert (folders / "out" / "a_x.png").read_bytes() == b"mine"


def test_layers_are_chosen_for_each_picture(folders, capsys):
    """The flat painting has no texture, so that the low layers are left out; the noise keeps them."""
    Image.fromarray(np.full((48, 48, 3), 99, np.uint8)).save(folders / "paintings" / "flat.png")
    (folders / "photos" / "b.png").write_text("no picture")
    assert jnst(folders, "--style-layers", "auto", "--content-layers", "auto") == 1
    assert "measuring the images" in capsys.readouterr().err
    chosen = {line["job"]["output"]: (line["content_layers"], line["style_layers"]) for line in lines(folders)}
    low = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
    assert chosen == {
        "a_x.png": (["conv5_2"], low), "a_y.png": (["conv5_2"], low), "a_flat.png": (["conv5_2"], low[2:]),
    }  # fmt: skip


def test_the_contact_sheet_takes_the_place_of_nothing_else(folders, capsys):
    mine = folders / "mine.png"
    mine.write_bytes(b"mine")
    for sheet, message in (
        (folders / "photos" / "a.png", "a.png is also one of the pictures; give another --contact-sheet"),
        (folders / "out" / "b_x.png", "b_x.png is also one of the pictures"),
        (folders / "out" / "sheet.gif", "sheet.gif has the extension '.gif'"),
        (mine, "mine.png exists; give --overwrite"),
    ):
        assert jnst(folders, "--contact-sheet", sheet) == 2
        assert message in capsys.readouterr().err
    assert mine.read_bytes() == b"mine"
    assert not outputs(folders)


def start(folder, *more):
    command = [sys.executable, "-m", "jnst.run", folder / "photos", folder / "paintings", "-o", folder / "out", *FAST]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    return subprocess.Popen(list(map(str, [*command, *more])), env=environment, stderr=subprocess.PIPE, text=True)


def test_killed_and_begun_again_nothing_is_lost(folders):
    process = start(folders, "--batch-size", 1, "--iterations", 30)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(outputs(folders)) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = {line["job"]["output"] for line in lines(folders)}
    assert 1 <= len(done) < 4
    for name in outputs(folders):
        image.load(folders / "out" / name)  # whole
    assert jnst(folders, "--batch-size", 1, "--iterations", 30) == 0
    names = [line["job"]["output"] for line in lines(folders)]
    assert sorted(names) == outputs(folders) == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]


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
