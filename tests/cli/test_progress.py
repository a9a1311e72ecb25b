import io
import time

import numpy as np
import pytest
from rich.console import Console

from jnst.cli import progress as progress_module
from jnst.cli.progress import BatchReporter, Pace, PhaseTimer, display, download_bar, iteration_reporter, time_left
from jnst.records import Progress


def progress(iteration, seconds, loss=0.5, iterations=20):
    return Progress(iteration, iterations, seconds, loss, [], lambda: np.zeros((1, 32, 32, 3), np.float32))


@pytest.fixture
def screen(monkeypatch):
    """What a terminal shows."""
    screen = io.StringIO()
    monkeypatch.setattr(progress_module, "Console", lambda **_: Console(file=screen, force_terminal=True, width=120))
    return screen


def test_plain_lines_say_loss_rate_and_time_left_every_few_seconds(capsys):
    with iteration_reporter(20, quiet=False) as report:
        for iteration in range(1, 21):
            report(progress(iteration, 10.0 + iteration))  # ten seconds to compile, then one each
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[1] == "iteration 6/20  loss 0.5  1.00 it/s  14 s left"
    assert lines[-1] == "iteration 20/20  loss 0.5  1.00 it/s  0 s left"


def test_quiet_shows_nothing(capsys):
    with iteration_reporter(20, quiet=True) as report:
        report(progress(20, 3.0))
    with display(1.0, quiet=True) as show:
        BatchReporter(2, 1, show, quiet=True).picture_done()
    with download_bar(quiet=True) as report:
        report(5, 10)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(screen):
    with iteration_reporter(20, quiet=False) as report:
        report(progress(1, 2.0))
        report(progress(12, 13.0, loss=0.125))
    shown = screen.getvalue()
    assert "compiling" in shown
    assert "12/20" in shown
    assert "loss 0.125" in shown
    assert "1.00 it/s" in shown
    assert "8 s left" in shown


def test_the_download_bar_is_silent_until_there_is_a_download(capsys):
    with download_bar(quiet=False):
        pass
    assert capsys.readouterr() == ("", "")
    with download_bar(quiet=False) as report:
        report(500, 1000)
    assert "downloading VGG-19" in capsys.readouterr().err


def test_the_first_report_may_be_of_the_start(capsys):
    with iteration_reporter(0, quiet=False) as report:
        report(progress(0, 0.5, loss=0.25, iterations=0))
    assert capsys.readouterr().err == "iteration 0/0  loss 0.25  0.00 it/s  0 s left\n"


def test_pace_counts_from_the_first_report():
    pace = Pace()
    assert pace.update(0, 0.0) == 0
    assert pace.update(0, 30.0) == 0  # still compiling
    assert pace.update(5, 32.0) == 2.5
    assert time_left(30, 2.5) == "12 s left"
    assert time_left(600, 2.5) == "4.0 min left"
    assert time_left(3, 0) == "0 s left"


def test_phases_divide_the_time(monkeypatch):
    clock = iter([0.0, 2.0, 5.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timer = PhaseTimer()
    timer.phase("images")
    timer.phase("iterations", compile=1.0)
    assert timer.seconds == {"images": 2.0, "compile": 1.0, "iterations": 2.0}
    assert list(timer.seconds) == ["images", "compile", "iterations"]


def batch(show, monkeypatch):
    """Four pictures, of which one was there; ten seconds each."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    reporter = BatchReporter(4, 1, show, quiet=False)
    for share in (0.25, 0.5, 1.0):
        now[0] += 10
        reporter.share = share
        reporter.picture_done() if share < 1 else reporter.picture_failed()
    return reporter


def test_a_batch_says_how_far_it_is(capsys, monkeypatch):
    with display(1.0, quiet=False, prefix="jnst: ") as show:
        reporter = batch(show, monkeypatch)
    assert capsys.readouterr().err.splitlines() == [
        "jnst: 1 of 4 are done already",
        "jnst: 2 of 4 done, 0 failed, 6.0 a minute, 25% of the work, 30 s left",
        "jnst: 3 of 4 done, 0 failed, 6.0 a minute, 50% of the work, 20 s left",
        "jnst: 4 of 4 done, 1 failed, 4.0 a minute",
    ]
    assert (reporter.done, reporter.failures, reporter.seconds()) == (3, 1, 30)


def test_a_batch_has_a_bar_on_a_terminal_too(screen, monkeypatch):
    with display(1.0, quiet=False, prefix="jnst: ") as show:
        batch(show, monkeypatch)
    assert "4 of 4 done, 1 failed, 4.0 a minute" in screen.getvalue()
