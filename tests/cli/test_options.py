"""Options and `Config` are one: same names, same defaults, and every valid config can be said in flags."""

import dataclasses
import io
import json

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from jnst import Config, InputError
from jnst.cli import settings as settings_module
from jnst.cli.main import main
from jnst.cli.options import MISSING_PATH, Options, RowOptions
from jnst.cli.parsing import make_config, parse, parse_over, render
from jnst.cli.settings import GROUPS, settings_to_flags, text_to_setting
from jnst.network.architecture import layer_names

WEIGHT = st.floats(0, 1e30)
LAYERS = st.lists(st.sampled_from(layer_names("vgg19")), min_size=1, unique=True).map(tuple)
SIDES = st.lists(st.integers(1, 10**6), min_size=1, max_size=3, unique=True)
SCALES = st.one_of(st.just(("auto",)), SIDES.map(lambda sides: tuple(map(str, sorted(sides)))))
BALANCE = st.one_of(
    st.fixed_dictionaries({}, optional={"strength": st.floats(0, 1)}),
    st.fixed_dictionaries({}, optional={"content_weight": WEIGHT, "style_weight": st.floats(0.1, 1e30)}),
)
OTHERS = st.fixed_dictionaries({}, optional={
    "loss": st.sampled_from(["relative", "mse", "sum"]), "tv_weight": WEIGHT, "content_layers": LAYERS,
    "style_pyramid_levels": st.integers(1, 9), "pooling": st.sampled_from(["max", "average"]),
    "style_unit": st.sampled_from(["both", "painting"]),
    "normalize_filters": st.booleans(), "iterations": st.integers(0, 10**6), "scales": SCALES,
    "history_size": st.integers(1, 99), "history_dtype": st.sampled_from(["float32", "bfloat16"]),
    "learning_rate": st.floats(1e-9, 10), "gradients": st.sampled_from(["shared", "separate", "normalized"]),
    "precision": st.sampled_from(["float32", "tensorfloat32", "bfloat16"]), "checkpoint": st.booleans(),
    "tile": st.one_of(st.just("auto"), st.integers(0, 4096)), "seed": st.integers(0, 2**32 - 1),
    "init": st.one_of(st.sampled_from(["content", "style", "noise", "-o", "--strength=2", "a b,c.png"]),
                      st.text(min_size=1)),
})  # fmt: skip

# a failure is not made smaller: each try parses a command line, and that took six minutes
QUICK = settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])


@st.composite
def config_fields(draw):
    """Fields of a valid config. The config itself is made outside: beartype draws random items to check there."""
    values = draw(BALANCE) | draw(OTHERS) | {"style_layers": draw(LAYERS)}
    values["optimizer"] = (
        "adam" if values.get("gradients") == "normalized" else draw(st.sampled_from(["lbfgsb", "jaxopt"]))
    )
    if draw(st.booleans()):
        count = len(values["style_layers"])
        values["style_layer_weights"] = tuple(draw(st.lists(st.floats(0.1, 1e30), min_size=count, max_size=count)))
    return values


def as_dict(config):
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(Config)}


@QUICK
@given(config_fields())
def test_every_config_can_be_given_on_the_command_line(values):
    config = Config(**values)
    default = as_dict(Config())
    changed = {name: value for name, value in as_dict(config).items() if value != default[name]}
    assert make_config(parse(["photo.jpg", "painting.jpg", *settings_to_flags(changed)])) == config


@QUICK
@given(config_fields(), config_fields())
def test_every_config_can_be_given_in_a_row_over_any_command_line(values, values_of_command_line):
    """As JSON has the settings; a row cannot take back a weight that the command line gives, so these are left out."""
    config, command_line = Config(**values), Config(**values_of_command_line)
    free = ("strength", "content_weight", "style_weight", "style_layer_weights")
    groups = {group: {name: getattr(command_line, name) for name in names if name not in free}
              for group, (_, names) in GROUPS.items()}  # fmt: skip
    start = Options()
    default = RowOptions(512, 1.0, **{
        group: dataclasses.replace(getattr(start, group), **values) for group, values in groups.items()})  # fmt: skip
    cells = json.loads(json.dumps({name: value for name, value in as_dict(config).items() if value is not None}))
    arguments = settings_to_flags({name: text_to_setting(name, value) for name, value in cells.items()})
    assert make_config(parse_over(RowOptions, arguments, default)) == config


def test_the_groups_have_every_field_once_with_its_default():
    names = [name for _, names in GROUPS.values() for name in names]
    assert sorted(names) == sorted(as_dict(Config()))
    assert make_config(Options()) == make_config(parse(["a.jpg", "b.jpg"])) == Config()


def test_what_is_not_given_is_missing():
    assert parse([]).content == parse([]).style == MISSING_PATH


def test_the_help_of_a_setting_is_its_comment_with_names_as_flags():
    comments = settings_module.field_comments(Config)
    assert comments["pooling"] == "pooling between the blocks of the network"
    assert all(comments.values())
    assert "\n" not in "".join(comments.values())
    assert "instead of `strength`" in comments["style_weight"]


