import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jnst import InputError
from jnst.io.trace import Trace


class Result(NamedTuple):
    loss: float
    iterations: int
    evaluations: int
    seconds: float
    stop_reason: str


@dataclass
class Iteration:
    iteration: int
    size: tuple[int, int]
    loss: float
    style_loss: float
    style_layers: dict[str, Any]


RESULT = Result(0.25, 2, 3, 1.5, "max_iterations")


def test_trace_is_one_json_object_a_line(tmp_path):
    trace = Trace(tmp_path / "run.jsonl")
    trace.header(settings={"strength": 0.5, "output": Path("out.png")})
    trace.iterations([Iteration(1, (48, 32), 0.25, math.nan, {"conv1_1": math.inf})])
    trace.footer(RESULT, Path("out.png"), {"write": 0.5})
    trace.close()
    header, row, footer = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert header["record"] == "header"
    assert header["settings"]["strength"] == 0.5
    assert header["device"].startswith("cpu")
    assert {"python", "jax", "jaxlib", "jaxopt"} <= set(header["versions"])
    assert row == {
        "record": "iteration", "iteration": 1, "size": [48, 32], "loss": 0.25, "style_loss": None,
        "style_layers": {"conv1_1": None},
    }  # fmt: skip
    assert footer["output"] == "out.png"
    assert footer["stop_reason"] == "max_iterations"
    assert footer["laps"] == {"write": 0.5}
    assert footer["peak_memory"]["process"] > 10**7


def test_a_trace_keeps_its_lines_when_the_run_dies(tmp_path):
    trace = Trace(tmp_path / "run.jsonl")
    trace.header()
    assert (tmp_path / "run.jsonl").read_text().endswith("\n")
    trace.close()


@pytest.mark.parametrize("path", [None])
def test_no_trace_costs_nothing(path):
    trace = Trace(path)
    trace.header()
    trace.footer(RESULT, Path("out.png"), {"write": 0.5})
    trace.close()


def test_a_run_that_begins_again_says_why(tmp_path):
    trace = Trace(tmp_path / "run.jsonl")
    trace.restart("plain")
    trace.close()
    assert json.loads((tmp_path / "run.jsonl").read_text()) == {"record": "restart", "did_not_fit": "plain"}


def test_a_full_disk_ends_the_trace_and_is_told_once(tmp_path, small_disk):
    told = []
    path = tmp_path / "run.jsonl"
    trace = Trace(path, notify=told.append)
    trace.header()
    for k in range(100):
        trace.iterations([Iteration(k, (48, 32), 0.25, 0.5, {"conv1_1": 0.125})])
    trace.footer(RESULT, Path("out.png"), {"write": 0.5})
    trace.close()
    assert told == [f"{path} cannot be written (File too large); the trace ends here, the run goes on"]
    header, *rows = [json.loads(line) for line in path.read_text().splitlines()]  # whole lines
    assert header["record"] == "header"
    assert [row["iteration"] for row in rows] == list(range(len(rows)))
    assert 10 < len(rows) < 100


def test_a_trace_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a+ cannot be written \(File name too long\)"):
        Trace(tmp_path / ("a" * 300))
