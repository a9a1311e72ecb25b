from pathlib import Path

import pytest

from jnst import Config, InputError
from jnst.cli.options import config_of, parse
from jnst.presets import PRESETS, listing, settings_of

STUDY = {
    "flower-market": ("conv3_1 conv4_1 conv5_1", "conv4_2"),
    "mediterranean-garden": ("conv1_1 conv2_1 conv3_1 conv4_1 conv5_1", "conv5_2"),
    "mountain": ("conv1_1 conv2_1 conv3_1 conv4_1 conv5_1", "conv5_2"),
    "cubist-tiger": ("conv1_1 conv2_1 conv3_1 conv4_1 conv5_1", "conv4_2"),
    "season-transfer": ("conv3_1 conv4_1 conv5_1", "conv4_2"),
    "self-portrait": ("conv1_1 conv2_1 conv3_1 conv4_1 conv5_1", "conv5_2"),
}  # fmt: skip


def config(*arguments):
    return config_of(parse(["photo.jpg", "painting.jpg", *arguments]))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_settings_and_else_the_defaults(name):
    assert config("--preset", name) == Config(**settings_of(name))
    assert config("--preset", name).scales == ("1",)


@pytest.mark.parametrize("name", STUDY)
def test_the_studys_own(name):
    found = config("--preset", name)
    assert (" ".join(found.style_layers), " ".join(found.content_layers)) == STUDY[name]
    assert (found.loss, found.init, found.gradients, found.optimizer) == ("mse", "content", "separate", "lbfgsb")
    assert len(set(found.layer_weights())) == 1


def test_gatys_is_as_published():
    found = config("--preset", "gatys2016")
    assert found.raw_weights() == (1e-3, 1.0)
    assert (found.loss, found.pooling, found.init, found.normalize_filters) == ("sum", "average", "noise", True)


def test_an_option_beside_a_preset_overrides_it():
    found = config("--preset", "gatys2016", "--loss", "mse", "--init", "content", "--no-normalize-filters")
    assert (found.loss, found.init, found.normalize_filters) == ("mse", "content", False)
    assert found.pooling == "average"
    assert config("--preset", "mountain", "--content-layers", "conv4_2").content_layers == ("conv4_2",)
    assert config("--preset", "mountain", "--loss", "relative").loss == "relative"  # a default, but given


def test_strength_stands_instead_of_a_presets_weights():
    assert config("--preset", "gatys2016", "--strength", "0.8").raw_weights() is None
    assert config("--preset", "gatys2016", "--content-weight", "2").raw_weights() == (2.0, 1.0)
    with pytest.raises(InputError, match="--strength must stand without --content-weight"):
        config("--preset", "gatys2016", "--strength", "0.8", "--content-weight", "2")


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="--preset monet is not known; there are gatys2016, "):
        config("--preset", "monet")


def test_the_list_has_all_with_their_options(tmp_path: Path):
    text = listing()
    for name, preset in PRESETS.items():
        assert f"{name}: {preset.advice}" in text
    assert "--content-weight 0.001 --style-weight 1 --init noise --normalize-filters" in text
