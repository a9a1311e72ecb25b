"""The traces of a batch: what is in them, where they may be, and a disk that takes none."""

import csv
import json
from pathlib import Path

import pytest
from cli_helpers import paint_folders, paint_listed

from jnst.cli.jobfile import BatchRow
from jnst.cli.traces import require_trace_places
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import trace
from jnst.io.atomic import UnwritableError

NAMES = ["a_x", "a_y", "b_x", "b_y"]


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def tree(folder):
    return sorted(folder.rglob("*"))


def row(name, content=Path("photo.png"), **more):
    return BatchRow(content, Path("painting.png"), Path("out", name), 64, 1.0, Config(), **more)


def test_every_picture_has_a_trace_of_its_own(folders, capsys):
    traces = folders / "new" / "traces"
    assert paint_folders(folders, "--trace", traces, "--quiet") == 0
    assert sorted(path.name for path in traces.iterdir()) == [f"{name}.jsonl" for name in NAMES]
    done = {line["job"]["output"]: line for line in records(folders / "out" / "manifest.jsonl")}
    for name in NAMES:
        header, *rows, footer = records(traces / f"{name}.jsonl")
        assert header["record"] == "header"
        assert (header["content"], header["style"]) == (f"{name[0]}.png", f"{name[2]}.png")
        assert header["image_size"] == [40, 48]
        assert header["settings"]["style_layers"] == ["conv1_1"]
        assert header["weights"]["architecture"] == "vgg16"
        assert [row["iteration"] for row in rows] == [0, 1, 2]
        assert all(row["record"] == "iteration" and row["size"] == [40, 48] for row in rows)
        assert footer["output"] == str(folders / "out" / f"{name}.png")
        assert footer["loss"] == done[f"{name}.png"]["loss"] == min(row["loss"] for row in rows)
        assert (footer["iterations"], footer["stop_reason"]) == (2, "max_iterations")
        assert set(footer["laps"]) == {"compile", "iterations", "write"}
        assert all(seconds >= 0 for seconds in footer["laps"].values())
    assert capsys.readouterr().err == ""


def test_beside_the_pictures_and_begun_again(folders, capsys):
    """A picture that is done is neither painted nor traced again; a trace of a killed run is swept."""
    out = folders / "out"
    assert paint_folders(folders, "--trace", out) == 0
    before = {name: (out / f"{name}.jsonl").stat().st_mtime_ns for name in NAMES}
    (out / "b_x.png").unlink()
    (out / ".jnst-abc.jsonl").write_bytes(b"half")
    assert paint_folders(folders, "--trace", out) == 0
    assert "3 of 4 are done already" in capsys.readouterr().err
    assert [name for name in NAMES if (out / f"{name}.jsonl").stat().st_mtime_ns != before[name]] == ["b_x"]
    assert not (out / ".jnst-abc.jsonl").exists()


def test_traces_that_cannot_be_written_are_told_and_end_nothing(folders, capsys, monkeypatch):
    def full(path, write):
        if path.name != "b_y.jsonl":
            raise UnwritableError(path, OSError(28, "No space left on device"))
        whole(path, write)

    whole = trace.write_whole
    monkeypatch.setattr(trace, "write_whole", full)
    assert paint_folders(folders, "--trace", folders / "traces") == 0
    assert [path.name for path in (folders / "traces").iterdir()] == ["b_y.jsonl"]
    shown = capsys.readouterr().err
    assert shown.count(".jsonl cannot be written (No space left on device); the batch goes on") == 1
    assert "jnst: 3 traces could not be written\n" in shown
    assert "4 of 4 done, 0 failed" in shown
    assert len(records(folders / "out" / "manifest.jsonl")) == 4


def test_a_picture_that_fails_has_no_trace(folders):
    (folders / "photos" / "bad.jpg").write_text("no picture")
    assert paint_folders(folders, "--trace", folders / "traces", "--quiet") == 1
    assert sorted(path.stem for path in (folders / "traces").iterdir()) == NAMES


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("photos/a.png", "photos/a.png is a file; many pictures need a folder: give another --trace"),
        ("photos/a.png/traces", "photos/a.png is no folder); give another --trace"),
        ("/proc/traces", "/proc/traces cannot be made (No such file or directory); give another --trace"),
        ("{long}", "cannot be used (File name too long)"),
        ("there", "there/b_y.jsonl exists; give --overwrite to replace it, or another --trace"),
        ("folder", "folder/a_x.jsonl is a directory; give the path of a file to write"),
    ],
)
def test_wrong_places_get_one_line_and_nothing_is_written(folders, capsys, place, message):
    (folders / "there").mkdir()
    (folders / "there" / "b_y.jsonl").write_bytes(b"mine")
    (folders / "folder" / "a_x.jsonl").mkdir(parents=True)
    before = tree(folders)
    more = ["--overwrite"] if place == "folder" else []
    assert paint_folders(folders, "--trace", folders / place.format(long="n" * 300), *more) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert tree(folders) == before
    assert (folders / "there" / "b_y.jsonl").read_bytes() == b"mine"


def test_the_folder_of_the_pictures_lies_in_a_file(folders, capsys):
    """The traces' folder, which could be made, is not."""
    before = tree(folders)
    places = ["-o", folders / "photos" / "a.png" / "out", "--trace", folders / "traces"]
    assert paint_folders(folders, *places) == 2
    assert "a.png is no folder); give another -o" in capsys.readouterr().err
    assert tree(folders) == before


def test_a_list_that_names_a_picture_as_itself(folders, capsys):
    """The jobs file would be replaced by that picture's trace."""
    cells = {"content": "photos/a.png", "style": "paintings/x.png", "output": "jobs.png"}
    (folders / "jobs.jsonl").write_text(json.dumps(cells))
    before = (folders / "jobs.jsonl").read_text()
    assert paint_listed(folders, "jobs.jsonl", "--trace", folders, "--overwrite") == 2
    assert "jobs.jsonl is also an input or another output; give another --trace" in capsys.readouterr().err
    assert (folders / "jobs.jsonl").read_text() == before
    assert not (folders / "out").exists()


def test_two_pictures_with_one_stem(folders, capsys):
    rows = [{"content": "photos/a.png", "style": "paintings/x.png", "output": f"one.{kind}"} for kind in ("png", "jpg")]
    with (folders / "jobs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert paint_listed(folders, "jobs.csv", "--trace", folders / "traces") == 2
    assert "one.png and one.jpg would both have the trace" in capsys.readouterr().err
    assert not (folders / "traces").exists()


def test_places_of_traces(tmp_path):
    out, traces = tmp_path / "out", tmp_path / "traces"
    require_trace_places(traces, [row("one.png"), row("manifest_x.png")], out)
    with pytest.raises(InputError, match=r"manifest_x.jsonl has the name of a manifest; give another folder as"):
        require_trace_places(out, [row("one.png"), row("manifest_x.png")], out)
    with pytest.raises(InputError, match="also an input"):
        require_trace_places(traces, [row("one.png", traces / "one.jsonl")], out, overwrite=True)
    with pytest.raises(InputError, match="has 256 bytes, and a file's may have 255; give another trace"):
        require_trace_places(traces, [row("n" * 250 + ".png")], out)
    assert not traces.exists()
