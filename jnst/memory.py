"""How much memory this process has, has had at most, and may still take: of the machine, of its container."""

import contextlib
import ctypes
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

NO_LIMIT = 2**60  # bytes
_PROC, _MOUNTS = Path("/proc/self"), Path("/sys/fs/cgroup")


def peak_of_process() -> int:
    """Returns the most bytes that this process has held at once.

    Linux's own figure where there is one, since `ru_maxrss` there begins with that of the parent process.
    """
    peak = _from_status("VmHWM")
    if peak is not None:
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def resident() -> int:
    """Returns the resident set size in bytes; on systems without /proc, the peak resident set size."""
    size = _from_status("VmRSS")
    return peak_of_process() if size is None else size


def give_back() -> None:
    """Gives back to the system what glibc keeps and nothing uses: after compiling, 0.4 to 0.8 GB."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def free() -> int | None:
    """Returns the bytes that this process may still take.

    The least of what the machine has, what the control groups above the process leave (containers and batch systems, of
    either version), and what its own limit of addresses does; None where the system tells none of them.
    """
    amounts = (_of_machine(), _of_control_groups(), _of_address_space())
    return min((amount for amount in amounts if amount is not None), default=None)


def limits() -> dict[str, int]:
    """Returns the bytes that there are at the most, by what sets the limit; what the system does not tell is left out.

    Returns:
        Of `machine`, `control group` (the least generous one), `address space` (`ulimit -v`).
    """
    groups = [int(most) for group, (limit, *_) in _control_groups(_PROC, _MOUNTS) if (most := _limit_of(group / limit))]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    found = {"machine": _from_meminfo("MemTotal"), "control group": min(groups, default=None),
             "address space": None if soft == resource.RLIM_INFINITY else soft}  # fmt: skip
    return {name: most for name, most in found.items() if most is not None}


def _of_machine() -> int | None:
    return _from_meminfo("MemAvailable")


def _from_meminfo(key: str) -> int | None:
    with contextlib.suppress(OSError):
        match = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        if match:
            return 1024 * int(match[1])
    return None


def _of_address_space() -> int | None:
    """What RLIMIT_AS leaves (`ulimit -v`)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _from_status("VmSize")
    return None if soft == resource.RLIM_INFINITY or used is None else max(0, soft - used)


def _of_control_groups(proc: Path = _PROC, mounts: Path = _MOUNTS) -> int | None:
    """What the least generous control group leaves, the process's own or one above it.

    Args:
        proc: what the system tells of this process.
        mounts: where control groups are mounted.
    """
    left = [bytes_ for group, names in _control_groups(proc, mounts) for bytes_ in _left_in(group, *names)]
    return min(left, default=None)


def _control_groups(proc: Path, mounts: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The folders of the groups that this process is in, with the names of limit, usage and what is reclaimable."""
    try:
        lines = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            root, names = mounts, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = mounts / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # within a container the group's own path may not be mounted, but the group itself is, at the root
        group = root / path.lstrip("/")
        while root == group or root in group.parents:
            yield group, names
            group = group.parent


def _limit_of(file: Path) -> int | None:
    """Bytes; None where there is no limit: "max", or in version 1 a number near 2^63."""
    try:
        most = file.read_text().strip()
    except OSError:
        return None
    return int(most) if most.isdecimal() and int(most) < NO_LIMIT else None


def _left_in(group: Path, limit: str, usage: str, reclaimable: str) -> list[int]:
    """What one group leaves; what it holds of files that nobody uses is given back when it is needed."""
    most = _limit_of(group / limit)
    try:
        used = int((group / usage).read_text())
        cached = re.search(rf"^{reclaimable} (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return []
    return [] if most is None else [max(0, most - used + (int(cached[1]) if cached else 0))]


def _from_status(key: str) -> int | None:
    """Bytes of a line of /proc/self/status; None where there is none."""
    with contextlib.suppress(OSError):
        match = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if match:
            return 1024 * int(match[1])
    return None
