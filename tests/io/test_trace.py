import json
import math
from pathlib import Path

import numpy as np
import pytest

from jnst.io.trace import Trace
from jnst.records import Iteration, Result

RESULT = Result(np.zeros((1, 32, 32, 3), np.float32), 0.25, 2, 3, 1.5, 0.5, "max_iterations", (), None)


def test_trace_is_one_json_object_a_line(tmp_path):
    trace = Trace(tmp_path / "run.jsonl")
    trace.header(settings={"strength": 0.5, "output": Path("out.png")})
    trace.iterations([Iteration(1, (48, 32), 2, 0.5, 0.25, 0.1, math.nan, {"conv1_1": math.inf})])
    trace.footer(RESULT, Path("out.png"), {"write": 0.5})
    trace.close()
    header, row, footer = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert header["record"] == "header"
    assert header["settings"]["strength"] == 0.5
    assert header["device"].startswith("cpu")
    assert {"python", "jax", "jaxlib", "jaxopt"} <= set(header["versions"])
    assert row == {
        "record": "iteration", "iteration": 1, "size": [48, 32], "evaluations": 2, "seconds": 0.5, "loss": 0.25,
        "content_loss": 0.1, "style_loss": None, "style_layers": {"conv1_1": None},
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
