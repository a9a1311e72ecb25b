"""Several processes or machines that share a batch, by JAX's own runtime (`jax.distributed`)."""

from jnst.cli.options import Options
from jnst.cli.shards import Share

WAIT_SECONDS = 7 * 24 * 3600
"""how long a finished process waits at `jax.distributed.shutdown`: process 0 hosts the coordinator and must outlive the
others"""


def join_processes(options: Options) -> Share:
    """Joins the other processes by JAX's own runtime, where there are any.

    Args:
        options: of the command line.

    Returns:
        The part of the jobs that is this one's.
    """
    batch = options.batch
    if batch.coordinator is None:
        return Share(batch.process, batch.processes)
    import jax

    if batch.coordinator == "auto":
        jax.distributed.initialize(shutdown_timeout_seconds=WAIT_SECONDS)
    else:
        jax.distributed.initialize(
            batch.coordinator, batch.processes, batch.process, shutdown_timeout_seconds=WAIT_SECONDS
        )
    return Share(jax.process_index(), jax.process_count())


def leave_processes(options: Options) -> None:
    """Waits until all processes are done.

    Args:
        options: of the command line.
    """
    if options.batch.coordinator is not None:
        import jax

        jax.distributed.shutdown()
