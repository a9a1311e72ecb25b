"""What an engine gets and does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jnst.cli.jobfile import BatchRow
from jnst.cli.options import Options
from jnst.cli.progress import BatchReporter
from jnst.cli.shards import Share
from jnst.io.manifest import Manifest
from jnst.io.paths import AnyPath


@dataclass(frozen=True)
class Batch:
    """What is asked for."""

    options: Options
    out: AnyPath
    """the folder of the results"""
    own: Sequence[BatchRow]
    """rows of this process, those that are done as well"""
    share: Share
    """the part of all rows that they are"""


class Engine(Protocol):
    """What paints the rows of a batch."""

    manifest: Manifest
    """of what is done"""

    def paint(self, todo: Sequence[BatchRow], reporter: BatchReporter, signals: Sequence[int]) -> dict[BatchRow, str]:
        """Paints what is to do and writes it meanwhile.

        Args:
            todo: rows without a picture.
            reporter: of the batch.
            signals: that came; the first ends the batch after the running step.

        Returns:
            Why there is no picture, of each row that failed.
        """
        ...
