"""The commands beside painting: `jnst NAME ...`, each a module of this package with `run(arguments) -> exit code`."""

import importlib
from collections.abc import Sequence

COMMANDS: dict[str, tuple[str, str]] = {
    "style": ("jnst.cli.style", "makes a style file, for use wherever a painting is"),
    "doctor": ("jnst.cli.doctor", "what is installed, what works, and what to do about the rest"),
    "frames": ("jnst.cli.frames", "paints every frame of a clip in the manner of a painting"),
    "studio": ("jnst.cli.studio", "a page in the browser in which pictures are painted"),
    "replay": ("jnst.cli.replay", "paint a picture again by the recipe in it, and compare"),
}
"""name -> its module, and what it does, for `--help`"""


def is_command(arguments: Sequence[str]) -> bool:
    """Returns whether a command line is one of these; a file of such a name is given as `./NAME`.

    Args:
        arguments: without the program's name.
    """
    return bool(arguments) and arguments[0] in COMMANDS


def run_command(arguments: Sequence[str]) -> int:
    """Runs one.

    Args:
        arguments: without the program's name; the first is the command's.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    name, *rest = arguments
    return importlib.import_module(COMMANDS[name][0]).run(rest)
