"""How much memory this process has, and has had at most."""

import contextlib
import re
import resource
import sys
from pathlib import Path


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


def _from_status(key: str) -> int | None:
    """Bytes of a line of /proc/self/status; None where there is none."""
    with contextlib.suppress(OSError):
        match = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if match:
            return 1024 * int(match[1])
    return None
