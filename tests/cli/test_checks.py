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
)


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
    for path, message in ((tmp_path / "no.png", "no.png: no such file"), (tmp_path, "is a directory")):
        with pytest.raises(InputError, match=message):
            require_image(path)
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(InputError, match=r"no such file; give a \.csv, \.tsv or \.jsonl file of jobs"):
            require_jobs_file(path)


def test_outputs_take_the_place_of_nothing(tmp_path):
    there, free = tmp_path / "there.png", tmp_path / "free.png"
    Image.new("RGB", (1, 1)).save(there)
    (tmp_path / "folder.png").mkdir()
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
    ]
    for path, more, message in refused:
        with pytest.raises(InputError, match=message):
            require_output(path, **more)
    require_output(there, present=set())  # known to be free, and not asked again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "there.png"]  # a try leaves nothing


def test_results_need_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    assert require_output_folder(tmp_path / "new") == tmp_path / "new"
    with pytest.raises(InputError, match="is a file; many pictures need a folder"):
        require_output_folder(tmp_path / "file")
    with pytest.raises(InputError, match="many pictures need a folder"):
        require_output_folder(None)


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
