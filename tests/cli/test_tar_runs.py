"""The command line of photographs in tars: a tar of pictures each, the same as of a folder."""

import io
import json
import tarfile

import numpy as np
import pytest
from helpers import FAST_BATCH

from jnst.cli import tars as cli
from jnst.cli.main import main
from jnst.io.tars import pack, split_key


@pytest.fixture
def shards(folders):
    """Two tars: the two photographs, in folders of their own, and one of them alone."""
    a, b = (folders / "photos" / f"{name}.png" for name in "ab")
    pack(folders / "in-0.tar", [("x/a.png", a), ("x/a.txt", b"words"), ("y/a.png", b)])
    pack(folders / "in-1.tar", [("b.png", b)])
    return folders


def paint(folder, *arguments, tar="in-{0..1}.tar"):
    places = [folder / tar, folder / "paintings", "-o", folder / "out"]
    return main(list(map(str, [*places, *FAST_BATCH, *arguments])))


def contents(path):
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # pyright: ignore


def pixels(content):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)))


def test_each_tar_becomes_a_tar_of_what_a_folder_gives(shards, capsys):
    assert paint(shards) == 0
    shown = capsys.readouterr()
    assert "2 tars to do, 6 pictures" in shown.err
    assert "tar 2 of 2: 2 of 2 done" in shown.err
    assert "(6 pictures in 2 tars)" in shown.out
    first = contents(shards / "out" / "in-0.tar")
    assert sorted(first) == [f"{key}/a_{style}.{kind}" for key in "xy" for style in "xy" for kind in ("json", "png")]
    assert (shards / "out" / "in-0.idx").read_text().startswith("v1.2 4\n")
    facts = json.loads(first["x/a_y.json"])
    assert (facts["photograph"], facts["style"], facts["iterations"]) == ("x/a", "y", 2)
    assert str(shards) not in first["x/a_y.json"].decode()
    again = [*map(str, [shards / "photos", shards / "paintings", "-o", shards / "folder", *FAST_BATCH])]
    assert main(again) == 0
    for name, other in (("x/a_x", "a_x"), ("y/a_y", "b_y")):
        expected = pixels((shards / "folder" / f"{other}.png").read_bytes())
        assert np.abs(pixels(first[f"{name}.png"]).astype(int) - expected).max() <= 1
    assert sorted(path.name for path in (shards / "out").iterdir()) == [
        "in-0.idx", "in-0.tar", "in-1.idx", "in-1.tar", "manifest.jsonl"
    ]  # fmt: skip


def test_what_is_done_is_not_done_again_and_what_was_begun_goes_on(shards, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:  # all is painted, nothing is packed
        patch.setattr(cli, "pack", full)
        assert paint(shards, "--quiet") == 2
    assert not list((shards / "out").glob("*.tar"))
    capsys.readouterr()
    assert paint(shards, tar="in-0.tar") == 0
    assert "4 of 4 are done already" in capsys.readouterr().err  # before it was packed
    assert paint(shards) == 0
    assert "1 of 2 tars are done already" in capsys.readouterr().err
    before = (shards / "out" / "in-0.tar").stat().st_mtime_ns
    assert paint(shards) == 0
    assert "(0 pictures in 0 tars)" in capsys.readouterr().out
    assert (shards / "out" / "in-0.tar").stat().st_mtime_ns == before
    assert paint(shards, "--strength", "0.5", tar="in-0.tar") == 0  # other settings: other pictures
    assert (shards / "out" / "in-0.tar").stat().st_mtime_ns != before


def test_parts_of_many_tars_go_by_their_names(shards, capsys):
    assert [paint(shards, "--shard", f"{k}/3", "--quiet") for k in range(3)] == [0, 0, 0]
    assert sorted(path.name for path in (shards / "out").glob("*.tar")) == ["in-0.tar", "in-1.tar"]
    assert paint(shards) == 0
    assert "2 of 2 tars are done already" in capsys.readouterr().err


def test_a_broken_picture_and_a_broken_tar_fail_alone(shards, capsys):
    pack(shards / "in-1.tar", [("good.png", shards / "photos" / "b.png"), ("bad.png", b"no picture")])
    (shards / "in-2.tar").write_text("no tar")
    pack(shards / "in-3.tar", [("a.txt", b"no picture")])
    assert paint(shards, "--quiet", tar="in-{1..3}.tar") == 1
    shown = capsys.readouterr().err
    assert shown.count("in-1.tar, bad: ") == 2
    assert "is no tar that can be read" in shown
    assert "in-3.tar: holds no picture" in shown
    assert shown.count("in-2.tar") == 1
    assert "4 failed" in shown
    names = contents(shards / "out" / "in-1.tar")
    assert {split_key(name)[0] for name in names} == {"good_x", "good_y"}


def test_what_cannot_be_is_refused(shards, capsys):
    for arguments, message in (
        (("--contact-sheet", "s.png"), "--contact-sheet is for folders and --jobs"),
        (("--trace", shards / "t"), "--trace is for folders and --jobs"),
        (("--processes", 2), "tars are shared by --shard"),
        (("-o", shards), "would be replaced by its own pictures; give another -o"),
    ):
        assert paint(shards, *arguments) == 2
        assert message in capsys.readouterr().err
    assert paint(shards, tar="in-{0..2}.tar") == 2
    assert "in-2.tar: no such file; give the path of a tar" in capsys.readouterr().err
    assert not (shards / "out").exists()
    assert paint(shards, tar="in-{1..0}.tar") == 2
    assert "{1..0} ends before it begins" in capsys.readouterr().err
    (shards / "out").mkdir()
    (shards / "out" / "in-0.tar").write_text("something else")
    assert paint(shards) == 2
    assert "in-0.tar exists; give --overwrite to replace it" in capsys.readouterr().err
