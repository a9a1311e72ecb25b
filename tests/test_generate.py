"""The script that paints the example images."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import EXAMPLES
from PIL import Image

from examples.generate import paint


def test_an_unknown_picture_is_refused_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "generate.py", "sunflowers", tmp_path / "out.jpg"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    refusal = done.stderr.splitlines()[-1]
    assert "argument name: invalid choice: 'sunflowers'" in refusal
    assert all(name in refusal for name in ("swirls", "facets", "dabs", "summer", "winter"))


@pytest.mark.parametrize(("name", "shape"), [("facets", (96, 96, 3)), ("winter", (72, 96, 3))])
def test_the_seed_alone_decides_a_picture(name, shape):
    first, again, other = (np.asarray(paint(name, seed, 96), int) for seed in (1, 1, 2))
    assert first.shape == shape
    assert (first == again).all()
    assert np.abs(first - other).mean() > 1


def test_the_example_painting_is_what_its_script_paints():
    painted = np.asarray(paint(), np.float32)
    kept = np.asarray(Image.open(EXAMPLES / "swirls.jpg"), np.float32)
    assert painted.shape == kept.shape
    assert np.abs(painted - kept).mean() < 6  # of 255: JPEG, and other versions of Pillow
