"""The scripts that users run."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import small_table
from PIL import Image

from jnst.errors import InputError
from jnst.io import formats, weights

SCRIPTS = Path(__file__).parent.parent / "scripts"


def script(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_convert_weights_checks_what_it_writes(tmp_path):
    convert = script("convert_weights").convert
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
        [sys.executable, SCRIPTS / "convert_weights.py", tmp_path / "no.h5", tmp_path / "out.h5"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"convert_weights: {tmp_path / 'no.h5'}: no such weight file; give an existing one\n"


def test_the_example_painting_is_what_its_script_paints():
    painted = np.asarray(script("paint_example").paint(), np.float32)
    kept = np.asarray(Image.open(SCRIPTS.parent / "examples" / "swirls.jpg"), np.float32)
    assert painted.shape == kept.shape
    assert np.abs(painted - kept).mean() < 6  # of 255: JPEG, and other versions of Pillow


@pytest.mark.parametrize("name", ["bench", "bench_solver"])
def test_benchmarks_fail_in_one_line(name, tmp_path):
    command = [sys.executable, SCRIPTS / f"{name}.py", SCRIPTS.parent / "examples", "--weights", tmp_path / "no.h5"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"{name}: {tmp_path / 'no.h5'}: no such weight file; give an existing one"
