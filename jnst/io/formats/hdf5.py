"""HDF5 files of any layout: read by a process of its own (`hdf5_child` says why), written as jnst's or Keras's."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from jnst.errors import InputError
from jnst.io.formats.contents import Contents, Entry, one_line
from jnst.io.formats.table import Table, detect_architecture

_CHILD = Path(__file__).with_name("hdf5_child.py")
_PATIENCE = 30.0
"""seconds without an answer; the child's own limit is in seconds of computing, so that a slow disk is none"""
_LONGEST_LINE = 2**23


@contextlib.contextmanager
def open_hdf5(path: Path, *, member: str | None = None) -> Iterator[Contents]:
    """Opens an HDF5 file.

    Args:
        path: the file.
        member: of a zip file: which of its files is meant.

    Yields:
        Its arrays.

    Raises:
        InputError: one that is damaged, leads into other files, or asks for more than weights need.
    """
    command = [sys.executable, "-P", str(_CHILD), str(path), *([member] if member else [])]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
    environment.pop("PYTHONFAULTHANDLER", None)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment) as child:
        try:
            yield _contents(path, child)
        finally:
            child.kill()


def _contents(path: Path, child: subprocess.Popen[bytes]) -> Contents:
    assert child.stdin is not None
    assert child.stdout is not None
    ask, tell = child.stdin, child.stdout
    said = _answer(path, child, tell)

    def entry(name: str, shape: list[int], dtype: str) -> Entry:
        def read() -> np.ndarray:
            ask.write(json.dumps(name).encode() + b"\n")
            ask.flush()
            count = _answer(path, child, tell)["bytes"]
            data = tell.read(count)
            if len(data) != count:
                raise EOFError("its numbers are cut off")
            return np.frombuffer(data, "<f4").reshape(shape)

        return Entry(tuple(shape), dtype, read)

    return Contents({name: entry(name, shape, dtype) for name, shape, dtype in said["entries"]}, said["about"])


def _answer(path: Path, child: subprocess.Popen[bytes], tell: IO[bytes]) -> dict[str, Any]:
    """The child's next line; where it died or hangs, the file is told to be damaged."""
    alarm = threading.Timer(_PATIENCE, child.kill)
    alarm.start()
    try:
        line = tell.readline(_LONGEST_LINE)
    finally:
        alarm.cancel()
    if not line.endswith(b"\n"):
        raise InputError(f"{path} is damaged: the HDF5 library does not get through it; get the file again")
    said = json.loads(line)
    if "error" in said:
        text = one_line(said["error"])
        raise InputError(f"{path}: {text}") if said["refused"] else ValueError(text)
    return said


def write_hdf5(table: Table, path: Path) -> None:
    """Writes jnst's layout: a group a layer, the rest as attributes.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    import h5py  # not at the top: reading does not need it here

    with h5py.File(path, "w") as file:
        file.attrs["architecture"] = detect_architecture(table.layers)
        for key in ("input", "source", "sha256", "license"):
            file.attrs[key] = getattr(table, key)
        for name, layer in table.layers.items():
            for part, array in layer.items():
                file[f"{name}/{part}"] = array


def write_keras(table: Table, path: Path) -> None:
    """Writes the layout of Keras's own file of VGG.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    import h5py  # not at the top: reading does not need it here

    with h5py.File(path, "w") as file:
        names = ["block{}_conv{}".format(*re.findall(r"\d", name)) for name in table.layers]
        file.attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["input"] = table.input
        for name, layer in zip(names, table.layers.values(), strict=True):
            group = file.create_group(name)
            parts = {f"{name}_{'W' if part == 'kernel' else 'b'}_1:0": array for part, array in layer.items()}
            group.attrs["weight_names"] = [part.encode() for part in parts]
            for part, array in parts.items():
                group[part] = array
