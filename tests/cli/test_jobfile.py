"""Jobs files: every row over the command line, and what cannot be is refused by its row before any work."""

import csv
import json

import pytest
from cli_helpers import paint_listed

from jnst import Config
from jnst.cli.jobfile import read_rows
from jnst.cli.parsing import parse

ROW = {"content": "photos/a.png", "style": "paintings/x.png", "output": "one.png"}


def read(folder, text, *arguments, name="jobs.jsonl"):
    (folder / name).write_text(text)
    return read_rows(parse(["--jobs", str(folder / name), *arguments]), folder / "out")


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_row_is_what_it_says_over_the_command_line(folders):
    rows = [
        {**ROW, "strength": "0.5", "style-layers": "conv1_1 conv1_2", "normalize_filters": "true", "image_size": "64"},
        {**ROW, "output": "two.jpg", "strength": "", "style-layers": "", "normalize_filters": "", "image_size": ""},
    ]
    write_csv(folders / "jobs.csv", rows)
    command = ["--jobs", str(folders / "jobs.csv"), "--iterations", "7", "--style-scale", "0.5"]
    one, two = read_rows(parse(command), folders / "out")
    assert (one.content, one.style) == (folders / "photos" / "a.png", folders / "paintings" / "x.png")
    assert (one.output, two.output) == (folders / "out" / "one.png", folders / "out" / "two.jpg")
    assert (one.image_size, two.image_size, one.style_scale) == (64, 512, 0.5)
    assert one.config == Config(strength=0.5, iterations=7, style_layers=("conv1_1", "conv1_2"), normalize_filters=True)
    assert two.config == Config(iterations=7)


def test_a_row_may_take_back_what_the_command_line_switches_on(folders):
    text = json.dumps({**ROW, "checkpoint": False, "normalize_filters": False})
    for command_line in (["--checkpoint", "--normalize-filters"], []):
        (row,) = read(folders, text, *command_line)
        assert row.config == Config()


def test_a_row_may_have_a_preset_and_names_from_before(folders):
    (row,) = read(folders, json.dumps({**ROW, "preset": "mountain", "style_sizes": 2, "iterations": 3}))
    assert (row.config.content_layers, row.config.loss) == (("conv5_2",), "mse")
    assert (row.config.style_pyramid_levels, row.config.iterations) == (2, 3)


def test_enlarging_is_an_option_of_a_row_and_a_record_without_it_is_the_one_from_before(folders):
    (row,) = read(folders, json.dumps({**ROW, "upscale": True}))
    assert row.upscale
    assert row.record()["upscale"] is True
    (row,) = read(folders, json.dumps({**ROW, "upscale": "no"}), "--upscale")
    assert not row.upscale
    assert "upscale" not in row.record()


def test_a_spreadsheets_file_is_painted_row_by_row(folders):
    """With a mark, semicolons, capitals, a number with a comma and an empty row."""
    text = "\ufeffContent;Style;Output;Strength\r\n;;;\r\nphotos/a.png; paintings/x.png;one.png;0,5\r\n"
    (row,) = read(folders, text, name="jobs.csv")
    assert (row.content, row.output) == (folders / "photos" / "a.png", folders / "out" / "one.png")
    assert row.config.strength == 0.5


def test_a_record_tells_a_row_from_another(folders):
    (row,) = read(folders, json.dumps(ROW))
    (other,) = read(folders, json.dumps({**ROW, "seed": 1}))
    assert row.record() != other.record()
    assert row.record() == json.loads(json.dumps(row.record()))
    assert row.record()["output"] == "one.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({**ROW, "colour": 1}), "row 1: unknown column 'colour'; known are"),
        (json.dumps({"content": "photos/a.png"}), "row 1: no style; every row needs content, style, output"),
        (json.dumps({**ROW, "content": "no.png"}), "no.png: no such file"),
        (json.dumps({**ROW, "strength": 2}), "row 1: --strength must be a number between 0 and 1, got 2"),
        (json.dumps({**ROW, "iterations": "many"}), "row 1: Error parsing --iterations"),
        (json.dumps({**ROW, "checkpoint": "maybe"}), "row 1: --checkpoint must be true or false, got maybe"),
        (json.dumps({**ROW, "preset": "monet"}), "row 1: --preset monet is not known"),
        (json.dumps(ROW) + "\n" + json.dumps(ROW), "one.png would be written twice"),
        ("{", "row 1: not JSON"),
        ("[1]", "is no object; write one object a line"),
        (json.dumps({**ROW, "output": "sub/one.png"}), "row 1: output sub/one.png must be a name without folders"),
        (json.dumps({**ROW, "style_scale": 0}), "row 1: --style-scale must be above 0 and at most 100, got 0"),
        (json.dumps({**ROW, "image_size": 5}), "row 1: --image-size must be at least 32"),
        (json.dumps({**ROW, "output": "one.gif"}), "one.gif has the extension '.gif'"),
    ],
)
def test_a_list_that_cannot_be_is_refused_before_any_work(folders, capsys, text, message):
    (folders / "jobs.jsonl").write_text(text)
    assert paint_listed(folders, "jobs.jsonl") == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not list((folders / "out").glob("*.png"))
