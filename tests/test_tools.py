"""The tools that are run from the checkout."""

import subprocess
import sys

import pytest
from helpers import ROOT, small_table

from jnst.errors import InputError
from jnst.io import formats, weights
from jnst.io.decode import FORMATS, MORE_FORMATS
from tools.convert_weights import convert
from tools.format_table import table
from tools.montage import GAP, montage


def test_convert_weights_checks_what_it_writes(tmp_path):
    source, target = tmp_path / "vgg19.npy", tmp_path / "vgg19.h5"
    formats.write(small_table(), source)
    assert f"{target}: vgg19, caffe-bgr, SHA-256 of the arrays {weights.checksum(small_table())}" == convert(
        source, target
    )
    assert formats.read(target).sha256 == weights.checksum(small_table())
    with pytest.raises(InputError, match="exists; give --overwrite"):
        convert(source, target)
    convert(source, target, input="torch-rgb", overwrite=True)
    assert weights.load(target).input == "torch-rgb"
    with pytest.raises(InputError, match="there is no folder"):
        convert(source, tmp_path / "missing" / "vgg19.h5")


def test_convert_weights_fails_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tools.convert_weights", tmp_path / "no.h5", tmp_path / "out.h5"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"convert_weights: {tmp_path / 'no.h5'}: no such weight file; give an existing one\n"


def test_a_montage_is_one_row_of_one_height():
    picture = ROOT / "examples" / "cat.png"
    row = montage([picture, picture], 60)
    assert row.height == 60
    assert (row.width - GAP) % 2 == 0
    width = (row.width - GAP) // 2
    assert row.crop((0, 0, width, 60)).tobytes() == row.crop((width + GAP, 0, row.width, 60)).tobytes()


def test_the_table_of_picture_formats_is_that_of_the_code():
    shown = table()
    assert shown in (ROOT / "docs" / "images.md").read_text(), "python -m tools.format_table prints it"
    assert shown.count("\n") == len(FORMATS) + len(MORE_FORMATS) + 1
