"""How a picture is computed where the memory is short, as the command line chooses it: `--plan`, `--max-memory`."""

from typing import TYPE_CHECKING

from jnst.chips import CHIPS
from jnst.cli.checks import parse_bytes
from jnst.cli.options import Options
from jnst.cli.terminal import log
from jnst.config import Config

if TYPE_CHECKING:
    from jnst.cli.painting import Prepared


def memory_limit(options: Options) -> int | None:
    """Returns the bytes that a run may take: what the user allows, else what is free; None where nobody knows.

    Args:
        options: of the command line.
    """
    from jnst.capacity import available

    return parse_bytes(options.machine.max_memory) if options.machine.max_memory else available()


def print_plan(options: Options, prepared: "Prepared") -> int:
    """Prints what the run would take, and paints nothing.

    Args:
        options: of the command line.
        prepared: the picture.

    Returns:
        The exit code: 2 where no way of computing fits the memory.
    """
    args = prepared.config, prepared.weights.params, prepared.images.size
    if options.machine.for_chip:
        from jnst import roofline

        chip, most = CHIPS[options.machine.for_chip], options.machine.max_memory
        lines, fits = roofline.report(chip, *args, min(parse_bytes(most), chip.memory) if most else chip.memory)
    else:
        from jnst.strategies import report

        lines, fits = report(*args, memory_limit(options), mesh=prepared.mesh)
    print("\n".join(lines))
    return 0 if fits else 2


def choose_strategy(options: Options, prepared: "Prepared") -> Config:
    """Returns the settings with the fastest way of computing that the memory allows.

    Args:
        options: of the command line.
        prepared: the picture.

    Raises:
        InputError: none does.
    """
    from jnst.capacity import obviously_fits
    from jnst.strategies import cheapest_that_fits

    limit, size = memory_limit(options), prepared.images.size
    if limit is None or (not options.machine.max_memory and obviously_fits(size[0] * size[1], limit)):
        return prepared.config
    strategy = cheapest_that_fits(prepared.config, prepared.weights.params, size, limit, mesh=prepared.mesh)
    if strategy.name != "plain":
        gigabytes = f"{strategy.peak / 1e9:.1f} GB, to fit {limit / 1e9:.1f} GB"
        log(f"computing by {strategy.name}, {gigabytes}", quiet=options.report.quiet)
    return strategy.config
