import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jnst import memory
from jnst.memory import _of_control_groups, free, limits, peak_of_process, resident


def test_the_peak_grows_with_what_is_held():
    """In a process of its own: the one of all tests has a peak of gigabytes, and more than that must be held."""
    code = (
        "import numpy as np; from jnst.memory import peak_of_process as peak; before = peak(); "
        "held = np.ones(before // 8 + 10**7); assert peak() > before + held.nbytes // 2"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_held_now_is_at_most_the_peak():
    assert 10**7 < resident() <= peak_of_process()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no VmHWM")
def test_a_child_does_not_begin_with_its_parents_peak():
    held = np.ones(10**8)
    code = "from jnst.memory import peak_of_process; print(peak_of_process())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(child.stdout) < held.nbytes // 2


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)


def process(folder, lines):
    folder.mkdir()
    (folder / "cgroup").write_text(lines)
    return folder


def test_the_least_generous_group_above_the_process_counts(tmp_path):
    """Version 2: what files take that nobody uses is given back."""
    mounts = tmp_path / "cgroup"
    group(mounts, memory_current="999", memory_stat="")  # the machine's root has no limit
    group(mounts / "pods", memory_max="5000\n", memory_current="3000\n", memory_stat="anon 1\ninactive_file 200\n")
    group(mounts / "pods/one", memory_max="max\n", memory_current="1000\n", memory_stat="inactive_file 0\n")
    proc = process(tmp_path / "proc", "0::/pods/one\n")
    assert _of_control_groups(proc, mounts) == 2200
    (mounts / "pods/one/memory.max").write_text("1500")
    assert _of_control_groups(proc, mounts) == 500
    (mounts / "pods/one/memory.max").write_text("900")
    assert _of_control_groups(proc, mounts) == 0


def test_groups_of_the_first_version_count(tmp_path):
    mounts = tmp_path / "cgroup"
    root = {"memory_limit_in_bytes": f"{2**63 - 4096}", "memory_usage_in_bytes": "9", "memory_stat": ""}
    group(mounts / "memory", **root)
    own = {"memory_limit_in_bytes": "7000", "memory_usage_in_bytes": "4000", "memory_stat": "total_inactive_file 1000"}
    group(mounts / "memory/job", **own)
    proc = process(tmp_path / "proc", "5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    assert _of_control_groups(proc, mounts) == 4000


def test_in_a_container_the_own_group_is_the_root(tmp_path):
    """Its path is the host's, which is not mounted within."""
    mounts = tmp_path / "cgroup"
    group(mounts, memory_max="6000", memory_current="1000", memory_stat="")
    assert _of_control_groups(process(tmp_path / "proc", "0::/docker/abc\n"), mounts) == 5000


@pytest.mark.parametrize("lines", [None, "", "0::/\n", "4:memory:/gone\n"])
def test_without_groups_none_is_told(lines, tmp_path):
    proc = tmp_path / "proc" if lines is None else process(tmp_path / "proc", lines)
    assert _of_control_groups(proc, tmp_path / "cgroup") is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is known")
def test_the_machines_memory_is_told():
    assert 10**7 < (free() or 0) < 10**14


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
def test_a_limit_of_addresses_counts():
    code = (
        "import resource; from jnst.memory import free, _from_status as status; size = status('VmSize'); "
        "resource.setrlimit(resource.RLIMIT_AS, (size + 10**8, size + 10**8)); print(free())"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 9 * 10**7 < int(child.stdout) <= 10**8


@pytest.fixture
def real_group():
    """A control group of 300 MB, where this machine lets one be made; its file of processes."""
    for root, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        folder = Path("/sys/fs/cgroup") / root / f"jnst-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                (folder / limit).write_text(str(3 * 10**8))
                yield folder / "cgroup.procs"
            finally:
                folder.rmdir()
            return
    pytest.skip("no control group with a limit can be made here")


def test_a_real_group_counts(real_group):
    code = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); from jnst.memory import free; print(free())"
    child = subprocess.run([sys.executable, "-c", code, str(real_group)], capture_output=True, text=True, check=True)
    assert 2 * 10**8 < int(child.stdout) < 3 * 10**8


def test_every_limit_is_told_by_what_sets_it(tmp_path, monkeypatch):
    mounts = tmp_path / "cgroup"
    group(mounts, memory_current="999", memory_stat="")
    group(mounts / "pods", memory_max="5000\n", memory_current="3000\n", memory_stat="")
    group(mounts / "pods/one", memory_max="max\n", memory_current="1000\n", memory_stat="")
    monkeypatch.setattr(memory, "_PROC", process(tmp_path / "proc", "0::/pods/one\n"))
    monkeypatch.setattr(memory, "_MOUNTS", mounts)
    monkeypatch.setattr(memory.resource, "getrlimit", lambda which: (7000, 7000))
    found = limits()
    assert (found["control group"], found["address space"]) == (5000, 7000)
    assert sys.platform != "linux" or found["machine"] > 10**8
    (mounts / "pods/memory.max").write_text("max")
    monkeypatch.setattr(memory.resource, "getrlimit", lambda which: (memory.resource.RLIM_INFINITY, 7000))
    assert set(limits()) <= {"machine"}
