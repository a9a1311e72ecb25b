import pytest

from jnst import InputError
from jnst.losses.pyramid import Scale, scales


@pytest.mark.parametrize(
    ("size", "wanted", "sides"),
    [
        ((384, 512), ("auto",), [64, 128, 256, 512]),
        ((384, 511), ("auto",), [128, 256, 511]),
        ((96, 128), ("auto",), [64, 128]),
        ((90, 512), ("auto",), [256, 512]),
        ((96, 127), ("auto",), [127]),
        ((384, 512), ("1",), [512]),
        ((384, 512), ("2",), [256, 512]),
        ((384, 512), ("100", "200"), [100, 200, 512]),
        ((384, 512), ("200", "512"), [200, 512]),
    ],
)
def test_the_sizes_are_those_that_were_asked_for(size, wanted, sides):
    found = scales(size[0], size[1], 90, wanted)
    assert [scale.width for scale in found] == sides
    for scale in found:
        assert abs(scale.height - scale.width * size[0] / size[1]) <= 0.5


def test_the_iterations_are_spread_and_none_is_lost():
    assert [scale.iterations for scale in scales(384, 512, 100, ("3",))] == [33, 33, 34]
    assert scales(384, 512, 2, ("3",)) == [Scale(192, 256, 1), Scale(384, 512, 1)]
    assert scales(384, 512, 0, ("3",)) == [Scale(384, 512, 0)]


@pytest.mark.parametrize(
    ("size", "wanted", "message"),
    [
        ((64, 256), ("64", "128"), "--scales 64 makes an image of 64x16; sides must be at least 32"),
        ((192, 256), ("128", "300"), "--scales 300 must be smaller than the image, 256x192"),
        ((192, 256), ("5",), "--scales 5 is too many: this image has room for 3, of sides of 32"),
    ],
)
def test_scales_that_cannot_be_are_refused(size, wanted, message):
    with pytest.raises(InputError) as caught:
        scales(size[0], size[1], 90, wanted)
    assert message in str(caught.value)
