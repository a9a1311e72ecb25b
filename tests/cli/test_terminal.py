"""Printing: no failure of it ends a run, and a name cannot take a line apart."""

import io
import os
import subprocess
import sys

import pytest
from helpers import ROOT

from jnst.cli.terminal import Lenient, lenient_streams, log, one_line, say

PRINTS = """
import sys
from jnst.cli.terminal import lenient_streams, log, say
with lenient_streams():
    for _ in range(3):
        say(sys.argv[1])
        log(sys.argv[1])
"""


def prints(text, **streams):
    """The finished process that has printed a text three times."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    return subprocess.run([sys.executable, "-c", PRINTS, text], env=environment, check=False, **streams)


def test_letters_that_the_terminal_lacks_are_written_with_backslashes():
    done = prints("é ok", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\xe9 ok\n" * 3, b"jnst: \\xe9 ok\n" * 3)


def test_a_full_disk_or_a_closed_pipe_is_no_failure():
    with open("/dev/full", "w") as full:
        done = prints("text", stdout=full, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (0, b"jnst: text\n" * 3)
        done = prints("text", stdout=subprocess.PIPE, stderr=full)
        assert (done.returncode, done.stdout) == (0, b"text\n" * 3)
    reader, writer = os.pipe()
    os.close(reader)
    done = prints("text", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"jnst: text\n" * 3)


def test_what_the_caller_has_closed_is_no_failure_and_no_file_takes_its_place():
    program = PRINTS + "with open(sys.argv[2], 'wb') as file:\n    assert file.fileno() > 2"
    command = f'"{sys.executable}" -c "$0" text /dev/null >&- 2>&-'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(["sh", "-c", command, program], env=environment, check=False).returncode == 0


def test_a_stream_that_is_closed_or_busy_raises_nothing():
    closed = io.StringIO()
    closed.close()
    stream = Lenient(closed)
    assert stream.write("text") == 4
    stream.flush()

    class Busy(io.StringIO):
        def write(self, text):
            raise RuntimeError("reentrant call")

    assert Lenient(Busy()).write("text") == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [("plain é ü", "plain é ü"), ("a\nb\r", "a\\nb\\r"), ("\x1b[31m\x9b", "\\x1b[31m\\x9b"), ("a\u2028b", "a\\u2028b")],
)
def test_a_name_stays_on_its_line(capsys, text, line):
    assert one_line(text) == line
    log(text)
    say(text)
    say(text, quiet=True)
    assert capsys.readouterr() == (f"{line}\n", f"jnst: {line}\n")


def test_the_streams_are_put_back():
    before = sys.stdout, sys.stderr
    with lenient_streams():
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before
