"""What is refused of `--engine`, `--address` and `--workers` before anything is computed."""

import re

from jnst.cli.checks import require_at_least
from jnst.cli.options import BatchOptions
from jnst.errors import InputError
from jnst.io.optional import EXTRAS, find, install


def require_engine(batch: BatchOptions) -> None:
    """Refuses an engine that is not there, or options that do not go with it.

    Args:
        batch: options of the command line.

    Raises:
        InputError: naming the option.
    """
    if batch.engine != "ray":
        for name in ("address", "workers"):
            if getattr(batch, name):
                raise InputError(f"`{name}` is of a Ray cluster; give `engine` ray too, or leave it out")
        return
    if batch.shard is not None or batch.coordinator is not None or (batch.process, batch.processes) != (0, 1):
        raise InputError(
            "`engine` ray shares the pictures itself; leave out `shard`, `coordinator`, `processes` and `process`"
        )
    require_at_least(0, workers=batch.workers)
    if batch.address not in (None, "auto") and not re.fullmatch(r"[^/\s]+:\d{1,5}", batch.address):
        raise InputError(f"`address` {batch.address}: give HOST:PORT of the cluster's head, such as 10.0.0.1:6379")
    if find("ray") is None:
        raise InputError(f"`engine` ray needs a further package: {install(EXTRAS['ray'])}")
