import dataclasses
import json
import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jnst import Config, InputError
from jnst.config import check_for_batch

BAD = [
    ({"content_layers": ("conv9_9",)}, "unknown layer 'conv9_9': vgg19 has conv1_1"),
    ({"content_layers": ()}, "content_layers must name at least one layer"),
    ({"content_layers": "conv4_2"}, "content_layers must be a tuple of strings, got 'conv4_2'"),
    ({"style_layers": (1, 2)}, "style_layers must be a tuple of strings, got (1, 2)"),
    ({"style_layers": ("conv1_1", "conv1_1")}, "style_layers must name each layer once, got conv1_1 conv1_1"),
    ({"style_layer_weights": (1.0, 2.0)}, "style_layer_weights must be 5 numbers, one a style layer, got 2"),
    ({"style_layer_weights": (1.0, 1.0, -1.0, 0.0, 0.0)}, "style_layer_weights must be numbers of at least 0"),
    ({"style_layer_weights": (1.0, math.nan, 1.0, 0.0, 0.0)}, "style_layer_weights must be numbers of at least 0"),
    ({"style_layer_weights": 3}, "style_layer_weights must be numbers of at least 0, got 3"),
    ({"style_layer_weights": (0.0,) * 5}, "style_layer_weights must hold one weight above 0"),
    ({"style_layer_weights": (1e308,) * 5}, "style_layer_weights must hold one weight above 0, and a finite sum"),
    ({"style_layers": ("auto",)}, "unknown layer 'auto': vgg19 has conv1_1"),
    ({"gradients": "normalized"}, "gradients must be shared or separate without optimizer adam, got normalized"),
    ({"strength": 1.5}, "strength must be a number between 0 and 1, got 1.5"),
    ({"strength": math.nan}, "strength must be a number between 0 and 1, got nan"),
    ({"strength": "0.5"}, "strength must be a number between 0 and 1, got '0.5'"),
    ({"strength": True}, "strength must be a number between 0 and 1, got True"),
    ({"strength": 0.5, "style_weight": 3.0}, "strength must stand without style_weight, got both"),
    ({"content_weight": math.nan}, "content_weight must be a finite number of at least 0, got nan"),
    ({"style_weight": -1.0}, "style_weight must be a finite number of at least 0, got -1.0"),
    ({"style_weight": 10**400}, "style_weight must be a finite number of at least 0, got 1000"),
    ({"tv_weight": math.inf}, "tv_weight must be a finite number of at least 0, got inf"),
    ({"tv_weight": None}, "tv_weight must be a finite number of at least 0, got None"),
    ({"content_weight": 0.0, "style_weight": 0.0}, "content_weight must be above 0 where style_weight is 0"),
    ({"scales": ()}, "scales must be auto, a number of scales, or increasing sides in pixels, got nothing"),
    ({"scales": ("0",)}, "scales must be auto, a number of scales, or increasing sides in pixels, got 0"),
    ({"scales": ("auto", "3")}, "scales must be auto, a number of scales, or increasing sides in pixels, got auto 3"),
    ({"scales": ("9" * 5000,)}, "scales must be auto, a number of scales, or increasing sides in pixels, got 999"),
    ({"scales": ("256", "128")}, "scales must increase, got 256 128"),
    ({"scales": 2}, "scales must be a tuple of strings, got 2"),
    ({"iterations": -1}, "iterations must be a whole number of at least 0, got -1"),
    ({"iterations": 2.5}, "iterations must be a whole number of at least 0, got 2.5"),
    ({"iterations": True}, "iterations must be a whole number of at least 0, got True"),
    ({"iterations": 2**31}, "iterations must be at most 2147483647, got 2147483648"),
    ({"tile": -1}, "tile must be auto or a whole number of at least 0, got -1"),
    ({"tile": "foo"}, "tile must be auto or a whole number of at least 0, got 'foo'"),
    ({"style_pyramid_levels": 0}, "style_pyramid_levels must be a whole number of at least 1, got 0"),
    ({"history_size": 0}, "history_size must be a whole number of at least 1, got 0"),
    ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0, got 0.0"),
    ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ({"seed": 2**32}, "seed must be at most 4294967295, got 4294967296"),
    ({"seed": 10**5000}, "seed must be at most 4294967295, got something too large to print"),
    ({"loss": "huber"}, "loss must be one of relative, mse, sum, got 'huber'"),
    ({"optimizer": "sgd"}, "optimizer must be one of lbfgsb, adam, jaxopt, got 'sgd'"),
    ({"checkpoint": 1}, "checkpoint must be True or False, got 1"),
    ({"init": ""}, "init must be content, style, noise or the path of an image, as a string, got ''"),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_what_cannot_be_is_refused_in_one_line_by_the_fields_name(values, message):
    with pytest.raises(InputError) as caught:
        Config(**values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "--" not in str(caught.value)
    assert caught.value.field in {*values, None}


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.binary(max_size=3),
    st.lists(st.text(max_size=3), max_size=3), st.tuples(st.floats(), st.integers()), st.complex_numbers(),
    st.sampled_from([np.ones((3, 3)), np.int64(3), np.float32(0.25), np.bool_(True), Decimal(1), Fraction(1, 2), {},
                     "auto", ("auto",), ("conv1_1",), ("2",), "noise", "adam", "shared"]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Config)]), ANYTHING, min_size=1, max_size=2))
