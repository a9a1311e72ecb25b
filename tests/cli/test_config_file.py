"""Settings in files: what is written is read again, what the command line gives overrides it. Nothing is painted."""

import json
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from helpers import picture

from jnst.cli import main as main_module
from jnst.cli.config_file import parse_with_config, write_settings
from jnst.cli.config_values import SAVED
from jnst.cli.main import main
from jnst.cli.options import Options
from jnst.cli.parsing import make_config, parse
from jnst.config import Config
from jnst.io import image

EVERY = [
    "--image-size", "64", "--upscale", "--style-scale", "0.5", "--bits", "16", "--alpha", "white",
    "--colour-space", "input", "--keep-gps", "--loss", "sum", "--style-loss", "gram", "--style-unit", "painting",
    "--content-weight", "1e-7", "--style-weight", "3", "--tv-weight", "0", "--tv-form", "absolute",
    "--match-colors", "mean", "--noise-blend", "0.5", "--content-layers", "conv1_1,conv1_2",
    "--style-layers", "conv1_1", "conv2_1", "--style-layer-weights", "1", "2.5", "--style-sizes", "1",
    "--pooling", "average", "--normalize-filters", "--optimizer", "adam", "--iterations", "7", "--scales", "40", "50",
    "--history-size", "5", "--history-dtype", "bfloat16", "--learning-rate", "0.1", "--gradients", "normalized",
    "--precision", "bfloat16", "--checkpoint", "--tile", "300", "--seed", "4", "--backbone", "vgg16",
    "--weights-input", "torch", "--offline", "--max-memory", "6GB", "--devices", "2", "--no-compilation-cache",
    "--batch-size", "3", "--save-every", "2", "--quiet",
]  # fmt: skip


@pytest.fixture
def not_painted(monkeypatch):
    """The options of each picture that would have been painted."""
    painted = []
    monkeypatch.setattr(main_module, "run_single", lambda options: painted.append(options) or 0)
    return painted


def saved(options):
    """All values that a file may hold, as they count."""
    config = asdict(make_config(options))
    return {name: config.get(name, getattr(getattr(options, group), name, None)) for name, group in SAVED.items()}


def test_every_setting_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = ["--init", 'start "é"\\\x7f\t😀.png', "--weights", "deep/w.h5", "--normalize-with", "/else/where"]
    options = parse([*EVERY, *paths])
    default = saved(Options())
    same = [name for name, value in saved(options).items() if value == default[name]]
    excluded = ["strength", "original_colors", "tileable"]  # by the weights, --match-colors, and --tile
    assert same == excluded
    write_settings(options, tmp_path / "run.toml")
    table = tomllib.loads((tmp_path / "run.toml").read_text())
    assert set(table) == set(SAVED) - set(excluded)
    (tmp_path / "run.toml").rename(tmp_path / "other.toml")
    monkeypatch.chdir("/")
    again = saved(parse_with_config(["--config", str(tmp_path / "other.toml")]))
    places = {"init": str(tmp_path / paths[1]), "weights": tmp_path / "deep" / "w.h5"}
    assert again == {**saved(options), **places, "normalize_with": Path("/else/where")}


def test_only_what_differs_is_written_each_below_what_it_means(tmp_path, not_painted, capsys):
    path = tmp_path / "run.toml"
    assert main(["--iterations", "7", "--quality", "draft", "--save-config", str(path)]) == 0
    assert not not_painted
    lines = path.read_text().splitlines()
    assert lines[0].endswith("use them by: jnst CONTENT STYLE --config run.toml")
    assert lines[1:] == ["", "# iterations of the whole run, 0 or more", "iterations = 7"]
    assert main(["a.png", "b.png", "--save-config", str(path)]) == 2
    assert "run.toml exists; give --overwrite to replace it, or another --save-config" in capsys.readouterr().err
    assert main(["a.png", "b.png", "--save-config", str(path), "--overwrite", "--strength", "0.5"]) == 0
    assert len(not_painted) == 1
    assert "strength = 0.5" in path.read_text()


def test_what_is_given_beside_a_file_overrides_it(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        "strength = 0.5\niterations = 3\nupscale = true\nquiet = true\ncheckpoint = true\nstyle_sizes = 2\n"
    )
    read = ["--config", str(path)]
    options = parse_with_config(read)
    assert (options.file.upscale, options.report.quiet) == (True, True)
    assert make_config(options) == Config(strength=0.5, iterations=3, checkpoint=True, style_pyramid_levels=2)
    options = parse_with_config(
        [*read, "--iterations", "4", "--no-upscale", "--no-checkpoint", "--content-weight", "2"]
    )
    assert (options.file.upscale, options.report.quiet) == (False, True)
    assert make_config(options) == Config(iterations=4, content_weight=2, style_pyramid_levels=2)
    assert make_config(parse_with_config([*read, "--preset", "gatys2016"])).content_weight == 1e-3
    path.write_text("content_weight = 1\nstyle_weight = 2")
    assert make_config(parse_with_config([*read, "--strength", "0.1"])) == Config(strength=0.1)
    both = Config(content_weight=3, style_weight=2)
    assert make_config(parse_with_config([*read, "--content-weight", "3"])) == both


