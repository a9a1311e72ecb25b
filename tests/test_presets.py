import pytest

from jnst import Config, InputError
from jnst.cli.parsing import list_presets, make_config, parse
from jnst.presets import PRESETS, QUALITIES, preset_settings

STUDY = {
    "flower-market": ("conv3_1 conv4_1 conv5_1", "conv4_2"),
    "mediterranean-garden": ("conv1_1 conv2_1 conv3_1 conv4_1 conv5_1", "conv5_2"),
    "mountain": ("conv1_1 conv2_1 conv3_1 conv4_1 conv5_1", "conv5_2"),
    "cubist-tiger": ("conv1_1 conv2_1 conv3_1 conv4_1 conv5_1", "conv4_2"),
    "season-transfer": ("conv3_1 conv4_1 conv5_1", "conv4_2"),
    "self-portrait": ("conv1_1 conv2_1 conv3_1 conv4_1 conv5_1", "conv5_2"),
}  # fmt: skip


def config(*arguments):
    return make_config(parse(["photo.jpg", "painting.jpg", *arguments]))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_settings_and_else_the_defaults(name):
    assert config("--preset", name) == Config(**preset_settings(name))
    assert config("--preset", name).scales == ("1",)


@pytest.mark.parametrize("name", STUDY)
def test_the_studys_own(name):
    preset = config("--preset", name)
    assert (" ".join(preset.style_layers), " ".join(preset.content_layers)) == STUDY[name]
    assert (preset.loss, preset.init, preset.gradients, preset.optimizer) == ("mse", "content", "separate", "lbfgsb")
    assert len(set(preset.normalized_layer_weights())) == 1


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_compares_gram_matrices_at_one_size_and_smooths_nothing(name):
    """As the sources did, whatever the defaults are."""
    config = Config(**preset_settings(name))
    found = config.style_loss, config.style_unit, config.style_pyramid_levels, config.scales, config.tv_weight
    assert found == ("gram", "painting", 1, ("1",), 0)


def test_gatys_is_as_published():
    preset = config("--preset", "gatys2016")
    assert preset.explicit_weights() == (1e-3, 1.0)
    assert (preset.loss, preset.pooling, preset.init, preset.normalize_filters) == ("sum", "average", "noise", True)


def test_an_option_beside_a_preset_overrides_it():
    mixed = config("--preset", "gatys2016", "--loss", "mse", "--init", "content", "--no-normalize-filters")
    assert (mixed.loss, mixed.init, mixed.normalize_filters) == ("mse", "content", False)
    assert mixed.pooling == "average"
    assert config("--preset", "mountain", "--content-layers", "conv4_2").content_layers == ("conv4_2",)
    assert config("--preset", "mountain", "--loss", "relative").loss == "relative"  # a default, but given


def test_strength_stands_instead_of_a_presets_weights():
    assert config("--preset", "gatys2016", "--strength", "0.8").explicit_weights() is None
    assert config("--preset", "gatys2016", "--content-weight", "2").explicit_weights() == (2.0, 1.0)
    with pytest.raises(InputError, match="strength must stand without content_weight"):
        config("--preset", "gatys2016", "--strength", "0.8", "--content-weight", "2")


def test_a_quality_is_a_number_of_iterations_and_gives_way_to_one():
    assert config("--quality", "standard") == Config()
    assert [config("--quality", name).iterations for name in QUALITIES] == list(QUALITIES.values())
    assert config("--quality", "draft", "--iterations", "7").iterations == 7
    both = config("--preset", "mountain", "--quality", "draft")
    assert both == Config(**{**preset_settings("mountain"), "iterations": QUALITIES["draft"]})
    with pytest.raises(InputError, match="quality must be one of draft, standard, fine, got best"):
        config("--quality", "best")


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="preset monet is not known; there are gatys2016, "):
        preset_settings("monet")


def test_the_list_has_all_with_their_options():
    text = list_presets()
    for name, preset in PRESETS.items():
        assert f"{name}: {preset.advice}" in text
    assert "--content-weight 0.001 --style-weight 1.0 --init noise --normalize-filters" in text
    assert "all of them: --scales 1 --style-pyramid-levels 1" in text
