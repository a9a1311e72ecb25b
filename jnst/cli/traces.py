"""The traces of a batch: a file a picture, written when the picture is."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from jnst.cli.jobfile import BatchRow
from jnst.cli.terminal import log
from jnst.errors import InputError
from jnst.io.paths import AnyPath

if TYPE_CHECKING:
    from jnst.records import Result


def require_trace_folder(folder: Path) -> None:
    """Refuses a folder of traces that cannot be one; it need not be there.

    Args:
        folder: what `--trace` names in a batch.

    Raises:
        InputError: a file has its name, or that of a folder above it.
    """
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise InputError(
                    f"`trace` {folder}: {place} is a file; a batch writes a trace a picture, give a folder"
                )
            return


def make_trace_folder(folder: Path) -> None:
    """Makes the folder of traces.

    Args:
        folder: what `--trace` names in a batch.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"`trace` {folder} cannot be made ({error.strerror}); give another folder") from None


class Traces:
    """Writes `PICTURE.jsonl` for each picture; one that cannot be written is told once, and the batch goes on.

    Attributes:
        folder: where; None: nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        """Begins without any.

        Args:
            folder: that exists, or None.
        """
        self.folder, self._told = folder, False

    def write(self, row: BatchRow, result: "Result", picture: AnyPath) -> None:
        """Writes one, whole or not at all; it replaces that of an earlier run.

        Args:
            row: of the batch.
            result: with a picture.
            picture: where it is.
        """
        if self.folder is None:
            return
        from jnst.io.trace import write_trace

        assert result.image is not None
        given = {"content": row.content.name, "style": row.style.name, "image_size": result.image.shape[1:3],
                 "settings": asdict(result.config), "weights": result.weights}  # fmt: skip
        try:
            write_trace(self.folder / f"{row.output.name}.jsonl", given, result, picture)
        except InputError as error:
            if not self._told:
                log(f"no trace: {error}")
            self._told = True
