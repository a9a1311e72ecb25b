"""The command `jnst`: parse, dispatch, exit code.

    jnst CONTENT STYLE [-o OUTPUT] [options]        one picture: `jnst.cli.single`
    jnst CONTENTS/ STYLES/ -o FOLDER [options]      many: `jnst.cli.many`
    jnst COMMAND ...                                what else it can do: `jnst.cli.commands`

Exit codes: 0 done; 1 the loss left the finite numbers, or some of many pictures failed; 2 something given cannot be
used, or the picture is not where it should be; 130, 143 and 129 stopped by Ctrl-C, SIGTERM and SIGHUP. What cannot be
used is said in one line before anything is computed or written. JAX is imported only after the first checks.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import metadata

from jnst.cli.checks import require_common
from jnst.cli.commands import is_command, run_command
from jnst.cli.config_file import parse_with_config, require_config_place, write_settings
from jnst.cli.interrupts import exit_code
from jnst.cli.many import is_batch, run_batch
from jnst.cli.options import MISSING_PATH, Options
from jnst.cli.parsing import list_presets, render
from jnst.cli.single import run_single
from jnst.cli.tars import is_tars, run_tars
from jnst.cli.terminal import lenient_streams, log
from jnst.errors import InputError, single_line


class _Lines(logging.Handler):
    """Prints what the package logs as all other lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a record.

        Args:
            record: of one line.
        """
        log(record.getMessage())


_lines = _Lines(logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: without the program's name; None: those of this process.

    Returns:
        The exit code.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's own remarks; its errors come as exceptions all the same
    with lenient_streams():
        try:
            return run(arguments)
        except InputError as error:
            log(render(error))
            return 2
        except OSError as error:  # of a question about a path, or of a machine without room
            log(": ".join([*([str(error.filename)] if error.filename else []), single_line(error)]))
            return 2
        except KeyboardInterrupt:
            log("interrupted; no picture was written")
            return exit_code(signal.SIGINT)


def run(arguments: Sequence[str] | None) -> int:
    """Does what the command line asks for.

    Args:
        arguments: without the program's name; None: those of this process.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.getLogger("jnst").addHandler(_lines)
    if is_command(arguments):
        return run_command(arguments)
    options = parse_with_config(arguments)
    _lines.setLevel(logging.ERROR if options.report.quiet else logging.WARNING)
    if options.report.version:
        print(f"jnst {version()}")
    elif options.preset.list_presets:
        print(list_presets())
    else:
        return paint(options)
    return 0


def paint(options: Options) -> int:
    """Paints one picture or many, and writes the settings where that is asked for; these alone where no image is given.

    Args:
        options: of the command line.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used; then no settings are written.
    """
    first = options.batch.process == 0  # of several, one writes
    place, code = options.setting.save_config if first else None, 0
    many = run_tars if is_tars(options) else run_batch if is_batch(options) else None
    if place:
        require_common(options)
        require_config_place(options, place)
    if place is None or many or options.content != MISSING_PATH:
        code = (many or run_single)(options)
    if place and code != 2:
        write_settings(options, place)
    return code


def version() -> str:
    """Returns the version that is installed; "unknown" for a checkout that is not."""
    try:
        return metadata.version("jnst")
    except metadata.PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
