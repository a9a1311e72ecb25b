"""How much memory this process has had at most."""

import contextlib
import re
import resource
import sys
from pathlib import Path


def peak_of_process() -> int:
    """Bytes; Linux's own figure where there is one, since `ru_maxrss` there begins with that of the parent process."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
