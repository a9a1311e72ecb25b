"""Style files, `NAME.style.h5`: what is compared with a painting, at every size, as float32 in HDF5.

A dataset a leaf, `SIDE/TERM/...`; what is the same at all sizes stands at the largest only. They are read as weight
files are, by a process of its own, since they are passed from hand to hand.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnst.errors import InputError
from jnst.io.atomic import write_whole
from jnst.io.formats.contents import MOST_NUMBERS, one_line
from jnst.io.formats.hdf5 import open_hdf5
from jnst.io.paths import AnyPath
from jnst.io.stores import is_object

SUFFIX = ".style.h5"
FORMAT = 1
MOST_IN_ALL = 10**8
"""numbers in one file: eleven sizes of VGG-19's style layers have 7 million"""
Nested = Mapping[str, Any]
"""arrays by name, or further ones by name"""


def is_style_file(path: AnyPath) -> bool:
    """Returns whether a path has the ending of style files.

    Args:
        path: of a painting, or of one's statistics.
    """
    return path.name.lower().endswith(SUFFIX)


def write_style(path: AnyPath, sizes: Mapping[int, Nested], about: Mapping[str, Any], *, sha256: str) -> None:
    """Writes a style file: the whole file or nothing.

    Args:
        path: ends in `.style.h5`.
        sizes: longer side in pixels -> arrays.
        about: the painting, as JSON has it; short.
        sha256: of the network's weights.

    Raises:
        InputError: another ending, or a place that cannot be written.
    """
    import h5py  # not at the top: reading does not need it here

    if not is_style_file(path):
        raise InputError(f"{path} must end in {SUFFIX}")

    def write(file: Any) -> None:
        with h5py.File(file, "w") as data:
            data.attrs["source"] = json.dumps({"style": FORMAT, **about})
            data.attrs["sha256"] = sha256
            first = _leaves(sizes[max(sizes)])
            for side in sorted(sizes, reverse=True):
                for name, leaf in _leaves(sizes[side]).items():
                    if side == max(sizes) or not np.array_equal(leaf, first[name]):
                        data.create_dataset(f"{side}/{name}", data=leaf, compression="gzip", shuffle=True)

    write_whole(path, write)


def read_style(path: AnyPath) -> tuple[dict[int, dict[str, Any]], dict[str, Any], str]:
    """Reads a style file.

    Args:
        path: of a file on this machine.

    Returns:
        Arrays by the longer side, what is said of the painting, and the checksum of the weights.

    Raises:
        InputError: no such file, or one that is damaged or none.
    """
    if is_object(path) or not isinstance(path, Path):
        raise InputError(f"{path}: style files are read from this machine; copy it here")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with open_hdf5(path) as contents:
            about = json.loads(contents.about.get("source", "null"))
            if not isinstance(about, dict) or about.get("style") != FORMAT:
                raise InputError(f"{path} is no style file of this version; make it by `jnst style`")
            total, flat = 0, dict[int, dict[str, np.ndarray]]()
            for name, entry in contents.entries.items():
                side, _, rest = name.partition("/")
                count = int(np.prod(entry.shape))
                total += count
                if not (side.isdecimal() and rest and 0 < count <= MOST_NUMBERS and total <= MOST_IN_ALL):
                    raise InputError(f"{path} is damaged: {one_line(name)} is none of a style's arrays")
                flat.setdefault(int(side), {})[rest] = entry.read()
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputError(f"{path} is damaged ({one_line(str(error))}); get the file again") from None
    if not flat or not all(np.isfinite(leaf).all() for leaves in flat.values() for leaf in leaves.values()):
        raise InputError(f"{path} is damaged: it lacks numbers; get the file again")
    first = flat[max(flat)]
    shapes = {name: leaf.shape for name, leaf in first.items()}
    if any(shapes.get(name) != leaf.shape for own in flat.values() for name, leaf in own.items()):
        raise InputError(f"{path} is damaged: its sizes do not agree; get the file again")
    return {side: _nested({**first, **own}) for side, own in flat.items()}, about, contents.about.get("sha256", "")


def _leaves(nested: Nested, prefix: str = "") -> dict[str, np.ndarray]:
    """Arrays by their paths; a slash in a name is a bar."""
    flat: dict[str, np.ndarray] = {}
    for name, value in nested.items():
        path = prefix + name.replace("/", "|")
        flat |= _leaves(value, f"{path}/") if isinstance(value, Mapping) else {path: np.asarray(value, np.float32)}
    return flat


def _nested(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, leaf in flat.items():
        *folders, last = (part.replace("|", "/") for part in path.split("/"))
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = leaf
    return nested
