import dataclasses

import pytest

from jnst import Config, InputError

BAD = [
    ({"content_layers": ("conv9_9",)}, "unknown layer 'conv9_9': vgg19 has conv1_1"),
    ({"content_layers": ()}, "--content-layers must name at least one layer"),
    ({"style_layers": ("conv1_1", "conv1_1")}, "--style-layers must name each layer once, got conv1_1 conv1_1"),
    ({"style_layer_weights": (1.0, 2.0)}, "--style-layer-weights must be 5 numbers, one a style layer, got 2"),
    ({"style_layer_weights": (1.0, 1.0, -1.0, 0.0, 0.0)}, "--style-layer-weights must be numbers of at least 0"),
    ({"style_layer_weights": (0.0,) * 5}, "--style-layer-weights must hold one weight above 0"),
    ({"style_layers": ("auto", "conv1_1")}, "--style-layers must be auto or a list of layers, got auto conv1_1"),
    (
        {"style_layers": ("auto",), "style_layer_weights": (1.0,)},
        "--style-layers must name the layers that --style-lay",
    ),
    ({"gradients": "normalized"}, "--gradients must be shared, separate or joint without --optimizer adam"),
    ({"strength": 1.5}, "--strength must be between 0 and 1, got 1.5"),
    ({"strength": float("nan")}, "--strength must be between 0 and 1, got nan"),
    ({"strength": 0.5, "style_weight": 3.0}, "--strength must stand without --style-weight, got both"),
    ({"content_weight": float("nan")}, "--content-weight must be a finite number of at least 0, got nan"),
    ({"style_weight": -1.0}, "--style-weight must be a finite number of at least 0, got -1.0"),
    ({"tv_weight": float("inf")}, "--tv-weight must be a finite number of at least 0, got inf"),
    ({"content_weight": 0.0, "style_weight": 0.0}, "--content-weight must be above 0 where --style-weight is 0"),
    ({"scales": ()}, "--scales must be auto, a number of scales, or increasing sides in pixels, got nothing"),
    ({"scales": ("0",)}, "--scales must be auto, a number of scales, or increasing sides in pixels, got 0"),
    ({"scales": ("auto", "3")}, "--scales must be auto, a number of scales, or increasing sides in pixels, got auto 3"),
    ({"scales": ("256", "128")}, "--scales must increase, got 256 128"),
    ({"iterations": -1}, "--iterations must be at least 0, got -1"),
    ({"tile": -1}, "--tile must be auto or at least 0, got -1"),
    ({"style_sizes": 0}, "--style-sizes must be at least 1, got 0"),
    ({"history_size": 0}, "--history-size must be at least 1, got 0"),
    ({"learning_rate": 0.0}, "--learning-rate must be a finite number above 0, got 0.0"),
    ({"seed": -1}, "--seed must be between 0 and 4294967295, got -1"),
    ({"loss": "huber"}, "--loss must be one of relative, mse, sum, got huber"),
    ({"optimizer": "sgd"}, "--optimizer must be one of lbfgsb, adam, jaxopt, got sgd"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_values_out_of_range_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError) as caught:
        Config(**settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().iterations = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_layers_may_be_separated_by_commas():
    assert Config(style_layers=("conv1_1,conv2_1", "conv3_1")).style_layers == ("conv1_1", "conv2_1", "conv3_1")


def test_layer_weights_sum_to_1():
    assert Config().layer_weights() == (0.2,) * 5
    given = Config(style_layers=("conv1_1", "conv2_1"), style_layer_weights=(1.0, 3.0))
    assert given.layer_weights() == (0.25, 0.75)


def test_weights_rule_where_one_is_given():
    assert Config().raw_weights() is None
    assert Config(strength=0.3).raw_weights() is None
    assert Config(content_weight=5.0).raw_weights() == (5.0, 1.0)
    assert Config(content_weight=0.0, style_weight=2.0).raw_weights() == (0.0, 2.0)


def test_what_has_no_weight_is_not_wanted():
    assert Config().wanted() == (True, True)
    assert Config(strength=1.0).wanted() == Config(content_weight=0.0).wanted() == (False, True)
    assert Config(style_weight=0.0).wanted() == (True, False)
    assert Config(style_weight=0.0).layer_weights() == ()
