"""Which part of a batch this process does, without a word to the others: `--shard`, or what JAX's runtime says.

A shard holds the jobs whose output's name has its number as a hash, so that it is the same wherever it runs, and a
rerun with more or fewer shards finds in the manifests of all what is done.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jnst.cli.jobfile import BatchRow
from jnst.cli.options import BatchOptions
from jnst.errors import InputError


@dataclass(frozen=True)
class Variables:
    """Names of environment variables by which a scheduler tells a task which of how many it is."""

    index: str
    count: str = ""
    """empty: it tells no number"""
    first: str = ""
    """the number of the first task, where that need not be 0"""
    step: str = ""
    """from one task's number to the next, where that need not be 1"""


SCHEDULERS: dict[str, Variables] = {
    "SLURM array": Variables(
        "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"
    ),
    "AWS Batch array": Variables("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    "Cloud Run job": Variables("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"),
    "Google Cloud Batch": Variables("BATCH_TASK_INDEX", "BATCH_TASK_COUNT"),
    "SkyPilot pool": Variables("SKYPILOT_JOB_RANK", "SKYPILOT_NUM_JOBS"),
    "SkyPilot nodes": Variables("SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES"),
    "Kubernetes indexed job": Variables("JOB_COMPLETION_INDEX"),
}
"""asked in this order: what runs on top of another one is the finer"""


@dataclass(frozen=True)
class Share:
    """A part of the jobs."""

    index: int = 0
    count: int = 1
    by_name: bool = False
    """by a hash of each output's name; otherwise every `count`-th row"""

    @property
    def part(self) -> str:
        """What its manifest is called by; empty for the whole."""
        return "" if self.count == 1 else f"{self.index}-of-{self.count}" if self.by_name else str(self.index)

    def of(self, rows: Sequence[BatchRow]) -> Sequence[BatchRow]:
        """Returns the rows that are this part's.

        Args:
            rows: of the whole batch.
        """
        if self.by_name:
            return [row for row in rows if self.has(row.output.name)]
        return rows[self.index :: self.count]

    def has(self, name: str) -> bool:
        """Tells whether a job of that name is this part's, where parts go by names.

        Args:
            name: of its output.

        Returns:
            True for one of all parts.
        """
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % self.count == self.index


def require_share(batch: BatchOptions, *, environment: Mapping[str, str] = os.environ) -> Share | None:
    """Returns the part that `--shard` names.

    Args:
        batch: options of the command line.
        environment: variables of the process.

    Returns:
        None where the option is not given.

    Raises:
        InputError: no such part, one that no scheduler tells, or `coordinator` beside it.
    """
    if batch.shard is None:
        return None
    if batch.coordinator is not None or (batch.process, batch.processes) != (0, 1):
        raise InputError("`shard` stands without `coordinator`, `processes` and `process`; give one way to share")
    if batch.contact_sheet:
        raise InputError(
            "`contact_sheet` shows all results and a shard has a part; give it in a last run without `shard`"
        )
    which, _, count = batch.shard.partition("/")
    if which == "auto":
        return _told(count, environment)
    return Share(*_checked(which, count, f"`shard` {batch.shard}"), by_name=True)


def _told(count: str, environment: Mapping[str, str]) -> Share:
    """The part that a scheduler's variables name."""
    for name, variables in SCHEDULERS.items():
        if variables.index not in environment:
            continue
        what = f"`shard` auto in a {name} ({variables.index}={environment[variables.index]})"
        total = count or environment.get(variables.count, "")
        if not total:
            raise InputError(f"{what}: it does not tell how many there are; give `shard` auto/N")
        if count:
            return Share(*_checked(environment[variables.index], count, f"{what} of {count}"), by_name=True)
        first, step = (_number(environment.get(key, default), what) for key, default in
                       ((variables.first, "0"), (variables.step, "1")))  # fmt: skip
        number = _number(environment[variables.index], what) - first
        if number % max(1, step):
            raise InputError(f"{what}: not {first} and every {step} after it; give `shard` I/N, counted from 0")
        return Share(*_checked(str(number // max(1, step)), total, f"{what} of {total}"), by_name=True)
    asked = ", ".join(variables.index for variables in SCHEDULERS.values())
    raise InputError(f"`shard` auto: none of {asked} is set; give `shard` I/N, counted from 0")


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"{what}: {text[:40]!r} is no number; give `shard` I/N, counted from 0, such as 0/8")
    return int(text)


def _checked(index: str, count: str, what: str) -> tuple[int, int]:
    """The two numbers of a part that there can be."""
    number, total = _number(index, what), _number(count, what)
    if number >= total:
        raise InputError(f"{what}: {number} is not below {total}; shards are counted from 0, such as 0/8 to 7/8")
    return number, total
