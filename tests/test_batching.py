import pytest

from jnst.batching import MAX_PADDING_FRACTION, canvas_of


@pytest.mark.parametrize("long", [48, 64, 96, 128, 192, 256, 384, 512, 800, 1024, 2048])
def test_what_cameras_have_shares_its_canvas(long):
    """3:4 and 2:3, upright too; squares, 9:16 and 1:2 lie in ones of their own shape."""
    assert canvas_of((round(long * 2 / 3), long)) == canvas_of((long * 3 // 4, long)) == (long * 3 // 4, long)
    assert canvas_of((long, round(long * 2 / 3))) == (long, long * 3 // 4)
    assert canvas_of((long, long)) == (long, long)
    assert canvas_of((long // 2, long)) == (long // 2, long)
    height, width = canvas_of((long * 9 // 16, long))
    assert height * width < 1.06 * long * long * 9 / 16


def test_a_scale_of_any_length_has_few_canvases():
    assert len({canvas_of((512, width)) for width in range(128, 513)}) < 20
    assert len({canvas_of((long * 3 // 4, long))[1] for long in range(500, 1024)}) < 40


def test_small_images_that_no_canvas_suits_have_their_own():
    assert canvas_of((33, 33)) == (33, 33)
    assert canvas_of((80, 67)) == (80, 68)
    height, width = canvas_of((60, 400))
    assert (1 - MAX_PADDING_FRACTION) * height * width <= 60 * 400
