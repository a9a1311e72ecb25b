import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jnst import report
from jnst.transfer import Iteration, Progress, Result


def progress(iteration, seconds, loss=0.5):
    return Progress(iteration, 20, seconds, loss, [], lambda: np.zeros((1, 32, 32, 3), np.float32))


RESULT = Result(np.zeros((1, 32, 32, 3), np.float32), 0.25, 2, 3, 1.5, 0.5, "max_iterations", [], None)


def test_plain_lines_tell_loss_rate_and_time_left_every_few_seconds(capsys):
    with report.reporter(20, quiet=False) as tell:
        for iteration in range(1, 21):
            tell(progress(iteration, 10.0 + iteration))  # ten seconds to compile, then one each
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[1] == "iteration 6/20  loss 0.5  1.00 it/s  14 s left"
    assert lines[-1] == "iteration 20/20  loss 0.5  1.00 it/s  0 s left"


def test_quiet_tells_nothing(capsys):
    with report.reporter(20, quiet=True) as tell:
        tell(progress(20, 3.0))
    with report.download_bar(quiet=True) as tell:
        tell(5, 10)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(report, "Console", lambda **_: Console(file=screen, force_terminal=True, width=100))
    with report.reporter(20, quiet=False) as tell:
        tell(progress(1, 2.0))
        tell(progress(12, 13.0, loss=0.125))
    shown = screen.getvalue()
    assert "compiling" in shown
    assert "12/20" in shown
    assert "loss 0.125" in shown
    assert "1.00 it/s" in shown


def test_the_download_bar_is_silent_until_there_is_a_download(capsys):
    with report.download_bar(quiet=False):
        pass
    assert capsys.readouterr() == ("", "")
    with report.download_bar(quiet=False) as tell:
        tell(500, 1000)
    assert "downloading VGG-19" in capsys.readouterr().err


def test_trace_is_one_json_object_a_line(tmp_path):
    trace = report.Trace(tmp_path / "run.jsonl")
    trace.header(settings={"strength": 0.5, "output": Path("out.png")})
    trace.iterations([Iteration(1, 2, 0.5, 0.25, 0.1, math.nan, {"conv1_1": math.inf})])
    trace.footer(RESULT, Path("out.png"), {"write": 0.5})
    trace.close()
    header, row, footer = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert header["record"] == "header"
    assert header["settings"]["strength"] == 0.5
    assert header["device"].startswith("cpu")
    assert {"python", "jax", "jaxlib", "jaxopt"} <= set(header["versions"])
    assert row == {
        "record": "iteration", "iteration": 1, "evaluations": 2, "seconds": 0.5, "loss": 0.25, "content_loss": 0.1,
        "style_loss": None, "style_layers": {"conv1_1": None},
    }  # fmt: skip
    assert footer["output"] == "out.png"
    assert footer["stop_reason"] == "max_iterations"
    assert footer["laps"] == {"write": 0.5}
    assert footer["peak_memory"]["process"] > 10**7


def test_a_trace_keeps_its_lines_when_the_run_dies(tmp_path):
    trace = report.Trace(tmp_path / "run.jsonl")
    trace.header()
    assert (tmp_path / "run.jsonl").read_text().endswith("\n")
    trace.close()


@pytest.mark.parametrize("path", [None])
def test_no_trace_costs_nothing(path):
    trace = report.Trace(path)
    trace.header()
    trace.footer(RESULT, Path("out.png"), {"write": 0.5})
    trace.close()
