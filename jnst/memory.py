"""How much memory this process has, has had at most, and may have."""

import contextlib
import re
import resource
import sys
from pathlib import Path

from jnst.errors import InputError


def peak_of_process() -> int:
    """Bytes; Linux's own figure where there is one, since `ru_maxrss` there begins with that of the parent process."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def resident() -> int:
    """Bytes that this process holds now; what it had at most where the system does not tell."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return 1024 * int(found[1])
    return peak_of_process()


def parse_bytes(text: str) -> int:
    """Bytes of `6GB`, `800MB`, `2.5GiB` or a plain number.

    Raises:
        InputError: anything else.
    """
    units = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([a-zA-Z]*)", text.strip())
    if not match or match[2].upper() not in units or float(match[1]) <= 0:
        raise InputError(f"--max-memory must be a size like 6GB or 800MB, got {text}")
    return int(float(match[1]) * units[match[2].upper()])
