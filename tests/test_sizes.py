"""At which sizes pictures are computed: strips, panoramas, small photographs."""

from pathlib import Path

import pytest

from jnst import InputError
from jnst.cli.parsing import render
from jnst.sizes import content_size, style_size

PATH = Path("strip.jpg")


@pytest.mark.parametrize(
    ("size", "image_size", "upscale", "result"),
    [
        ((600, 800), 512, False, (384, 512)),
        ((60, 80), 512, False, (60, 80)),
        ((60, 80), 512, True, (384, 512)),
        ((80, 60), 512, True, (512, 384)),
        ((600, 800), 512, True, (384, 512)),
        ((60, 80), 0, True, (60, 80)),
        ((100, 4000), 0, False, (100, 4000)),
        ((100, 4000), 1280, False, (32, 1280)),
    ],
)
def test_the_result_is_reduced_and_enlarged_only_where_that_is_wanted(size, image_size, upscale, result):
    assert content_size(PATH, size, image_size, upscale=upscale) == result


@pytest.mark.parametrize(
    ("size", "image_size", "message"),
    [
        ((100, 4000), 512, "strip.jpg is 4000x100 pixels, 512x13 at --image-size 512; both sides need at least 32: "
         "give --image-size 1280"),
        ((4000, 33), 512, "strip.jpg is 33x4000 pixels, 4x512 at --image-size 512; both sides need at least 32: "
         "give --image-size 3879"),
        ((20, 40), 512, "strip.jpg is 40x20 pixels; both sides need at least 32"),
    ],
)  # fmt: skip
def test_a_too_narrow_content_is_told_with_what_would_do(size, image_size, message):
    with pytest.raises(InputError) as error:
        content_size(PATH, size, image_size)
    assert render(error.value) == message
    if "give" in message:
        assert min(content_size(PATH, size, int(message.split()[-1]))) == 32


@pytest.mark.parametrize(
    ("size", "longer", "result"),
    [((600, 800), 400, (300, 400)), ((100, 4000), 96, (32, 1280)), ((40, 40), 512, (40, 40)), ((32, 999), 9, (32, 999)),
     ((33, 999), 50, (32, 969))],
)  # fmt: skip
def test_a_style_keeps_a_side_that_has_statistics(size, longer, result):
    assert style_size(PATH, size, longer) == result


def test_a_too_small_style_is_told():
    with pytest.raises(InputError, match=r"strip.jpg is 99x31 pixels; both sides need at least 32"):
        style_size(PATH, (31, 99), 64)