def test_the_name_of_before_still_works():
    assert make_config(parse(["a", "b", "--style-sizes", "2"])).style_pyramid_levels == 2


def test_fields_are_rendered_as_flags_and_nothing_else():
    assert (
        render(InputError("`strength` must stand without `style_weight`"))
        == "--strength must stand without --style-weight"
    )
    assert (
        render(InputError("scales 64 must be smaller than the image")) == "--scales 64 must be smaller than the image"
    )
    assert render(InputError("content must have the shape (1, h, w, 3)")) == "content must have the shape (1, h, w, 3)"
    assert render(InputError("`params` must be plain")) == "params must be plain"
    assert render(InputError("`seed` must be at least 0").within("row 3")) == "row 3: --seed must be at least 0"


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [("strength", 2, "2"), ("style_layers", "conv1_1 conv2_1", ["conv1_1", "conv2_1"]),
     ("style_layers", ["conv1_1"], ["conv1_1"]),
     ("style_layer_weights", "1 2", ["1", "2"]), ("scales", 2, ["2"]), ("checkpoint", "Yes", True),
     ("checkpoint", 0, False),
     ("init", "my photo.png", "my photo.png"), ("image_size", 64, "64")],
)  # fmt: skip
def test_cells_of_a_jobs_file_become_settings(name, value, setting):
    assert text_to_setting(name, value) == setting


def test_a_cell_is_true_or_false():
    with pytest.raises(InputError, match="normalize_filters must be true or false, got maybe"):
        text_to_setting("normalize_filters", "maybe")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--iterations", "many"],
            "Error parsing --iterations: invalid literal for int() with base 10: 'many'; see --help",
        ),
        (["--iteratoins", "3"], "Unrecognized options: --iteratoins, 3; see --help"),
        (["--iterations"], "Missing value for argument '--iterations'. Expected 1 values; see --help"),
        (["--loss", "huber"], "invalid choice 'huber' for argument '--loss'"),
    ],
)
def test_the_parsers_frames_become_one_line(monkeypatch, encoding, arguments, message):
    """The frame depends on the encoding of standard output."""
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(InputError) as caught:
        parse(["a.jpg", "b.jpg", *arguments])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert "--------" not in str(caught.value)


def test_help_groups_the_options_and_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: jnst ")
    for group in ("file", "writing", "mixture", "preset", "balance", "color", "layer", "solver", "weight", "machine",
                  "batch", "report"):  # fmt: skip
        assert f"{group} options" in shown
    for option in (
        "-o PATH, --output PATH", "--image-size INT", "--style-scale FLOAT",
        "--texture-maps NAME=PATH ...", "--overwrite", "--bits {8,16}",
        "--alpha {keep,white}",        "--colour-space {srgb,input}", "--keep-gps", "--preset NAME",
        "--list-presets", "--loss {relative,mse,sum}", "--strength FLOAT", "--content-weight FLOAT", "--tv-weight",
        "--content-layers LAYER ...", "--style-layers LAYER ...", "--style-layer-weights FLOAT ...",
        "--style-sizes INT", "--style-pyramid-levels INT", "--style-unit {both,painting}", "--pooling",
        "--normalize-filters, --no-normalize-filters", "--optimizer",
        "--iterations INT", "--scales auto|N|PIXELS ...", "--history-size", "--history-dtype", "--learning-rate",
        "--gradients", "--precision", "--checkpoint", "--tile auto|N", "--init NAME|PATH", "--noise-blend FLOAT",
        "--tv-form {squares,absolute}", "--match-colours {no,mean,covariance,histogram}, --match-colors",
            "--original-colours, --original-colors",
        "--blend", "--style-blend-weights FLOAT ...", "--content-masks PATH ...", "--style-masks PATH ...",
        "--regions PATH ...", "CONTENT STYLE [STYLE ...]", "jnst style: makes a style file", "--seed INT", "--backbone",
        "--weights PATH", "--weights-input {caffe,torch}",
        "--offline", "--normalize-with", "--max-memory SIZE", "--plan", "--for {v5e,v6e,h100}", "--devices INT",
        "--no-compilation-cache", "--jobs PATH", "--batch-size", "--contact-sheet", "--coordinator HOST:PORT",
        "--processes", "--process INT", "--save-every", "--shard I/N", "--engine {local,ray}",
        "--address HOST:PORT", "--workers INT", "--trace PATH",
        "--animation PATH", "--plot PATH", "--quiet", "--version",
    ):  # fmt: skip
        assert option in shown
    words = " ".join(shown.replace("│", " ").split())
    assert "style against content, 0 to 1: 0.7 light, 0.85 moderate, 0.92 painted, 0.97 at any price" in words
    assert "(default: 0.92)" in words
    assert "instead of --strength; alone, the other is 1 (default: from --strength)" in words
    assert "`" not in shown
    assert max(map(len, shown.splitlines())) <= 80
