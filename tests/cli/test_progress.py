import io

import numpy as np
from rich.console import Console

from jnst.cli import progress as progress_module
from jnst.cli.progress import download_bar, reporter
from jnst.transfer import Progress


def progress(iteration, seconds, loss=0.5):
    return Progress(iteration, 20, seconds, loss, [], lambda: np.zeros((1, 32, 32, 3), np.float32))


def test_plain_lines_tell_loss_rate_and_time_left_every_few_seconds(capsys):
    with reporter(20, quiet=False) as tell:
        for iteration in range(1, 21):
            tell(progress(iteration, 10.0 + iteration))  # ten seconds to compile, then one each
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[1] == "iteration 6/20  loss 0.5  1.00 it/s  14 s left"
    assert lines[-1] == "iteration 20/20  loss 0.5  1.00 it/s  0 s left"


def test_quiet_tells_nothing(capsys):
    with reporter(20, quiet=True) as tell:
        tell(progress(20, 3.0))
    with download_bar(quiet=True) as tell:
        tell(5, 10)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress_module, "Console", lambda **_: Console(file=screen, force_terminal=True, width=100))
    with reporter(20, quiet=False) as tell:
        tell(progress(1, 2.0))
        tell(progress(12, 13.0, loss=0.125))
    shown = screen.getvalue()
    assert "compiling" in shown
    assert "12/20" in shown
    assert "loss 0.125" in shown
    assert "1.00 it/s" in shown


def test_the_download_bar_is_silent_until_there_is_a_download(capsys):
    with download_bar(quiet=False):
        pass
    assert capsys.readouterr() == ("", "")
    with download_bar(quiet=False) as tell:
        tell(500, 1000)
    assert "downloading VGG-19" in capsys.readouterr().err


def test_the_first_report_may_be_of_the_start(capsys):
    with reporter(0, quiet=False) as tell:
        tell(Progress(0, 0, 0.5, 0.25, [], lambda: np.zeros((1, 32, 32, 3), np.float32)))
    assert capsys.readouterr().err == "iteration 0/0  loss 0.25  0.00 it/s  0 s left\n"
