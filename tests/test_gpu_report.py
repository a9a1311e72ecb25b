"""The report of a GPU, but for what it measures."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
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
    names = list(gpu_report.PARTS)
    assert gpu_report.PARTS["job"] < gpu_report.TOTAL / 2
    first = gpu_report.seconds_for(names[0], names, gpu_report.TOTAL)
    assert first == pytest.approx(gpu_report.PARTS[names[0]])
    later = gpu_report.seconds_for(names[1], names[1:], gpu_report.TOTAL - 10)  # the first took 10 s
    assert later > gpu_report.PARTS[names[1]]
    assert gpu_report.seconds_for(names[-1], names[-1:], 7) == 7


def test_what_a_part_has_started_ends_with_its_time(tmp_path):
    """A command line that went on would hold the memory of the GPU."""
    note = tmp_path / "pid"
    code = f"""import subprocess
child = subprocess.Popen(["sleep", "60"])
open({str(note)!r}, "w").write(str(child.pid))
child.wait()"""
    why = gpu_report.run_part([sys.executable, "-c", code], 3, str(tmp_path))
    assert why == "was not done in its 3 s"
    process = Path("/proc") / note.read_text() / "stat"
    deadline = time.monotonic() + 5
    while process.exists() and process.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process.exists() or process.read_text().split()[2] == "Z"


def test_no_number_in_a_row_breaks_the_file(tmp_path):
    gpu_report.append(tmp_path, "evaluation", {"GPU busy": float("nan"), "ms": 2.0})
    (line,) = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail) == {"part_of_report": "evaluation", "GPU busy": "", "ms": 2.0}


def plane(name, **lines):
    def event(name, begin, end):
        return SimpleNamespace(name=name, start_ns=1e9 * begin, end_ns=1e9 * end)

    made = [SimpleNamespace(name=title, events=[event(*e) for e in events]) for title, events in lines.items()]
    return SimpleNamespace(name=name, lines=made)


def test_the_busy_share_counts_what_overlaps_once_and_only_a_gpus_streams():
    planes = [
        plane("/host:CPU", python=[("jit", 0, 100)]),
        plane(
            "/device:GPU:0", Stream1=[("conv", 1, 3), ("conv", 6, 7)], Stream2=[("copy", 2, 4)], Steps=[("0", 0, 50)]
        ),
    ]
    events = gpu_report.device_events(planes)
    assert gpu_report.busy_time(events) == pytest.approx((6, 4))  # from 1 to 7: 1 to 4, 6 to 7
    assert gpu_report.longest(events) == [("conv", pytest.approx(3)), ("copy", pytest.approx(2))]
    with pytest.raises(InputError, match=r"nothing that the device did"):
        gpu_report.busy_time([])


def test_a_loop_computes_as_often_as_it_is_asked():
    calls = gpu_report.looped(lambda x: 2 * x, jnp.zeros(3), 5)
    x, doubled = calls()
    assert float(x[0]) == pytest.approx(5e-6)
    assert float(doubled[0]) == pytest.approx(1e-5)
