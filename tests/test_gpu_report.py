"""The report of a GPU, but for what it measures."""

import json
import subprocess

import pytest
from helpers import ROOT

from benchmarks import gpu_report
from jnst.errors import InputError

SCRIPT = ROOT / "benchmarks" / "gpu_report.sh"


def test_the_script_says_what_it_needs():
    done = subprocess.run([SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: benchmarks/gpu_report.sh IMAGES WEIGHTS OUT")


def test_rows_become_a_table_each_part_even_where_later_rows_have_more(tmp_path):
    rows = [
        {"part_of_report": "job", "size": 512, "wall": 1.23456},
        {"part_of_report": "job", "size": 512, "wall": 2.0, "more": "x"},
        {"part_of_report": "parts", "ms": 0.5},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = gpu_report.tables(tmp_path)
    assert "| size | wall | more |" in text
    assert "| 512 | 1.235 |  |" in text
    assert text.index("## job") < text.index("## parts")


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no report"):
        gpu_report.tables(tmp_path)


def test_a_part_that_fails_ends_nothing(tmp_path, monkeypatch, capsys):
    """Weights that are not there: the part fails, the next begins, and the machine is still told of."""
    options = ["images", "--weights", str(tmp_path / "missing.h5"), "--output", str(tmp_path), "--small"]
    monkeypatch.setattr("sys.argv", ["gpu_report", *options, "--parts", "torch", "parts"])
    gpu_report.main()
    out = capsys.readouterr().out
    assert "torch failed with exit code" in out
    assert "## about" in out
    assert "## parts" in out
    assert (tmp_path / "report.md").read_text().startswith("## about")


def test_the_seconds_of_the_parts_fit_one_call():
    assert gpu_report.TOTAL <= 9 * 60
    assert gpu_report.PARTS["job"] < gpu_report.TOTAL / 2
