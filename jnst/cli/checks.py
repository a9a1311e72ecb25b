"""What is refused before anything is computed: inputs, outputs, folders, numbers. One function for each kind.

All raise `InputError` in one line. Names in backticks are options (`jnst.errors`). Needs no JAX.
"""

import contextlib
import os
import re
import sys
from collections.abc import Set
from pathlib import Path

from jnst.chips import CHIPS
from jnst.cli.options import Options
from jnst.cli.parsing import make_config
from jnst.errors import InputError
from jnst.io import image
from jnst.io.encode import Writing
from jnst.io.paths import UNFINISHED, AnyPath, canonical, is_folder, path_errors, require_file
from jnst.io.pipes import STANDARD_INPUT, STANDARD_OUTPUT, is_special
from jnst.io.stores import is_object
from jnst.network.architecture import MIN_SIDE

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def require_image(path: AnyPath) -> None:
    """Refuses a path where no file is.

    Args:
        path: of an image to read.

    Raises:
        InputError: nothing there, a folder, or a store that cannot be reached.
    """
    require_file(path)


def require_jobs_file(path: AnyPath) -> None:
    """Refuses a path where no file is.

    Args:
        path: of a list of jobs.

    Raises:
        InputError: no file there, or a store that cannot be reached.
    """
    with path_errors(path):
        if not path.is_file():
            raise InputError(f"{path}: no such file; give a .csv, .tsv or .jsonl file of jobs")


def require_output(
    path: AnyPath,
    *,
    option: str = "output",
    inputs: Set[AnyPath] = frozenset(),
    overwrite: bool = False,
    present: Set[str] | None = None,
    as_image: bool = True,
    writing: Writing = Writing(),  # noqa: B008 - frozen
    probe: bool = True,
) -> None:
    """Refuses a place where a file must not, or cannot, be written.

    Args:
        path: of the file to write.
        option: that names it.
        inputs: canonical paths that are read, or written as something else.
        overwrite: whether an existing file may be replaced.
        present: the names that the folder holds, where they are known already (a store takes long to tell of each).
        as_image: whether its extension must be that of an image format.
        writing: how the picture is written.
        probe: whether to try if the folder can be written.

    Raises:
        InputError: an unknown extension, an input, a folder, an existing file, a folder that is missing or read-only.
    """
    if path == STANDARD_OUTPUT:
        return
    if as_image:
        image.require_image_format(path, writing=writing)
    if canonical(path) in inputs:
        raise InputError(f"{path} is also an input or another output; give another `{option}`")
    _require_name(path, option)
    if present is None:
        with path_errors(path):
            if path.is_dir():
                raise InputError(f"{path} is a directory; give the path of a file to write")
            if isinstance(path, Path) and is_special(path):
                raise InputError(f"{path} is a pipe or a device; give the path of a file to write")
            exists = path.exists()
    else:
        exists = path.name in present
    if exists and not overwrite:
        raise InputError(f"{path} exists; give `overwrite` to replace it, or another `{option}`")
    if probe:
        image.require_writable_folder(path)


def _require_name(path: AnyPath, option: str) -> None:
    """Refuses a name that is longer than the file system takes, or is swept as that of an unfinished file."""
    if path.name.startswith(UNFINISHED):
        raise InputError(f"{path} has a name of unfinished files, {UNFINISHED}...; give another `{option}`")
    most, length = 255, len(os.fsencode(path.name))
    if not is_object(path):
        with contextlib.suppress(OSError):  # a folder that is made later
            most = os.pathconf(path.parent, "PC_NAME_MAX")
    if length > most:
        shown = f"{path.name[:24]}...{path.suffix}"
        raise InputError(
            f"the name {shown} has {length} bytes, and a file's may have {most}; give another `{option}`, or shorter "
            "names to the images"
        )


