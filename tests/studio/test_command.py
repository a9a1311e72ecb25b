"""`jnst studio` on the command line."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from helpers import ROOT

from jnst.cli.main import main
from jnst.io import optional


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines in"),
        (["--host", "0.0.0.0", "--password-file", "{folder}/short"], "at least 8 letters"),
        (["--password-file", "{folder}/none"], "no such file"),
        (["--password-file", "{folder}/empty"], "is empty"),
        (["--port", "70000"], "--port must be from 0 to 65535"),
        (["--port", "1", "--host", "203.0.113.1", "--password-file", "{folder}/good"], "cannot be listened at"),
        (["--folder", "{folder}/good"], "cannot be used"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(tmp_path, capsys, arguments, told):
    for name, text in (("short", "short\n"), ("empty", "\n"), ("good", "a good password\n")):
        (tmp_path / name).write_text(text)
    folder = [] if "--folder" in arguments else ["--folder", str(tmp_path / "studio")]
    assert main(["studio", "--no-browser", *folder, *(word.format(folder=tmp_path) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "studio").exists()


def test_without_its_packages_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    find = optional.find
    monkeypatch.setattr(optional, "find", lambda name: None if name == "uvicorn" else find(name))
    assert main(["studio", "--no-browser", "--folder", str(tmp_path / "studio")]) == 2
    assert capsys.readouterr().err == 'jnst: jnst studio needs further packages: pip install "jnst[web]"\n'
    assert not (tmp_path / "studio").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_ends_it(tmp_path, number):
    words = ["studio", "--no-browser", "--backbone", "vgg16", "--folder", str(tmp_path / "studio")]
    process = subprocess.Popen(
        [sys.executable, "-m", "jnst", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    found = re.match(r"(http://127\.0\.0\.1:\d+)/\?token=(\S+)  \(pictures", process.stdout.readline())
    assert found
    request = urllib.request.Request(f"{found[1]}/api/state", headers={"X-Jnst-Token": found[2]})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    listening = urllib.request.urlopen(
        urllib.request.Request(f"{found[1]}/api/events", headers={"X-Jnst-Token": found[2]})
    )
    process.send_signal(number)
    out, error = process.communicate(timeout=120)
    listening.close()
    assert (process.returncode, error) == (0, "")
    assert "what waits is kept" in out
