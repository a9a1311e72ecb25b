"""Where jnst keeps what it can make or get again, and what it cannot. Imports nothing heavy."""

from pathlib import Path

import platformdirs


def cache_directory() -> Path:
    """Finds the user's cache directory for downloaded weights and compiled programs.

    Returns:
        `~/.cache/jnst` on Linux, or below XDG_CACHE_HOME; it need not exist.
    """
    return Path(platformdirs.user_cache_dir("jnst"))


def data_directory() -> Path:
    """Finds the user's directory for what the studio keeps.

    Returns:
        `~/.local/share/jnst` on Linux, or below XDG_DATA_HOME; it need not exist.
    """
    return Path(platformdirs.user_data_dir("jnst"))
