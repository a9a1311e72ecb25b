"""A worker of a cluster, without Ray: it paints what one process does, and skips what another one has done."""

import socket
from dataclasses import replace
from pathlib import Path

import jax
import pytest
from cli_helpers import paint_folders
from helpers import FAST_BATCH

from jnst.cli.engines.chunks import decide_slots
from jnst.cli.engines.ray_worker import Duty, Worker
from jnst.cli.jobfile import read_rows
from jnst.cli.parsing import parse


@pytest.fixture
def worker(folders, monkeypatch):
    """A worker for the folders' pictures, and their rows, the last of which is broken."""
    (folders / "photos" / "c.png").write_bytes(b"broken")
    monkeypatch.setattr("jax.local_devices", lambda: jax.devices()[:1])
    monkeypatch.setattr("jnst.cli.engines.ray_worker._end_with_parent", lambda: None)
    options = parse(list(map(str, [folders / "photos", folders / "paintings" / "x.png", "-o", "out", *FAST_BATCH])))
    rows = read_rows(options, folders / "out")
    return Worker(Duty(options, folders / "out", "run", str(folders), socket.gethostname()), 0, 1), rows


def lines(folders):
    return [line for path in (folders / "out").glob("manifest*.jsonl") for line in path.read_text().splitlines()]


def test_it_paints_what_one_process_does_each_picture_once(folders, worker):
    it, rows = worker
    assert paint_folders(folders) == 1
    expected = {path.name: path.read_bytes() for path in (folders / "out").glob("*_x.png")}
    (folders / "out").rename(folders / "local")
    (folders / "out").mkdir()
    assert it.start().network["sha256"]
    survey = it.survey(rows)
    assert sorted(survey.rows) == [0, 1]
    assert "c.png is not an image that can be read" in survey.failures[2]
    slots = {}
    decide_slots(list(survey.rows.values()), survey.most, slots, batch_size=it.options.batch.batch_size)
    outcome = it.paint(rows[:1], slots, again=False)
    assert (outcome.done, outcome.failures, outcome.slots) == (1, {}, slots)
    first = (folders / "out" / "a_x.png").stat().st_mtime_ns
    outcome = it.paint(rows, slots, again=True)
    assert outcome.done == 2
    assert list(outcome.failures) == [2]
    assert (folders / "out" / "a_x.png").stat().st_mtime_ns == first
    assert {path.name: path.read_bytes() for path in (folders / "out").glob("*.png")} == expected
    assert len(lines(folders)) == 2
    it.stop(15)
    assert it.paint(rows, slots, again=False).done == 0
    assert it.news() == (0, 0, 0.0)


def test_what_is_not_on_its_machine_is_told_in_one_line(folders, worker, monkeypatch):
    it, _ = worker
    assert "has no folder" in it.start().error
    (folders / "out").mkdir()
    monkeypatch.chdir(folders)
    it.duty = replace(it.duty, out=Path("out"), folder="/no/such")
    assert "has no folder /no/such; give -o a folder that all machines see, by its whole path" in it.start().error
    it.duty = replace(it.duty, folder=str(folders))
    it.options = replace(it.options, weight=replace(it.options.weight, weights=Path("no.h5")))
    assert it.start().error == "no.h5: no such weight file; give an existing one"
