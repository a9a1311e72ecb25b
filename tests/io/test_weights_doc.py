"""docs/weights.md says what the code does: layouts, endings, networks, names."""

from helpers import ROOT

from jnst.io import formats
from jnst.io.formats.known import NETWORKS
from jnst.io.formats.layouts import FLAXMODELS, LAYOUTS

TEXT = (ROOT / "docs" / "weights.md").read_text()
PROSE = " ".join(TEXT.split())


def table_below(head):
    """The rows of the table with that heading."""
    lines = TEXT[TEXT.index(head) :].splitlines()[2:]
    return lines[: lines.index("")]


def test_the_layouts_are_those_that_are_read():
    rows = [f"| {layout.name} | `{layout.example}` | {layout.input} |" for layout in (*LAYOUTS, FLAXMODELS)]
    assert table_below("| layout | names |") == rows


def test_the_endings_are_those_that_are_written_and_looked_for():
    endings = [ending for row in table_below("| ending | layout |") for ending in row.split("|")[1].strip().split(", ")]
    assert sorted(endings) == sorted(f"`{ending}`" for ending in formats.WRITERS)
    begin = PROSE[PROSE.index("So `.h5`") : PROSE.index("are all read")]
    assert not [
        ending for ending in formats.ENDINGS if ending not in (".keras.h5", ".hdf5") and f"`{ending}`" not in begin
    ]


def test_the_kinds_of_files_are_those_that_are_told_apart():
    assert f"tell the kind: {', '.join(formats.CONTAINERS)}." in PROSE


def test_the_networks_and_names_are_those_that_are_known():
    names = [network.name for network in NETWORKS]
    assert f"numbers of {', '.join(names[:-1])} and {names[-1]} by" in PROSE
    caffe, torch = (", ".join(f"`{name}`" for name in sorted(formats.NAMES[known])) for known in formats.INPUTS)
    told = PROSE[PROSE.index("then its name (") :].split("(", 1)[1].split(")")[0]
    parts = {part.rsplit(": ", 1)[1]: part.rsplit(": ", 1)[0] for part in told.split("; ")}
    assert {key: ", ".join(sorted(value.split(", "))) for key, value in parts.items()} == {
        "caffe-bgr": caffe, "torch-rgb": torch
    }  # fmt: skip
