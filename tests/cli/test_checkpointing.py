"""`--checkpoint-file` and the kill of a process: the same command goes on, and paints the same."""

import json
import os
import signal
import subprocess
import sys

import jax
import pytest
from cli_helpers import paint_folders, paint_one
from helpers import FAST_BATCH, ROOT
from PIL import Image

from jnst import checkpoints, scheduler
from jnst.cli.main import main
from jnst.io import image
from jnst.io.checkpoint_file import CheckpointFile

TWO_SCALES = ["--content-layers", "conv1_1", "--style-layers", "conv1_1", "--style-sizes", "1", "--image-size", "72",
              "--scales", "48", "--iterations", "8"]  # fmt: skip

KILLED = """
import os, signal, sys
from jnst import checkpoints, scheduler
from jnst.cli.main import main
from jnst.io.checkpoint_file import CheckpointFile
from jnst.io.manifest import LinesManifest

checkpoints.EVERY_SECONDS, checkpoints.MOST_SHARE, scheduler.CHUNK_SECONDS = 0, 1, 0
at, save, add, added = eval(sys.argv[1]), CheckpointFile.save, LinesManifest.add, []

def save_and_die(file, facts, arrays):
    save(file, facts, arrays)
    if (facts["stage"], facts["done"]) >= at:
        os.kill(os.getpid(), signal.SIGKILL)

def add_and_die(manifest, *args):
    add(manifest, *args)
    added.append(args)
    if len(added) == at[0]:
        os.kill(os.getpid(), signal.SIGKILL)

CheckpointFile.save, LinesManifest.add = save_and_die, add_and_die
sys.exit(main(sys.argv[2:]))
"""


# as many fake devices as there are here, since what XLA compiles for one of several rounds otherwise
ONE_DEVICE = "import jax; jax.local_devices = lambda: jax.devices()[:1]"


def killed(at, *arguments, first=""):
    """Runs the command line in a process of its own, which is gone when it has been kept there."""
    command = [sys.executable, "-c", first + KILLED, at, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return ended.stderr


def records(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "laps", "peak_memory", "output")} for row in rows]


def paint(files, name, *more):
    return paint_one(files, *TWO_SCALES, "-o", files / f"{name}.png", "--trace", files / f"{name}.jsonl", *more)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param([(1, 1)], id="once"),  # in the second scale; where else: tests/test_checkpoints.py
        pytest.param([(0, 1), (1, -1), (1, 1)], id="three times", marks=pytest.mark.thorough),
    ],
)
def test_killed_the_picture_is_that_of_an_undisturbed_run(files, capsys, kills):
    assert paint(files, "undisturbed") == 0
    kept = files / "run.ckpt"
    command = [files / "photo.png", files / "painting.png", "--backbone", "vgg16", *TWO_SCALES,
               "--no-compilation-cache", "-o", files / "out.png", "--trace", files / "out.jsonl", "--save-every", 2,
               "--checkpoint-file", kept]  # fmt: skip
    assert "going on" not in killed(kills[0], *command)
    assert not (files / "out.png").exists()
    for at in kills[1:]:
        assert f"{kept}: going on after iteration" in killed(at, *command)
    loaded = CheckpointFile(kept).load()
    assert loaded is not None
    capsys.readouterr()
    assert main(list(map(str, command))) == 0  # over its own trace and pictures, but without --overwrite
    assert "going on after iteration" in capsys.readouterr().err
    assert (files / "out.png").read_bytes() == (files / "undisturbed.png").read_bytes()
    assert records(files / "out.jsonl") == records(files / "undisturbed.jsonl")
    footer = json.loads((files / "out.jsonl").read_text().splitlines()[-1])
    assert footer["seconds"] > loaded[0]["seconds"]
    assert footer["laps"]["iterations"] > 0
    assert sorted(path.name for path in files.glob("out-*.png")) == [f"out-{k:04d}.png" for k in (2, 4, 6, 8)]
    assert not kept.exists()
    assert main(list(map(str, command))) == 2  # which is done
    assert "out.png exists; give --overwrite" in capsys.readouterr().err


