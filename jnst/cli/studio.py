"""`jnst studio`: a page in the browser of this machine, for pictures without a command line (docs/studio.md)."""

import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from jnst.cli.options import NoNegation, Options, WeightOptions, hint, local_path_arg
from jnst.cli.parsing import parse_command
from jnst.cli.terminal import log, say
from jnst.cli.weights import load_weights
from jnst.errors import InputError
from jnst.io.cache import data_directory
from jnst.io.paths import path_errors
from jnst.studio.server import is_local, open_studio

_MOST_PASSWORD = 1000


@dataclass(frozen=True)
class StudioOptions:
    """Open a page in the browser in which pictures are painted; it ends with Ctrl-C, and what waits is kept."""

    folder: Annotated[Path | None, local_path_arg, hint("FOLDER", "in the user's data")] = None
    """where images, results and the queue are kept"""
    port: int = 0
    """to listen at; 0: a free one"""
    host: str = "127.0.0.1"
    """address to listen at; another than this machine's own lets others in, and needs a password"""
    password_file: Annotated[Path | None, local_path_arg, hint("PATH", "none")] = None
    """a file whose first line is the password for other machines"""
    no_browser: NoNegation[bool] = False
    """only print the address"""
    weight: NoNegation[WeightOptions] = field(default_factory=WeightOptions)


def run(arguments: Sequence[str]) -> int:
    """Serves the page until it is ended.

    Args:
        arguments: without the command's name.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    given = parse_command(StudioOptions, arguments, name="studio")
    if not 0 <= given.port < 2**16:
        raise InputError(f"--port must be from 0 to 65535, got {given.port}")
    if given.weight.normalize_with is not None:
        raise InputError("`normalize_with` is of the command line alone; leave it out")
    password = "" if given.password_file is None else read_password(given.password_file)
    folder = given.folder or data_directory() / "studio"
    options = Options(weight=given.weight)
    with open_studio(
        folder, lambda: load_weights(options), host=given.host, port=given.port, password=password
    ) as studio:
        if not is_local(given.host):
            place = f"http://{given.host}:{studio.access.port}/"
            log(f"other machines can open {place} with any name and the password; they see and can delete everything, "
                "and what is sent is not encrypted: only for a network that you trust")  # fmt: skip
        say(f"{studio.address}  (pictures are kept in {folder}; Ctrl-C ends it)", quiet=False)
        if not given.no_browser:
            webbrowser.open(studio.address)
        studio.run()
        say("the studio ends after the step at work; what waits is kept", quiet=False)
    return 0


def read_password(path: Path) -> str:
    """Returns the first line of a file.

    Args:
        path: of the file.

    Raises:
        InputError: it cannot be read, or has no such line.
    """
    with path_errors(path):
        if not path.is_file():
            raise InputError(f"{path}: no such file; give one whose first line is the password")
        with path.open(encoding="utf-8", errors="replace") as file:
            password = file.readline(_MOST_PASSWORD).strip()
    if not password:
        raise InputError(f"{path} is empty; its first line is the password")
    return password
