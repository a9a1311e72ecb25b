"""Pictures of a batch on their way to the disk, with a disk that takes none."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jnst.cli import keeping, writing
from jnst.cli.jobfile import BatchRow
from jnst.cli.keeping import Kept
from jnst.cli.painting import save_intermediate
from jnst.cli.progress import BatchReporter
from jnst.cli.writing import MOST_LOST, Writer
from jnst.config import Config
from jnst.io.atomic import UnwritableError
from jnst.io.encode import Writing

PIXELS = np.full((1, 32, 32, 3), 0.5, np.float32)


@pytest.fixture
def writer():
    """With a manifest that takes all."""
    reporter = BatchReporter(20, 0, lambda done, seconds, text: None, quiet=True)
    manifest: Any = SimpleNamespace(add=lambda row, facts: None)
    with Writer(manifest, reporter, Writing()) as writer:
        yield writer


def submit(writer, count):
    config = SimpleNamespace(content_layers=(), style_layers=())
    facts = {"loss": 0.5, "iterations": 1, "evaluations": 1, "stop_reason": "", "config": config}
    result: Any = SimpleNamespace(image=PIXELS, **facts)
    for k in range(count):
        row: Any = BatchRow(Path(), Path(), Path(f"{k}.png"), 64, 1.0, Config())
        writer.submit(row, result)
    writer.__exit__(None, None, None)


@pytest.mark.parametrize(("lost", "in_vain"), [(MOST_LOST - 1, False), (MOST_LOST, True)])
def test_pictures_that_no_folder_takes_end_the_batch_in_time(writer, monkeypatch, lost, in_vain):
    monkeypatch.setattr(writing, "save_or_keep", lambda pixels, path, **more: Kept(None, "no room"))
    submit(writer, lost)
    assert writer.in_vain == in_vain
    assert list(writer.failures.values()) == ["no room"] * lost
    assert (writer.reporter.done, writer.reporter.failures) == (0, lost)


def test_one_that_is_kept_elsewhere_is_not_in_vain(writer, monkeypatch, tmp_path):
    answers = [Kept(None, "no room")] * (MOST_LOST - 1) + [Kept(tmp_path, "elsewhere")]
    kept = iter([*answers, *answers])
    monkeypatch.setattr(writing, "save_or_keep", lambda pixels, path, **more: next(kept))
    submit(writer, 2 * MOST_LOST)
    assert not writer.in_vain
    assert len(writer.failures) == 2 * MOST_LOST


def test_an_intermediate_picture_that_cannot_be_written_is_told_once_and_dropped(tmp_path, capsys, monkeypatch):
    def full(pixels, path):
        raise UnwritableError(path, OSError(28, "No space left on device"))

    monkeypatch.setattr(keeping.image, "save", full)
    steps: Any = {2: tmp_path / "a-0002.png", 4: tmp_path / "a-0004.png"}
    save_intermediate(PIXELS, steps, 2)
    assert not steps
    shown = capsys.readouterr().err
    assert shown.startswith("jnst: no further intermediate pictures: ")
    assert "a-0002.png cannot be written (No space left on device)" in shown
