"""Jobs files as spreadsheets write them; reproducer r13 is of this kind."""

import codecs
import json
import re

import pytest

from jnst import InputError
from jnst.cli.tables import read_table

PATHS, SETTINGS = ("content", "style", "output"), ("strength", "style_layer_weights", "image_size")
HEADER, ROW = "content,style,output,strength", "a.jpg,b.jpg,o.png,0.5"
CELLS = {"content": "a.jpg", "style": "b.jpg", "output": "o.png", "strength": "0.5"}


def read(folder, content, name="jobs.csv"):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(folder / name, paths=PATHS, settings=SETTINGS)


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{ROW}",
        f"{HEADER}\r\n{ROW}\r\n",
        f"{HEADER}\r{ROW}\r",
        codecs.BOM_UTF8 + f"{HEADER}\n{ROW}\n".encode(),
        f"{HEADER}\n{ROW}\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + f"{HEADER}\n{ROW}\n".encode("utf-16-be"),
        f"{HEADER}\n{ROW}\n".replace(",", ";"),
        f"{HEADER}\n{ROW}\n".replace(",", "\t"),
        f"{HEADER}\n{ROW}\n".replace(",", ";").replace("0.5", "0,5"),
        "sep=;\r\n" + f"{HEADER}\n{ROW}\n".replace(",", ";"),
        "sep=|\n" + f"{HEADER}\n{ROW}\n".replace(",", "|"),
        f"{HEADER}\n{ROW}\n".replace(",", " , "),
        f'{HEADER}\n"a.jpg", "b.jpg", "o.png", "0.5"\n',
        f"{HEADER.title()}\n{ROW}\n",
        f"{HEADER.upper()},Style-Layer Weights\n{ROW},\n",
        f"{HEADER},,\n{ROW},,,,\n",
        f"{HEADER},image size\n{ROW}\n",
    ],
)
def test_one_row_in_every_manner(tmp_path, content):
    assert read(tmp_path, content) == [(2, CELLS)]


def test_rows_are_counted_as_the_spreadsheet_shows_them(tmp_path):
    rows = f'{HEADER}\n,,,\n\n{ROW}\n"a\nb.jpg",b.jpg,o.png,\n  , ,\t,\n{ROW}\n,,,\n'
    assert [number for number, _ in read(tmp_path, rows)] == [4, 5, 7]
    assert [number for number, _ in read(tmp_path, f"\n{HEADER}\n{ROW}")] == [3]


@pytest.mark.parametrize("name", ["x\u2028y.jpg", "x\u0085y.jpg", "x\x0by.jpg", "x\x1cy.jpg", "é.jpg"])
def test_only_line_feeds_and_returns_end_a_row(tmp_path, name):
    assert read(tmp_path, f"{HEADER}\n{name},b.jpg,o.png,\n")[0][1]["content"] == name
    line = json.dumps({"content": name, "style": "b.jpg"}, ensure_ascii=False)
    assert read(tmp_path, f"\n{line}\r\n{line}", "jobs.jsonl") == [(k, json.loads(line)) for k in (2, 3)]


def test_a_comma_is_a_point_only_in_numbers_beside_semicolons(tmp_path):
    ((_, cells),) = read(tmp_path, "content;style;output;Style Layer Weights\n1,5;2,5.jpg;o.png;1 0,5 1,5e-3\n")
    assert cells == {"content": "1,5", "style": "2,5.jpg", "output": "o.png", "style_layer_weights": "1 0.5 1.5e-3"}


def test_lines_of_json_keep_their_values(tmp_path):
    line = json.dumps({"Content ": "a.jpg", "style-layer-weights": [1, 2], "strength": 0, "output": None})
    mark = codecs.BOM_UTF8.decode()
    assert read(tmp_path, mark + line, "j.JSONL") == [
        (1, {"content": "a.jpg", "style_layer_weights": [1, 2], "strength": 0})
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "a.csv names no picture; it needs a row for each, with content, style, output"),
        ("a.csv", "\n,,\n", "names no picture"),
        ("a.csv", HEADER, "names no picture"),
        ("a.csv", f"{HEADER}\n,,,\n", "names no picture"),
        ("a.jsonl", "\n\n", "names no picture"),
        ("a.jsonl", "{}", "names no picture"),
        ("a.xlsx", "PK", "a.xlsx: give a .csv, .tsv or .jsonl file; a spreadsheet can save itself as CSV"),
        ("a.csv", "é,b".encode("cp1252"), "a.csv cannot be read ('utf-8' codec"),
        ("a.csv", b"\xff\xfe\x00", "a.csv cannot be read ("),
        ("a.csv", f"{HEADER}\n{ROW}".encode("utf-16-le"), "it holds NUL characters); save it as UTF-8 text"),
        ("a.csv", f"{HEADER}\n\n{ROW},more\n", "a.csv, row 3: 4 columns are named, this row has others"),
        ("a.csv", f"{HEADER},\n{ROW},more\n", "row 2: 5 columns are named, this row has others"),
        ("a.csv", f"{HEADER},Style\n{ROW},c.jpg\n", "row 1: two columns are named 'style'"),
        ("a.csv", f'{HEADER}\n{ROW}\n"a.jpg,b.jpg\n', "row 3: unexpected end of data; see to its quotation marks"),
        ("a.csv", f"{HEADER}\n{'a' * 200_000},b,c,d\n", "row 2: field larger than field limit"),
        ("a.jsonl", '\n{"content": ', "row 2: not JSON"),
        ("a.jsonl", "[" * 100_000, "row 1: not JSON"),
        ("a.jsonl", "[1]", "row 1: [1] is no object; write one object a line"),
    ],
)
def test_what_is_no_list_is_told_in_one_line(tmp_path, name, content, message):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read(tmp_path, content, name)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(InputError, match=r"a.csv cannot be used \(Is a directory\); give another path"):
        read_table(tmp_path / "a.csv", paths=PATHS, settings=SETTINGS)
