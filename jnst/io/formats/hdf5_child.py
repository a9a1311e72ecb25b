"""Reads one HDF5 file in a process of its own: `python hdf5_child.py FILE [MEMBER]`, asked over its standard input.

libhdf5 trusts what it reads: damaged files make it loop for ever, take all memory or crash, which nothing in the same
process can stop. This process may open no further file, take no more memory and compute no longer than a network needs;
when it dies, `jnst.io.formats.hdf5` says so in one line. First it writes a line of JSON: what the file says of itself
and its datasets. Then it answers each name (a line of JSON) by a line with a count of bytes, and these, float32.
"""

import codecs
import io
import json
import os
import resource
import signal
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

DEEPEST = 12
"""groups within groups; a group that holds itself has no end"""
MOST_ENTRIES = 20_000
LONGEST_TEXT = 2_000
MEMORY = 512 * 2**20
"""bytes beyond those of the start"""
LARGEST_MEMBER = 2**30
SECONDS = 1.0
"""of computing for the list, and again for the numbers, beside one for every 20 MB of them"""


class RefusedError(Exception):
    """What is wrong with the file, for the end of a line."""


def _restrict() -> None:
    """Gives up what reading does not need: other files, memory without end."""
    for encoding in ("ascii", "latin-1", "utf-8"):
        codecs.lookup(encoding)  # Python opens a file for each when it is first used
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor, descriptor))
    if os.path.exists("/proc/self/statm") or sys.platform == "linux":
        limit = MEMORY + _START
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _address_space() -> int:
    """Bytes of this process's addresses, where the system tells them."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**33


def _allow(seconds: float) -> None:
    """Lets the process compute so much longer, and be killed then: SIGPROF ends it also inside of libhdf5."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _datasets(group: h5py.Group, prefix: str = "") -> Iterator[tuple[str, h5py.Dataset]]:
    """The datasets of a file with their names; what leads out of the file is refused, not followed."""
    if prefix.count("/") > DEEPEST:
        raise RefusedError(f"{prefix[:80]} lies too deep for a layer; get the file again")
    for key in group:
        link, name = group.get(key, getlink=True), f"{prefix}{key}"
        if isinstance(link, h5py.ExternalLink):
            raise RefusedError(f"{name[:80]} is a link into another file; give one that holds its weights itself")
        if not isinstance(link, h5py.HardLink):
            continue
        item = group[key]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, f"{name}/")
        elif isinstance(item, h5py.Dataset):
            yield name, item


def _attributes(file: h5py.File) -> dict[str, str]:
    """What the file says of itself, in short texts."""
    said: dict[str, str] = {}
    for key in ("input", "source", "license", "sha256", "architecture"):
        if key in file.attrs:
            value = file.attrs[key]
            if not isinstance(value, str) or len(value) > LONGEST_TEXT:
                raise RefusedError(f"its attribute {key} is no short text; get the file again")
            said[key] = value
    return said


def _numbers_of(name: str, data: h5py.Dataset) -> np.ndarray:
    """A dataset's numbers, when they lie in this file."""
    if data.is_virtual or data.external:
        raise RefusedError(f"{name} has its numbers in another file; give one that holds its weights itself")
    if data.chunks and np.prod(data.chunks, dtype=object) > 4 * 10**6:
        raise RefusedError(f"{name} is packed in pieces larger than a layer; get the file again")
    return np.ascontiguousarray(data[()], "<f4")


def _serve(source: Any) -> None:
    """Lists the datasets of a file, then answers for each name that is asked."""
    out = sys.stdout.buffer

    def answer(line: dict[str, Any], data: Any = b"") -> None:
        out.write(json.dumps(line).encode() + b"\n")
        out.write(data)
        out.flush()

    with h5py.File(source, "r") as file:
        found: dict[str, h5py.Dataset] = {}
        for name, data in _datasets(file):
            if len(found) >= MOST_ENTRIES:
                raise RefusedError(f"it has more than {MOST_ENTRIES} datasets")
            found[name] = data
        entries = [(name, list(data.shape or ()) if data.shape is not None else [-1], _type_of(data))
                   for name, data in found.items()]  # fmt: skip
        answer({"entries": entries, "about": _attributes(file)})
        _allow(0)
        for line in sys.stdin.buffer:
            name = json.loads(line)
            size = int(found[name].size or 0) * 4
            _allow(SECONDS + size / 20e6)
            try:
                array = _numbers_of(name, found[name])
                _allow(0)
                answer({"bytes": array.nbytes}, array.data.cast("B") if array.size else b"")
            except (RefusedError, OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:
                answer({"error": str(error), "refused": isinstance(error, RefusedError)})


def _type_of(data: h5py.Dataset) -> str:
    """A dataset's type as `f4`, in whatever order of bytes; else by NumPy's code: its name would open a file."""
    dtype = data.dtype
    return f"f{dtype.itemsize}" if dtype.kind == "f" else dtype.str


def main() -> None:
    """Serves the file that the command line names; says what is wrong where it cannot be opened."""
    source: Any = sys.argv[1]
    try:
        _allow(SECONDS)
        if len(sys.argv) > 2:
            with zipfile.ZipFile(source) as archive:
                info = archive.getinfo(sys.argv[2])
                if info.file_size > min(LARGEST_MEMBER, 4 * info.compress_size + 2**20):
                    raise RefusedError(f"{sys.argv[2]} in it unpacks to more than weights do; get the file again")
                _allow(SECONDS + info.file_size / 20e6)
                source = io.BytesIO(archive.read(info))
        else:
            source = open(source, "rb")  # noqa: SIM115 (for as long as the process lives)
        _restrict()
        _allow(SECONDS)
        _serve(source)
    except RefusedError as error:
        print(json.dumps({"error": str(error), "refused": True}), flush=True)
    except Exception as error:  # libhdf5 and h5py raise nearly anything
        print(json.dumps({"error": str(error), "refused": False}), flush=True)


if __name__ == "__main__":
    _START = _address_space()
    main()
