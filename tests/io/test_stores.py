"""Whole runs on an object store, against an S3 server on this machine."""

import json

import numpy as np
import pytest
from etils import epath
from helpers import FAST_BATCH as FAST
from PIL import Image

from jnst.cli import main as run
from jnst.io import image
from jnst.io.paths import listdir

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(door, tmp_path):
    """A bucket of its own with two photographs and two paintings."""
    import s3fs

    door.fault = lambda *_: None
    name = f"bucket-{abs(hash(tmp_path))}"
    s3fs.S3FileSystem().mkdir(name)
    place = epath.Path(f"s3://{name}")
    rng = np.random.default_rng(0)
    for path in ("photos/a.png", "photos/b.jpg", "paintings/x.png", "paintings/y.png"):
        Image.fromarray(rng.uniform(0, 255, (40, 48, 3)).astype(np.uint8)).save(tmp_path / path.replace("/", "_"))
        (place / path).write_bytes((tmp_path / path.replace("/", "_")).read_bytes())
    (place / "photos" / "notes.txt").write_bytes(b"no picture")
    return place


def jnst(*arguments):
    return run.main([*map(str, arguments), *FAST])


def test_a_bucket_works_as_a_folder_does(bucket, capsys):
    command = bucket / "photos", bucket / "paintings", "-o", bucket / "out", "--contact-sheet", bucket / "sheet.png"
    assert jnst(*command) == 0, capsys.readouterr().err
    pictures = {"a_x.png", "a_y.png", "b_x.png", "b_y.png"}
    assert listdir(bucket / "out") == {*pictures, "manifest", "slots.json"}
    assert listdir(bucket / "out" / "manifest") == {*(f"{name}.json" for name in pictures), "begun-0"}
    assert image.load(bucket / "out" / "a_x.png").shape == (1, 40, 48, 3)
    assert image.load(bucket / "sheet.png").shape[1:3] == (3 * 166 + 6, 3 * 166 + 6)
    (bucket / "out" / "b_x.png").unlink()  # as when killed between the two
    (bucket / "out" / "manifest" / "a_y.png.json").write_bytes(b'{"job": {"outp')
    capsys.readouterr()
    assert jnst(*command) == 0
    assert "2 of 4 are done already" in capsys.readouterr().err
    assert jnst(*command) == 0
    assert "4 of 4 are done already" in capsys.readouterr().err


@pytest.mark.thorough
def test_the_same_pictures_as_of_folders(bucket, tmp_path):
    assert jnst(bucket / "photos", bucket / "paintings" / "x.png", "-o", bucket / "out") == 0
    assert jnst(tmp_path / "photos_a.png", tmp_path / "paintings_x.png", "-o", tmp_path / "single.png") == 0
    near = image.load(bucket / "out" / "a_x.png") - image.load(tmp_path / "single.png")
    assert np.abs(near).max() <= 1 / 255


def test_a_list_in_a_bucket_and_files_of_both_kinds(bucket, tmp_path, capsys):
    rows = [
        {"content": "photos/a.png", "style": str(bucket / "paintings" / "x.png"), "output": "one.png"},
        {"content": str(tmp_path / "photos_b.jpg"), "style": "paintings/y.png", "output": "two.jpg"},
    ]
    (bucket / "jobs.jsonl").write_bytes("\n".join(map(json.dumps, rows)).encode())
    assert jnst("--jobs", bucket / "jobs.jsonl", "-o", tmp_path / "out") == 0, capsys.readouterr().err
    assert {"one.png", "two.jpg", "manifest.jsonl", "slots.json"} == listdir(tmp_path / "out")
    (bucket / "jobs.jsonl").write_bytes(json.dumps({**rows[0], "content": "photos/no.png"}).encode())
    assert jnst("--jobs", bucket / "jobs.jsonl", "-o", tmp_path / "out") == 2
    assert f"row 1: {bucket}/photos/no.png: no such file" in capsys.readouterr().err


def test_single_pictures(bucket, capsys):
    output = bucket / "photos" / "a_x.png"
    assert jnst(bucket / "photos" / "a.png", bucket / "paintings" / "x.png") == 0, capsys.readouterr().err
    assert image.load(output).shape == (1, 40, 48, 3)
    with Image.open(output.open("rb")) as file:
        assert json.loads(file.getexif()[0x010E])["settings"]["iterations"] == 2
    assert jnst(bucket / "photos" / "a.png", bucket / "paintings" / "x.png") == 2
    assert f"{output} exists; give --overwrite" in capsys.readouterr().err
    assert jnst(bucket / "photos" / "a.png", bucket / "paintings" / "x.png", "-o", bucket / "photos" / "a.png") == 2
    assert "is also an input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{}/none", "{}/paintings", "-o", "{}/out"), "/none: no such file"),
        (("{}/photos", "{}/paintings", "-o", "s3://no-such-bucket/out"), "make the bucket first"),
        (("{}/photos/notes.txt", "{}/paintings", "-o", "{}/out"), "is not an image that can be read"),
        (("{}/photos/a.png", "{}/paintings/x.png", "-o", "{}/out.gif"), "has the extension '.gif'"),
        (("http://a/b.png", "{}/paintings/x.png"), "give a path of this machine, or one that begins with gs://"),
        (("gs://a/b.png", "{}/paintings/x.png"), "gs://a/b.png cannot be reached (Please install gcsfs"),
        (("{}/photos/a.png", "{}/paintings/x.png", "--trace", "{}/t.jsonl"), "t.jsonl: give a path of this machine"),
        (("{}/photos", "{}/paintings", "-o", "{}/photos/a.png"), "is a file; many pictures need a folder"),
        (("--jobs", "{}/no.csv", "-o", "{}/out"), "no.csv: no such file"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(bucket, capsys, arguments, message):
    code = jnst(*(argument.format(bucket) for argument in arguments), "--quiet")
    shown = capsys.readouterr().err
    assert message in shown
    assert code == (1 if "notes" in arguments[0] else 2)
    assert "Traceback" not in shown
    assert code == 1 or shown.count("\n") == 1
