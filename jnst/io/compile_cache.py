"""Programs, kept in the user's cache directory, so that a second picture of a size need not be compiled.

JAX keeps what XLA has compiled; what it is compiled from (`jnst.programs`) lies beside, as bytes with their checksum.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import jax

from jnst.io import atomic
from jnst.io.cache import cache_directory

MAX_BYTES = 2**28  # the least recently used programs go first; one picture size takes about 1 MB on the CPU
MAX_PROGRAMS = 400  # before they are compiled, of 50 to 200 kB each

_folder: Path | None = None


def keep_compiled() -> None:
    """Turns JAX's persistent compilation cache on, in `cache_directory() / "compiled"`, for this process.

    Does nothing where the user has decided: with JAX_ENABLE_COMPILATION_CACHE=false, with a directory of their own
    (JAX_COMPILATION_CACHE_DIR), or where the directory cannot be written. Several processes may share the directory:
    reading and writing are locked.
    """
    global _folder
    settings: Any = jax.config
    if not settings.jax_enable_compilation_cache or settings.jax_compilation_cache_dir:
        return
    directory = cache_directory() / "compiled"
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".lockfile").touch()
        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.02)
        programs = cache_directory() / "programs"
        programs.mkdir(exist_ok=True)
        _folder = programs


def keeps_programs() -> bool:
    """Returns whether programs are kept in this process."""
    return _folder is not None


def read_program(key: str) -> bytes | None:
    """Reads a program that was kept.

    Args:
        key: of `write_program`, fit for a file name.

    Returns:
        Its bytes; None where there is none, or a damaged one.
    """
    if _folder is None:
        return None
    path = _folder / key
    try:
        data = path.read_bytes()
        path.touch()  # used: it goes last
    except OSError:
        return None
    checksum, program = data[:32], data[32:]
    return program if hashlib.sha256(program).digest() == checksum else None


def write_program(key: str, program: bytes) -> None:
    """Keeps a program, and of all the MAX_PROGRAMS last used; does without where the directory cannot be written.

    Args:
        key: fit for a file name.
        program: its bytes.
    """
    if _folder is None:
        return
    with contextlib.suppress(OSError, atomic.UnwritableError):
        atomic.write_whole(_folder / key, lambda file: file.write(hashlib.sha256(program).digest() + program))
        kept = sorted(_folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in kept[:-MAX_PROGRAMS]:
            path.unlink(missing_ok=True)