def test_a_config_that_exists_is_valid(values):
    """Whatever is given: one line that says what is wrong, or values of the declared types that JSON can hold."""
    try:
        config = Config(**values)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either way is good)
        return
    assert Config(**dataclasses.asdict(config)) == config
    assert len({config, Config(**dataclasses.asdict(config))}) == 1
    json.dumps(dataclasses.asdict(config), allow_nan=False)
    for name in ("iterations", "history_size", "style_pyramid_levels", "seed"):
        assert type(getattr(config, name)) is int
    for name in ("tv_weight", "learning_rate"):
        assert type(getattr(config, name)) is float
    assert config.normalized_layer_weights() == () or math.isclose(sum(config.normalized_layer_weights()), 1)


def test_a_config_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().iterations = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_layers_may_be_separated_by_commas():
    assert Config(style_layers=("conv1_1,conv2_1", "conv3_1")).style_layers == ("conv1_1", "conv2_1", "conv3_1")


def test_layer_weights_sum_to_1():
    assert Config().normalized_layer_weights() == (0.2,) * 5
    config = Config(style_layers=("conv1_1", "conv2_1"), style_layer_weights=(1.0, 3.0))
    assert config.normalized_layer_weights() == (0.25, 0.75)


def test_weights_rule_where_one_is_given():
    assert Config().explicit_weights() is None
    assert Config(strength=0.3).explicit_weights() is None
    assert Config(content_weight=5.0).explicit_weights() == (5.0, 1.0)
    assert Config(content_weight=0.0, style_weight=2.0).explicit_weights() == (0.0, 2.0)


def test_what_has_no_weight_is_not_active():
    assert Config().active_losses() == (True, True)
    assert Config(strength=1.0).active_losses() == Config(content_weight=0.0).active_losses() == (False, True)
    assert Config(style_weight=0.0).active_losses() == (True, False)
    assert Config(style_weight=0.0).normalized_layer_weights() == ()


def test_a_batch_has_no_windows_and_one_network():
    for config in (Config(), Config(tile=0), Config(optimizer="adam"), Config(init="start.png")):
        check_for_batch(config, normalized=False)
    with pytest.raises(InputError, match="tile 300 is for single pictures; give 0 or auto"):
        check_for_batch(Config(tile=300), normalized=False)
    check_for_batch(Config(normalize_filters=True), normalized=True)
    with pytest.raises(
        InputError, match="normalize_filters is for single pictures; a batch needs normalize_with FOLDER"
    ):
        check_for_batch(Config(normalize_filters=True), normalized=False)


def test_settings_know_nothing_of_a_command_line_and_need_no_jax():
    code = "import sys, jnst.config, jnst.presets; sys.exit(bool({'tyro', 'rich', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_relu_is_the_map_of_its_convolution():
    """As other programs name it; both mean the map after the ReLU here."""
    config = Config(content_layers=("relu4_2",), style_layers=("relu1_1", "conv2_1"))
    assert (config.content_layers, config.style_layers) == (("conv4_2",), ("conv1_1", "conv2_1"))
    with pytest.raises(InputError, match="name each layer once"):
        Config(style_layers=("relu1_1", "conv1_1"))
    with pytest.raises(InputError, match="unknown layer"):
        Config(style_layers=("relu9_1",))
