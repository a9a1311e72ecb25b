import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jnst import InputError
from jnst.cli.checks import (
    parse_bytes,
    require_at_least,
    require_image,
    require_jobs_file,
    require_output,
    require_output_folder,
    require_sizes,
    require_streams,
)
from jnst.cli.parsing import parse
from jnst.io.pipes import STANDARD_OUTPUT


@pytest.mark.parametrize(
    ("text", "count"), [("6GB", 6 * 10**9), ("800 mb", 8 * 10**8), ("1.5GiB", 3 * 2**29), ("7", 7)]
)
def test_sizes_as_users_write_them(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "much", "6 apples", "0GB", "-1GB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(InputError, match="max_memory must be a size like 6GB or 800MB"):
        parse_bytes(text)


def test_inputs_must_be_there(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, message in (
        (tmp_path / "no.png", "no.png: no such file"),
        (tmp_path, "is a directory"),
        (tmp_path / "pipe.png", "pipe.png is a pipe or a device; give an image file, or - for standard input"),
        (Path("/dev/zero"), "/dev/zero is a pipe or a device"),
        (tmp_path / ("a" * 300), r"a+ cannot be used .File name too long.; give another path"),
    ):
        with pytest.raises(InputError, match=message):
            require_image(path)
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(InputError, match=r"no such file; give a \.csv, \.tsv or \.jsonl file of jobs"):
            require_jobs_file(path)


def test_outputs_take_the_place_of_nothing(tmp_path):
    there, free = tmp_path / "there.png", tmp_path / "free.png"
    Image.new("RGB", (1, 1)).save(there)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    require_output(free)
    require_output(there, overwrite=True)
    require_output(tmp_path / "run.jsonl", as_image=False)
    require_output(tmp_path / "missing" / "a.png", probe=False)
    refused: list[tuple[Path, dict[str, Any], str]] = [
        (there, {}, "there.png exists; give overwrite to replace it, or another output"),
        (there, {"option": "contact_sheet"}, "or another contact_sheet"),
        (free, {"present": {"free.png"}}, "free.png exists"),
        (there, {"inputs": {there}, "overwrite": True}, "there.png is also an input or another output"),
        (tmp_path / "folder.png", {"overwrite": True}, "is a directory"),
        (tmp_path / "a.gif", {}, "has the extension '.gif'"),
        (tmp_path / "missing" / "a.png", {}, "there is no folder"),
        (tmp_path / "pipe.png", {"overwrite": True}, "pipe.png is a pipe or a device; give the path of a file"),
        (tmp_path / "loop.png", {"overwrite": True}, "loop.png cannot be (found|used)"),
        (
            tmp_path / f"{'é' * 130}.png",
            {},
            "has 264 bytes, and a file's may have 255; give another output",
        ),
        (tmp_path / f"{'a' * 300}.jsonl", {"as_image": False, "option": "trace"}, "give another trace"),
        (tmp_path / "\0.png", {}, "cannot be found .*embedded null"),
        (tmp_path / "\ud800.png", {}, "surrogates not allowed"),
        (tmp_path / ".jnst-a.png", {}, "has a name of unfinished files, .jnst-...; give another output"),
    ]
    for path, more, message in refused:
        with pytest.raises(InputError, match=message):
            require_output(path, **more)
    require_output(there, present=set())  # known to be free, and not asked again
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["folder.png", "loop.png", "pipe.png", "there.png"]  # a try leaves nothing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "-"], "standard input is one picture; give the path of the photograph or of the painting"),
        (["a.png", "b.png", "-o", "-", "--save-every", "5"], "save_every needs a file as output, not standard output"),
    ],
)
def test_standard_streams_that_cannot_be(arguments, message):
    with pytest.raises(InputError, match=message):
        require_streams(parse(arguments))


def test_terminals_are_no_place_for_pictures(monkeypatch):
    monkeypatch.setattr(os, "isatty", lambda number: True)
    require_streams(parse(["a.png", "b.png"]))
    for arguments, message in (
        (["-", "b.png"], "standard input is a terminal; send a picture to it"),
        (["a.png", "b.png", "-o", "-"], "standard output is no place for a picture here; give a file as output"),
    ):
        with pytest.raises(InputError, match=message):
            require_streams(parse(arguments))


def test_results_need_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    assert require_output_folder(tmp_path / "new") == tmp_path / "new"
    with pytest.raises(InputError, match="is a file; many pictures need a folder"):
        require_output_folder(tmp_path / "file")
    for none in (None, STANDARD_OUTPUT):
        with pytest.raises(InputError, match="many pictures need a folder"):
            require_output_folder(none)


def test_numbers_have_their_ranges():
    require_sizes(0, 1.0)
    require_sizes(32, 100)
    for size, scale, message in (
        (31, 1.0, "image_size must be at least 32"),
        (-1, 1.0, "image_size"),
        (64, float("nan"), "style_scale must be above 0"),
        (64, 101, "style_scale"),
    ):
        with pytest.raises(InputError, match=message):
            require_sizes(size, scale)
    require_at_least(0, save_every=0, batch_size=3)
    with pytest.raises(InputError, match="batch_size must be at least 0, got -1"):
        require_at_least(0, save_every=0, batch_size=-1)
