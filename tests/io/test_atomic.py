"""Files that are there whole or not at all, on full disks too, and what is swept of killed processes."""

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import ROOT

from jnst.io import atomic
from jnst.io.atomic import UnwritableError, append, sweep, whole_by_name, write_whole
from jnst.io.paths import UNFINISHED

WRITES = """
import sys, time
from pathlib import Path
from jnst.io.atomic import write_whole

def slowly(file):
    file.write(b"half")
    file.flush()
    print("half", flush=True)
    sys.stdin.readline()
    file.write(b" whole")

write_whole(Path(sys.argv[1]), slowly)
"""


def writing(path):
    """A process that has written half of a file and waits."""
    process = subprocess.Popen([sys.executable, "-c", WRITES, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    return process


def unfinished(folder):
    return list(folder.glob(f"{UNFINISHED}*"))


def test_a_killed_process_leaves_what_the_next_one_sweeps_and_a_living_one_is_let_alone(tmp_path):
    killed, living = writing(tmp_path / "a.png"), writing(tmp_path / "b.png")
    killed.kill()
    killed.communicate()
    assert len(unfinished(tmp_path)) == 2
    sweep(tmp_path)
    assert len(unfinished(tmp_path)) == 1
    living.communicate(b"\n")
    assert living.returncode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"b.png": b"half whole"}


def test_a_sweep_takes_nothing_else(tmp_path):
    (tmp_path / "kept.png").write_bytes(b"kept")
    (tmp_path / f"{UNFINISHED}link").symlink_to(tmp_path / "kept.png")
    (tmp_path / f"{UNFINISHED}folder").mkdir()
    os.mkfifo(tmp_path / f"{UNFINISHED}pipe")
    before = sorted(tmp_path.iterdir())
    sweep(tmp_path)
    sweep(tmp_path / "missing")
    assert sorted(tmp_path.iterdir()) == before


def test_a_sweep_between_naming_and_locking_costs_a_second_try(tmp_path, monkeypatch):
    import fcntl

    lock, names = fcntl.flock, []

    def swept_first(number, operation):
        if not names:
            names.extend(unfinished(tmp_path))
            names[0].unlink()
        lock(number, operation)

    monkeypatch.setattr("jnst.io.atomic.fcntl.flock", swept_first)
    write_whole(tmp_path / "a.png", lambda file: file.write(b"whole"))
    assert names
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.png": b"whole"}


@pytest.mark.parametrize("size", [5000, 50_000])  # what the buffer holds until it is closed, and what it does not
def test_a_full_disk_is_one_error_and_leaves_the_old_file(tmp_path, small_disk, size):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(UnwritableError, match=r"a.png cannot be written \(File too large\); choose another place"):
        write_whole(path, lambda file: file.write(bytes(size)))
    assert path.read_bytes() == b"old"
    assert not unfinished(tmp_path)


def test_an_error_while_cleaning_up_does_not_replace_the_first(tmp_path, monkeypatch):
    def gone(path):
        raise OSError(errno.EIO, "Input/output error")

    def fail(file):
        raise ValueError("the encoder's own")

    monkeypatch.setattr("jnst.io.atomic.os.unlink", gone)
    with pytest.raises(ValueError, match="the encoder's own"):
        write_whole(tmp_path / "a.png", fail)


def test_a_link_stays_one_and_its_target_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "real.png", tmp_path / "link.png"
    target.write_bytes(b"old")
    link.symlink_to("folder/real.png")
    write_whole(link, lambda file: file.write(b"new"))
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    os.umask(mask := os.umask(0))
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_does_not_fit_at_the_end_leaves_nothing(tmp_path, small_disk):
    path = tmp_path / "lines"
    with path.open("ab", buffering=0) as file:
        append(file, b"a" * 4000)
        with pytest.raises(OSError, match="File too large"):
            append(file, b"b" * 200)
        append(file, b"c" * 50)
    assert path.read_bytes() == b"a" * 4000 + b"c" * 50


def test_a_file_that_others_write_by_its_name_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "film.mp4"
    with whole_by_name(path) as name:
        assert os.path.basename(name).startswith(UNFINISHED)
        assert name.endswith(".mp4")
        with open(name, "wb") as file:  # as an encoder opens it, anew
            file.write(b"whole")
        sweep(tmp_path)  # by another run, meanwhile
        assert not path.exists()
    assert path.read_bytes() == b"whole"

    def half_written():
        with whole_by_name(path) as name, open(name, "wb") as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        half_written()
    assert path.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["film.mp4"]
    with pytest.raises(UnwritableError, match=r"no.mp4 cannot be written"), whole_by_name(tmp_path / "none" / "no.mp4"):
        pass


def test_threads_that_write_leave_the_mask_as_it_is(monkeypatch):
    before, mask = atomic._umask(), os.umask

    def slowly(new):
        old = mask(new)
        time.sleep(0.002)
        return old

    monkeypatch.setattr(os, "umask", slowly)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: atomic._umask(), range(64)))
    assert mask(before) == before
