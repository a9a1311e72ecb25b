"""Signals: the first asks a run to stop, a second Ctrl-C ends it, and what the caller ignores stays ignored."""

import os
import signal
import threading

import pytest

from jnst.cli.interrupts import exit_code, stop_on_signals


def send(number):
    os.kill(os.getpid(), number)  # to the main thread, which handles it before the next line


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "stopping after this step; Ctrl-C again to quit"),
        (signal.SIGTERM, 143, "SIGTERM: stopping after this step"),
        (signal.SIGHUP, 129, "SIGHUP: stopping after this step"),
    ],
)
def test_the_first_signal_is_a_wish(capsys, number, code, said):
    before = signal.getsignal(number)
    with stop_on_signals("to quit") as signals:
        assert not signals
        send(number)
        assert signals == [number]
    assert exit_code(signals[0]) == code
    assert capsys.readouterr().err == f"jnst: {said}\n"
    assert signal.getsignal(number) is before


def test_a_signal_that_is_sent_twice_is_one_wish(capsys):
    """GNU's timeout sends one to its child and one to the group, in which the child is."""
    with stop_on_signals("to quit") as signals:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
    assert signals[0] == signal.SIGTERM
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_ctrl_c_after_another_signal_ends_at_once(first):
    with pytest.raises(KeyboardInterrupt), stop_on_signals("to quit"):  # noqa: PT012
        send(first)
        send(signal.SIGINT)


def test_what_the_caller_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stop_on_signals("to quit") as signals:
            send(signal.SIGHUP)
        assert not signals
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_than_the_main_one_has_no_signals():
    seen = []

    def work():
        with stop_on_signals("to quit") as signals:
            seen.append(signals)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[]]