def require_streams(options: Options) -> None:
    """Refuses standard input and output where they cannot hold a picture.

    Args:
        options: of the command line.

    Raises:
        InputError: two pictures on one input, a terminal, pictures in between that have no name.
    """
    if STANDARD_INPUT == options.content == options.style and all(make_config(options).active_losses()):
        raise InputError("standard input is one picture; give the path of the photograph or of the painting")
    if STANDARD_INPUT in (options.content, options.style) and os.isatty(0):
        raise InputError("standard input is a terminal; send a picture to it, as by < photo.jpg")
    if options.file.output != STANDARD_OUTPUT:
        return
    if options.report.save_every:
        raise InputError("`save_every` needs a file as `output`, not standard output; give one")
    if sys.__stdout__ is None or os.isatty(1):
        raise InputError("standard output is no place for a picture here; give a file as `output`, or a pipe")


def require_output_folder(path: AnyPath | None) -> AnyPath:
    """Refuses a place that can be no folder of results.

    Args:
        path: what `--output` names; it need not exist yet.

    Returns:
        The path.

    Raises:
        InputError: none is given, or it is a file, or in one.
    """
    if path is None or path == STANDARD_OUTPUT:
        raise InputError("many pictures need a folder: give -o FOLDER")
    require_folder_place(path, option="-o")
    return path


def require_folder_place(path: AnyPath, *, option: str) -> None:
    """Refuses a place that is no folder and where none can be made; makes none.

    Args:
        path: it need not exist yet.
        option: that names it.

    Raises:
        InputError: it is a file, or in one, or in a folder that cannot be written.
    """
    with path_errors(path):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file; many pictures need a folder: give another {option}")
        if is_object(path) or path.exists():
            return
        there = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not there.is_dir():
        raise InputError(f"{path} cannot be made ({there} is no folder); give another {option}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be made ({there} is read-only); give another {option}")


def require_sizes(image_size: int, style_scale: float) -> None:
    """Refuses sizes out of range.

    Args:
        image_size: longer side of the result in pixels; 0: the content's.
        style_scale: longer side of the style image over the result's.

    Raises:
        InputError: a side under 32 pixels, or a scale that is not above 0 and at most 100.
    """
    if image_size != 0 and image_size < MIN_SIDE:
        raise InputError(f"`image_size` must be at least {MIN_SIDE}, or 0 for the content's size, got {image_size}")
    if not 0 < style_scale <= 100:
        raise InputError(f"`style_scale` must be above 0 and at most 100, got {style_scale}")


def require_at_least(low: int, **numbers: int) -> None:
    """Refuses numbers that are too small.

    Args:
        low: the least that each may be.
        numbers: by the names of their options.

    Raises:
        InputError: naming the first that is too small.
    """
    for name, number in numbers.items():
        if number < low:
            raise InputError(f"`{name}` must be at least {low}, got {number}")


def require_common(options: Options) -> None:
    """Refuses what neither a single picture nor a batch can have.

    Args:
        options: of the command line.

    Raises:
        InputError: sizes or memory out of range, `--normalize-with` that stands alone or names no folder, or `--for`
            that stands alone or names no known chip.
    """
    chip = options.machine.for_chip
    if chip is not None:
        if chip not in CHIPS:
            raise InputError(f"--for must be one of {', '.join(CHIPS)}, got {' '.join(chip.split())[:40]}")
        if not options.machine.plan:
            raise InputError("--for needs `plan`, which paints nothing; give both, or neither")
    require_sizes(options.file.image_size, options.file.style_scale)
    if options.machine.max_memory:
        parse_bytes(options.machine.max_memory)
    folder = options.weight.normalize_with
    if folder is not None and not options.layer.normalize_filters:
        raise InputError("`normalize_with` needs `normalize_filters`; give both")
    if folder is not None and not is_folder(folder):
        raise InputError(f"{folder} is no folder; `normalize_with` needs one with images")


def parse_bytes(text: str) -> int:
    """Returns the bytes that a size names.

    Args:
        text: `6GB`, `800MB`, `2.5GiB` or a plain number.

    Raises:
        InputError: anything else.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([a-zA-Z]*)", text.strip())
    if not match or match[2].upper() not in _UNITS or float(match[1]) <= 0:
        raise InputError(f"`max_memory` must be a size like 6GB or 800MB, got {text}")
    return int(float(match[1]) * _UNITS[match[2].upper()])
