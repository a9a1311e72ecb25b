"""Compiled programs, kept in the user's cache directory, so that a second picture of a size need not be compiled."""

import contextlib
from typing import Any

import jax

from jnst.io.cache import cache_directory

MAX_BYTES = 2**28  # the least recently used programs go first; one picture size takes about 1 MB on the CPU


def keep_compiled() -> None:
    """Turns JAX's persistent compilation cache on, in `cache_directory() / "compiled"`, for this process.

    Does nothing where the user has decided: with JAX_ENABLE_COMPILATION_CACHE=false, with a directory of their own
    (JAX_COMPILATION_CACHE_DIR), or where the directory cannot be written. Several processes may share the directory:
    reading and writing are locked.
    """
    settings: Any = jax.config
    if not settings.jax_enable_compilation_cache or settings.jax_compilation_cache_dir:
        return
    directory = cache_directory() / "compiled"
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".lockfile").touch()
        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
