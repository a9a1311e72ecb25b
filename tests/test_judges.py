"""The judges say what the eye says of pictures whose verdict is known."""

import numpy as np
import pytest
from helpers import EXAMPLES

from benchmarks import judges
from jnst.io import image


@pytest.fixture(scope="module")
def pair():
    """A photograph and a painting of one size."""
    return tuple(image.load(EXAMPLES / name, size=(48, 64)) for name in ("cat.png", "swirls.jpg"))


@pytest.fixture(scope="module")
def verdicts(pair):
    content, style = pair
    return {
        "photograph": judges.judge(content, style, content),
        "painting": judges.judge(content, style, style),
        "between": judges.judge(content, style, (content + style) / 2),
    }


def test_the_photograph_keeps_all_content_and_is_no_painting(verdicts):
    photograph = verdicts["photograph"]
    for name in ("content", "lpips_vgg", "lpips_alex", "cfsd", "leak"):
        assert photograph[name] == pytest.approx(0, abs=1e-5)
    assert photograph["swd"] > 0.1
    assert photograph["colour"] > 5


def test_the_painting_is_nothing_but_a_copy(verdicts):
    painting = verdicts["painting"]
    assert painting["swd"] == pytest.approx(0, abs=1e-5)
    assert painting["colour"] == pytest.approx(0, abs=1e-3)
    assert painting["leak"] == 1
    assert painting["content"] > 0.5


def test_what_lies_between_is_judged_between(verdicts):
    for name in ("content", "lpips_vgg", "lpips_alex"):
        assert 0 < verdicts["between"][name] < verdicts["painting"][name]
    assert 0 < verdicts["between"]["swd"] < verdicts["photograph"]["swd"]


def test_grain_is_what_alternates_from_pixel_to_pixel():
    flat = np.full((1, 32, 48, 3), 0.5, np.float32)
    board = (np.indices((32, 48)).sum(0) % 2)[None, :, :, None].repeat(3, -1)
    slope = np.linspace(0, 1, 48, dtype=np.float32)[None, None, :, None] * np.ones_like(flat)
    assert judges.grain(flat) == pytest.approx(0, abs=1e-3)
    assert judges.grain(slope) < 2
    assert judges.grain((0.4 + 0.2 * board).astype(np.float32)) == pytest.approx(25.5, rel=0.05)


def test_a_shift_is_its_own_sliced_wasserstein_distance():
    """Along a direction d a shift by v moves every quantile by v.d."""
    points = np.random.default_rng(1).standard_normal((2, 400)).astype(np.float32)
    shifted = points + np.array([[0.5], [0.0]], np.float32)
    angles = np.random.default_rng(0).standard_normal((judges.DIRECTIONS, 2))
    expected = 0.5 * np.abs(angles[:, 0] / np.linalg.norm(angles, axis=1)).mean()
    assert judges.sliced_wasserstein(shifted, points, spread=False) == pytest.approx(expected, rel=1e-3)
