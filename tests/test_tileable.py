from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jnst import Config, InputError
from jnst.losses.sizes import SMALLEST_LEVEL, Scale, pyramid_levels
from jnst.network.architecture import Tileable
from jnst.tileable import fitting_size, plan_scales, unit_of

PLAIN, TEXTURE = Config(tileable="xy"), Config(tileable="xy", content_weight=0, init="noise")


@pytest.mark.parametrize(
    ("size", "tileable", "fitting"),
    [
        ((341, 512), "xy", (320, 512)),
        ((341, 512), "x", (341, 512)),
        ((512, 341), "x", (512, 320)),
        ((512, 341), "y", (512, 341)),
        ((100, 100), "xy", (96, 96)),  # one level: multiples of 16
        ((130, 130), "xy", (128, 128)),  # two
        ((239, 500), "xy", (224, 512)),
        ((72, 96), "xy", (80, 96)),  # between two the larger
        ((341, 512), "no", (341, 512)),
    ],
)
def test_the_sides_that_wrap_are_brought_to_the_nearest_multiple(size, tileable, fitting):
    assert fitting_size(size, Config(tileable=tileable)) == fitting


def test_only_what_is_compared_counts():
    assert unit_of((512, 512), PLAIN) == 64
    assert unit_of((512, 512), Config(style_pyramid_levels=1)) == 16
    assert unit_of((512, 512), Config(style_layers=("conv1_1",))) == 8  # content: conv4_2
    assert unit_of((512, 512), Config(style_layers=("conv1_1",), content_weight=0, init="noise")) == 4
    assert unit_of((512, 512), Config(style_weight=0)) == 8


@given(
    st.integers(32, 3000), st.integers(32, 3000), st.sampled_from(["x", "y", "xy"]), st.integers(1, 5),
    st.sampled_from(["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
)  # fmt: skip
def test_every_pooling_and_halving_of_a_fitting_size_comes_out_even(height, width, tileable, levels, layer):
    config = Config(tileable=tileable, style_layers=(layer,), style_pyramid_levels=levels)
    fitting = fitting_size((height, width), config)
    assert fitting_size(fitting, config) == fitting
    assert min(fitting) >= 32
    count = pyramid_levels(min(fitting), levels, smallest=SMALLEST_LEVEL)
    stride = 2 ** (int(layer[4]) - 1)
    for name, side, given_side in (("y", fitting[0], height), ("x", fitting[1], width)):
        assert side % (stride * 2 ** (count - 1)) == 0 if name in tileable else side == given_side


def test_each_scale_wraps_and_the_last_is_the_picture():
    config = Config(tileable="xy", iterations=9)
    sides = [160, 320, 576]  # 144 compares the style at two sizes, 288 at three: multiples of 32 and of 64
    assert plan_scales((576, 576), config) == [Scale(side, side, 3) for side in sides]
    for scale in plan_scales((576, 320), PLAIN):
        assert fitting_size((scale.height, scale.width), PLAIN) == (scale.height, scale.width)
    assert plan_scales((576, 320), PLAIN)[-1][:2] == (576, 320)


def test_a_size_that_cannot_wrap_is_refused_with_the_nearest_that_can():
    with pytest.raises(InputError) as caught:
        plan_scales((341, 512), TEXTURE)
    message = "tileable xy needs sides that are multiples of 64, got 512x341; give a content of 512x320"
    assert str(caught.value) == message
    assert caught.value.field == "tileable"
    assert plan_scales((341, 512), Config(tileable="x"))[-1][:2] == (341, 512)


def test_windows_exclude_it():
    with pytest.raises(InputError, match="tileable x and tile 512: give one of the two"):
        Config(tileable="x", tile=512)
    with pytest.raises(InputError, match="tileable must be one of no, x, y, xy"):
        Config(tileable=cast("Tileable", "yx"))
    assert Config(tileable="x", tile=0).tile == 0
