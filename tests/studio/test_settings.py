"""Settings of the page: what cannot be is refused, and those of a picture come back from its recipe."""

import json
from dataclasses import asdict, replace

import pytest

from jnst.config import Config
from jnst.errors import InputError
from jnst.io.recipe import parse_recipe
from jnst.recipes import make_recipe
from jnst.studio.settings import Settings, parse_order, parse_settings, settings_of_recipe

ID = "0123456789abcdef"


def recipe_of(config, **options):
    options = {"image_size": 512, "style_scale": 1.0, **options}
    return parse_recipe(make_recipe((48, 72), config, {}, {"sha256": "0"}, options=options))


@pytest.mark.parametrize("strength", [0, 0.05, 0.35, 1, 1.0, 1.45, 1.95, 2])
@pytest.mark.parametrize("quality", ["draft", "standard", "fine"])
def test_settings_come_back_from_a_recipe(strength, quality):
    for more in ({}, {"stroke": 0.25, "image_size": 4096, "colors": "photograph", "seed": 2**32 - 1}):
        asked = Settings(strength=strength, quality=quality, **more)
        recipe = recipe_of(asked.config(Config()), image_size=asked.image_size, style_scale=asked.stroke)
        assert settings_of_recipe(recipe, "a.png") == asked


def test_settings_of_the_command_line_come_back_as_the_nearest():
    found = settings_of_recipe(recipe_of(Config(strength=0.99, iterations=90), image_size=0, bits=16), "A.PNG")
    assert found.strength == pytest.approx(1 + 0.5 * 0.9349, abs=1e-3)
    assert (found.quality, found.image_size, found.format) == ("standard", 72, "png16")
    assert settings_of_recipe(recipe_of(Config(content_weight=1.0, style_weight=0.0)), "a.jpg").strength == 0
    assert settings_of_recipe(recipe_of(Config(match_colors="mean")), "a.jpg").colors == "photograph"
    assert settings_of_recipe(recipe_of(Config(), style_scale=9), "a.tif") == Settings(stroke=2, format="tiff")


@pytest.mark.parametrize("damage", [None, "x", True, [], float("nan"), -1, 10**400])
def test_a_hostile_recipe_gives_settings_all_the_same(damage):
    recipe = recipe_of(Config())
    for name in ("strength", "iterations", "seed", "content_weight", "original_colors"):
        settings_of_recipe(replace(recipe, settings={**recipe.settings, name: damage}), "a")
    for name in ("image_size", "style_scale", "bits"):
        settings_of_recipe(replace(recipe, options={**recipe.options, name: damage}), "a")


def test_the_middle_of_the_slider_is_the_default():
    assert Settings().config(Config()) == Config()
    shares = [Settings(strength=strength).config(Config()).strength or 0 for strength in (0.5, 1.5)]
    weights = [share / (1 - share) for share in shares]
    assert weights[1] / weights[0] == pytest.approx(100)


@pytest.mark.parametrize(
    "settings", [{"strength": 2.1}, {"strength": "1"}, {"strength": True}, {"strength": float("nan")}, {"stroke": 0.2},
                 {"quality": "best"}, {"image_size": 63}, {"image_size": 5000}, {"image_size": 100.0},
                 {"colors": "red"}, {"seed": -1}, {"seed": 2**32}, {"format": "exe"}, {"init": "/etc/passwd"},
                 [], "x", None]
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(InputError, match=r"^[^\n]{10,200}$"):
        parse_settings(settings)


def order(**changes):
    return {"photograph": ID, "paintings": [{"image": ID, "weight": 1.5, "mask": None}], "settings": {}, **changes}


def test_an_order_is_read_as_it_was_told():
    parsed = parse_order(order())
    assert parse_order(json.loads(json.dumps(parsed.public()))) == parsed
    assert parsed.settings == Settings()
    assert asdict(parsed.paintings[0]) == {"image": ID, "weight": 1.5, "mask": None}


@pytest.mark.parametrize(
    "changes", [{"photograph": None}, {"photograph": "../" + ID}, {"paintings": []}, {"paintings": None},
                {"paintings": [{"image": ID}] * 9}, {"paintings": ["x"]}, {"paintings": [{"image": ID, "weight": 0}]},
                {"paintings": [{"image": ID, "weight": float("inf")}]}, {"paintings": [{"image": ID, "mask": "x"}]},
                {"paintings": [{"image": ID, "path": "/etc/passwd"}]}, {"output": "/tmp/x"}]
)  # fmt: skip
def test_an_order_that_cannot_be_is_refused(changes):
    with pytest.raises(InputError, match=r"^[^\n]{10,200}$"):
        parse_order(order(**changes))