def test_stopped_by_a_signal_the_same_command_goes_on(files, capsys, monkeypatch):
    assert paint(files, "undisturbed") == 0
    kept, save = files / "run.ckpt", image.save
    monkeypatch.setattr(scheduler, "CHUNK_SECONDS", 0)
    with monkeypatch.context() as patch:

        def save_and_stop(pixels, path, **more):
            if path.name == "out-0004.png":
                os.kill(os.getpid(), signal.SIGTERM)
            save(pixels, path, **more)

        patch.setattr(image, "save", save_and_stop)
        assert paint(files, "out", "--save-every", 2, "--checkpoint-file", kept) == 143
    assert f"the run is kept in {kept}; the same command goes on" in capsys.readouterr().err
    assert image.load(files / "out.png").shape == (1, 48, 72, 3)  # what there was so far
    assert not (files / "out-0006.png").exists()
    assert paint(files, "out", "--save-every", 2, "--checkpoint-file", kept) == 0
    assert (files / "out.png").read_bytes() == (files / "undisturbed.png").read_bytes()
    assert records(files / "out.jsonl") == records(files / "undisturbed.jsonl")
    assert not kept.exists()


def test_where_the_picture_cannot_be_written_the_checkpoint_stays(files, capsys, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(image, "save", lambda *args, **more: (_ for _ in ()).throw(OSError(28, "No space left")))
        assert paint(files, "out", "--checkpoint-file", files / "run.ckpt") == 2
    assert (files / "run.ckpt").exists()
    assert paint(files, "out", "--checkpoint-file", files / "run.ckpt") == 0
    assert not (files / "run.ckpt").exists()


def test_what_cannot_be_is_refused_and_nothing_is_written(files, capsys):
    kept = files / "run.ckpt"
    (files / "notes").write_text("mine")
    CheckpointFile(files / "damaged", about={"files": []}).save({}, {})
    (files / "damaged").write_bytes((files / "damaged").read_bytes()[:50])
    (files / "out.png").write_bytes(b"mine")
    before = sorted(files.iterdir())
    for path, name, said in (
        (files / "notes", "new", "notes is there and no checkpoint; give another name"),
        (files / "damaged", "new", "damaged is a damaged checkpoint; delete it, or give another name"),
        (files / "new.png", "new", "new.png is also an input or another output; give another --checkpoint-file"),
        (files / "new.jsonl", "new", "new.jsonl is also an input or another output"),
        (files / "photo.png", "new", "photo.png is also an input or another output"),
        (files, "new", "is a directory"),
        (files / "nowhere" / "run.ckpt", "new", "nowhere"),
        ("s3://mine/run.ckpt", "new", "s3://mine/run.ckpt: give a path of this machine"),
        (kept, "out", "out.png exists; give --overwrite"),
    ):
        assert paint(files, name, "--checkpoint-file", path) == 2
        shown = capsys.readouterr().err
        assert said in shown
        assert shown.count("\n") == 1
        assert sorted(files.iterdir()) == before
    assert (files / "notes").read_text() == "mine"
    assert (files / "out.png").read_bytes() == b"mine"


def test_another_commands_checkpoint_is_refused_and_allows_no_file_to_be_replaced(files, capsys, monkeypatch):
    kept = files / "run.ckpt"
    monkeypatch.setattr(CheckpointFile, "remove", lambda file: None)
    assert paint(files, "out", "--checkpoint-file", kept) == 0
    content = kept.read_bytes()
    assert paint(files, "out", "--checkpoint-file", kept, "--strength", "0.5") == 2
    said = (
        f"{kept}: the checkpoint is of another run (--strength not given there, 0.5 here); delete it, or give another"
    )
    assert said in capsys.readouterr().err
    (files / "other.png").write_bytes(b"mine")
    assert paint(files, "other", "--checkpoint-file", kept) == 2
    assert "other.png exists; give --overwrite" in capsys.readouterr().err
    assert kept.read_bytes() == content


def test_a_batch_has_no_checkpoint_file(folders, capsys):
    assert paint_folders(folders, "--checkpoint-file", folders / "run.ckpt") == 2
    assert "--checkpoint-file is for single pictures" in capsys.readouterr().err


def test_a_batch_that_goes_on_paints_what_an_undisturbed_one_does(folders, monkeypatch, capsys):
    """As many at a time as before, although fewer are left."""
    monkeypatch.setattr("jax.local_devices", lambda: jax.devices()[:1])
    command = [folders / "photos", folders / "paintings", *FAST_BATCH, "--batch-size", "0", "--iterations", "6"]
    killed((1, 99), *command, "-o", folders / "cut", first=ONE_DEVICE)
    done = (folders / "cut" / "manifest.jsonl").read_text().count("\n")
    assert done == 1
    for out, at_a_time in (("cut", 4), ("whole", 4)):
        assert main(list(map(str, [*command, "-o", folders / out]))) == 0
        assert f"{at_a_time} at a time" in capsys.readouterr().err
    for path in sorted((folders / "whole").glob("*.png")):
        with Image.open(path) as one, Image.open(folders / "cut" / path.name) as other:
            assert one.tobytes() == other.tobytes(), path.name
