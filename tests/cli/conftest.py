"""Small images in folders, for the tests of the command line."""

import numpy as np
import pytest
from helpers import EXAMPLES
from PIL import Image


@pytest.fixture
def files(tmp_path):
    """A photograph and a painting in a folder of their own."""
    with Image.open(EXAMPLES / "cat.png") as cat, Image.open(EXAMPLES / "swirls.jpg") as swirls:
        cat.convert("RGB").resize((72, 48)).save(tmp_path / "photo.png")
        swirls.resize((64, 64)).save(tmp_path / "painting.png")
    return tmp_path


@pytest.fixture
def folders(tmp_path):
    """Two photographs and two paintings of 48 pixels."""
    rng = np.random.default_rng(0)
    for folder, names in (("photos", ("a", "b")), ("paintings", ("x", "y"))):
        (tmp_path / folder).mkdir()
        for name in names:
            pixels = rng.uniform(0, 255, (40, 48, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    return tmp_path
