"""Ray Data's actor form, without Ray."""

import numpy as np
import pytest
from helpers import picture
from PIL import Image

from jnst.config import Config
from jnst.distributed import Painter
from jnst.errors import InputError
from jnst.io import image
from jnst.jobs import Job, Picture
from jnst.scheduler import stylize_many

CONFIG = Config(
    content_layers=("conv2_1",), style_layers=("conv1_1",), iterations=2, scales=("1",), style_pyramid_levels=1
)


@pytest.fixture
def photographs(tmp_path):
    """Paths of two photographs of different shapes and of what is none."""
    for name, size in (("a.png", (40, 48)), ("b.png", (48, 40))):
        image.save(np.asarray(picture(*size)), tmp_path / name)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    return np.array([str(tmp_path / name) for name in ("a.png", "bad.png", "b.png")], object)


def test_rows_come_back_in_order_with_pictures_or_reasons(photographs, tmp_path, vgg16):
    style = np.asarray(picture(48, 48, seed=1))[0]
    painter = Painter(CONFIG, {"noise": style}, "vgg16", batch_size=2)
    batch = painter({"content": photographs, "number": np.arange(3)})
    assert [painting.shape for painting in batch["painting"]] == [(40, 48, 3), (0, 0, 3), (48, 40, 3)]
    assert batch["number"].tolist() == [0, 1, 2]
    assert batch["iterations"].tolist() == [2, 0, 2]
    assert [bool(error) for error in batch["error"]] == [False, True, False]
    assert "bad.png is not an image" in batch["error"][1]
    jobs = [Job(Picture.from_array(image.load(photographs[0])), Picture.from_array(style[None]), CONFIG)]
    (result,) = stylize_many(jobs, vgg16, batch_size=2)
    np.testing.assert_array_equal(batch["painting"][0], np.rint(np.asarray(result.image)[0] * 255))
    pixels = np.array(Image.open(photographs[0]).convert("RGB"))[None]
    again = painter({"image": pixels, "style": np.array(["noise"])})
    np.testing.assert_array_equal(again["painting"][0], batch["painting"][0])


def test_styles_are_named_by_rows(photographs):
    painter = Painter(CONFIG, [photographs[0], photographs[2]], "vgg16")
    batch = painter({"content": photographs[:1].repeat(2), "style": np.array([1, 2])})
    assert batch["error"].tolist() == ["", "style 2 is not known; there are 0, 1"]
    for wrong, message in (({"path": photographs}, "needs a column content or image, got path"),
                           ({"content": photographs}, "2 styles need a column style with 0, 1")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            painter(wrong)