def test_a_file_may_name_a_preset_and_a_quality(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('\ufeffpreset = "mountain"\nquality = "draft"\ncontent_weight = 2\n')
    given = parse(["--preset", "mountain", "--quality", "draft", "--content-weight", "2"])
    assert make_config(parse_with_config(["--config", str(path)])) == make_config(given)


WRONG = [
    ('image_size = "512"', "image_size must be a whole number, got '512'"),
    ("image_size = true", "image_size must be a whole number, got True"),
    ("upscale = 1", "upscale must be true or false, got 1"),
    ('style_scale = "1"', "style_scale must be a number, got '1'"),
    ("bits = 12", "bits must be one of 8, 16, got 12"),
    ('backbone = "resnet"', "backbone must be one of auto, vgg19, vgg16, got 'resnet'"),
    ("max_memory = 6", "max_memory must be a text, got 6"),
    ('weights = "gs://a/b.h5"', "weights must be a path of this machine"),
    ('iterations = "many"', "iterations must be a whole number of at least 0, got 'many'"),
    ("style_layers = 3", "style_layers must be a tuple of strings, got 3"),
    ("init = 3", "init must be content, style, noise or the path of an image, as a string, got 3"),
    ("itertions = 3", "unknown setting 'itertions'; --save-config writes those that there are"),
    ('output = "a.png"', "unknown setting 'output'"),
    ("[solver]\niterations = 3", "unknown setting 'solver'"),
    ("strength = 0.5\ncontent_weight = 1", "strength must stand without content_weight, got both"),
    ('preset = "monet"', "preset monet is not known; there are gatys2016"),
    ('quality = "best"', "quality must be one of draft, standard, fine, got best"),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_a_file_cannot_say_names_file_and_key(tmp_path, not_painted, capsys, text, told):
    path = tmp_path / "run.toml"
    path.write_text(text)
    assert main(["a.png", "b.png", "--config", str(path), "--save-config", str(tmp_path / "no.toml")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"jnst: {path}: {told}")
    assert shown.count("\n") == 1
    assert not not_painted
    assert not (tmp_path / "no.toml").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, ": no such file; give a .toml file of settings"), (b"x = [", " is no TOML ("),
     (b"\xff\xfe\x00", " is no TOML ("), (b"x = " + b"[" * 5000, " is no TOML (")],
)  # fmt: skip
def test_what_is_no_file_of_settings_is_one_line(tmp_path, capsys, content, told):
    path = tmp_path / "run.toml"
    if content:
        path.write_bytes(content)
    assert main(["a.png", "b.png", "--config", str(path)]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"jnst: {path}{told}")
    assert shown.count("\n") == 1


def test_the_settings_of_a_picture_are_taken_without_its_images(tmp_path):
    told = {"recipe": 1, "image_size": [48, 64], "inputs": {}, "weights": {}, "way": {"tile": 0},
            "settings": {"iterations": 3, "init": "start.png", "strength": None, "style_weight": 2},
            "options": {"image_size": 64, "alpha": "white", "later": 1}}  # fmt: skip
    path = tmp_path / "out.webp"
    image.save(np.asarray(picture(48, 64)), path, recipe=json.dumps(told))
    options = parse_with_config(["a.png", "b.png", "--config", str(path), "--seed", "3"])
    expected = Config(iterations=3, init=str(tmp_path / "start.png"), style_weight=2, seed=3)
    assert make_config(options) == expected
    assert (options.file.image_size, options.writing.alpha, options.content) == (64, "white", Path("a.png"))


def test_a_name_that_no_text_holds_is_one_line(tmp_path, not_painted, capsys):
    options = ["a.png", "b.png", "--init", "\udcff.png", "--save-config", str(tmp_path / "run.toml")]
    assert main(options) == 2
    assert "cannot hold the name of a file that is no UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "run.toml").exists()


def test_settings_take_no_other_place(tmp_path, not_painted, capsys):
    for name, told in (("a.txt", "settings are written as .toml"), ("no/a.toml", "there is no folder")):
        assert main(["a.png", "b.png", "--save-config", str(tmp_path / name)]) == 2
        assert told in capsys.readouterr().err
    assert not not_painted


def test_a_file_that_was_read_may_be_replaced_when_asked(tmp_path, not_painted):
    path = tmp_path / "run.toml"
    path.write_text("iterations = 3")
    assert (
        main(["a.png", "b.png", "--config", str(path), "--save-config", str(path), "--overwrite", "--seed", "2"]) == 0
    )
    assert tomllib.loads(path.read_text()) == {"iterations": 3, "seed": 2}
    assert replace(make_config(not_painted[0]), seed=0) == Config(iterations=3)
