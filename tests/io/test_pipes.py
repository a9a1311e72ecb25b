"""Pictures that come through pipes, and pipes that are refused before they can hang."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

from jnst import InputError
from jnst.io import image
from jnst.io.decode import read_size
from jnst.io.pipes import is_open_pipe, is_special, read_pipe

READS = """
from jnst.io import image
from jnst.io.decode import read_size
from jnst.io.pipes import STANDARD_INPUT
print(read_size(STANDARD_INPUT), image.load(STANDARD_INPUT).shape)
"""


@pytest.fixture
def picture():
    """The bytes of a small PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.arange(48 * 36 * 3, dtype=np.uint8).reshape(36, 48, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def through_a_pipe(content):
    """The number of an end to read from."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return reader


@pytest.mark.parametrize("place", ["/dev/fd", "/proc/self/fd"])
def test_a_picture_through_a_pipe_is_the_one_of_the_file(tmp_path, picture, place):
    (tmp_path / "a.png").write_bytes(picture)
    reader = through_a_pipe(picture)
    path = Path(f"{place}/{reader}")
    assert is_open_pipe(path)
    assert read_size(path) == (36, 48)
    np.testing.assert_array_equal(image.load(path), image.load(tmp_path / "a.png"))  # the pipe is empty by now
    os.close(reader)
    assert not is_open_pipe(path)
    read_pipe.cache_clear()


def test_standard_input_may_be_a_pipe_or_a_file(tmp_path, picture):
    (tmp_path / "a.png").write_bytes(picture)
    command, environment = [sys.executable, "-c", READS], {**os.environ, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "a.png").open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=True, env=environment)
    assert done.stdout == b"(36, 48) (1, 36, 48, 3)\n"
    assert (
        subprocess.run(command, input=picture, capture_output=True, check=True, env=environment).stdout == done.stdout
    )


def test_what_comes_through_a_pipe_may_be_wrong():
    reader = through_a_pipe(b"no picture")
    with pytest.raises(InputError, match="is not an image that can be read"):
        image.load(f"/dev/fd/{reader}")
    os.close(reader)
    read_pipe.cache_clear()


def test_a_terminal_and_too_much_are_refused(monkeypatch):
    leader, terminal = os.openpty()
    with pytest.raises(InputError, match="is a terminal; send a picture to it"):
        image.load(f"/dev/fd/{terminal}")
    os.close(leader)
    os.close(terminal)
    monkeypatch.setattr("jnst.io.pipes.MOST_BYTES", 3)
    reader = through_a_pipe(b"four")
    with pytest.raises(InputError, match="has over 0 GiB; give an image file"):
        read_pipe(Path(f"/dev/fd/{reader}"))
    os.close(reader)


def test_pipes_and_devices_that_nobody_has_open_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    special = {
        path.name: is_special(path) for path in (tmp_path / "pipe", tmp_path / "file", tmp_path, Path("/dev/null"))
    }
    assert special == {"pipe": True, "file": False, tmp_path.name: False, "null": True}
    assert not is_special(tmp_path / "missing")
    assert not any(map(is_open_pipe, (tmp_path / "pipe", Path("/dev/fd/999"), Path("/dev/fd"), Path("dev/fd/0"))))
