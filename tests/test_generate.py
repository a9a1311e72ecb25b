"""The script that paints the example images."""

import subprocess
import sys

import numpy as np
import pytest
from test_scripts import SCRIPTS, script


def test_an_unknown_picture_is_refused_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPTS / "paint_example.py", "sunflowers", tmp_path / "out.jpg"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    refusal = done.stderr.splitlines()[-1]
    assert "argument name: invalid choice: 'sunflowers'" in refusal
    assert all(name in refusal for name in ("swirls", "facets", "dabs", "summer", "winter"))


@pytest.mark.parametrize(("name", "shape"), [("facets", (96, 96, 3)), ("winter", (72, 96, 3))])
def test_the_seed_alone_decides_a_picture(name, shape):
    paint = script("paint_example").paint
    first, again, other = (np.asarray(paint(name, seed, 96), int) for seed in (1, 1, 2))
    assert first.shape == shape
    assert (first == again).all()
    assert np.abs(first - other).mean() > 1
