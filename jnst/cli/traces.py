"""What a trace says of a run's beginning, and the traces of a batch: a file a picture, in a folder of this machine."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jnst.cli.checks import require_output
from jnst.cli.paintings import Painting
from jnst.cli.terminal import log
from jnst.config import INIT_NAMES, Config
from jnst.errors import InputError, single_line
from jnst.io.paths import AnyPath, canonical, listdir, parse_path

if TYPE_CHECKING:
    from jnst.cli.jobfile import BatchRow
    from jnst.io.weights import Weights
    from jnst.records import Result


def describe_run(
    content: AnyPath, paintings: Sequence[Painting], size: tuple[int, int], config: Config, weights: "Weights"
) -> dict[str, Any]:
    """Returns what a run is given, for its trace and for the picture's own description.

    Args:
        content: the photograph's path.
        paintings: of its style.
        size: (height, width) of the result in pixels.
        config: the settings.
        weights: of the network.
    """
    told = [{"name": p.path.name, "weight": p.weight, "mask": p.mask and p.mask.path.name,
             "own_mask": p.own_mask and p.own_mask.path.name} for p in paintings]  # fmt: skip
    more = {} if list(paintings) == [Painting(paintings[0].path)] else {"paintings": told}
    return {"content": content.name, "style": paintings[0].path.name, **more, "image_size": size,
            "settings": asdict(config), "weights": weights.record()}  # fmt: skip


def trace_path(folder: Path, row: "BatchRow") -> Path:
    """Returns where the trace of a picture goes: it has the picture's name, but for the ending.

    Args:
        folder: of the traces.
        row: of the batch.
    """
    return folder / f"{row.output.stem}.jsonl"


def require_trace_places(
    folder: Path, rows: Sequence["BatchRow"], out: AnyPath, *, inputs: Iterable[AnyPath] = (), overwrite: bool = False
) -> None:
    """Refuses traces that would take the place of something else, or of each other; makes no folder.

    Args:
        folder: of the traces; it need not exist yet.
        rows: of all processes.
        out: the folder of the pictures, whose manifests are `manifest*.jsonl`.
        inputs: files that are read, beside the rows' own.
        overwrite: whether existing files may be replaced.

    Raises:
        InputError: naming the first.
    """
    present, beside = listdir(folder), canonical(folder) == canonical(out)
    read = {canonical(path) for path in [*inputs, *(path for row in rows for path in _files(row))]}
    by_path: dict[Path, BatchRow] = {}
    for row in rows:
        path = trace_path(folder, row)
        other = by_path.setdefault(path, row)
        if other is not row:
            raise InputError(f"{other.output.name} and {row.output.name} would both have the trace {path}; rename one")
        if beside and path.name.startswith("manifest"):
            raise InputError(f"{path} has the name of a manifest; give another folder as `trace`")
        require_output(
            path, option="trace", inputs=read, overwrite=overwrite, present=None if path.name in present else present,
            as_image=False, probe=False,
        )  # fmt: skip


def _files(row: "BatchRow") -> list[AnyPath]:
    """What is read for a picture."""
    return [*row.inputs, *([] if row.config.init in INIT_NAMES else [parse_path(row.config.init)])]


class BatchTraces:
    """Writes the trace of each picture of a batch, when it is done: whole or not at all.

    One that cannot be written is told once, and ends nothing.

    Attributes:
        missing: how many could not be written.
    """

    def __init__(self, folder: Path, weights: "Weights") -> None:
        """Writes nothing yet.

        Args:
            folder: of the traces; it is there.
            weights: of the network.
        """
        self.folder, self.weights = folder, weights
        self.missing = 0

    def write(self, row: "BatchRow", result: "Result", output: AnyPath, seconds: float) -> None:
        """Writes one trace; where that fails it is told, the first time.

        Args:
            row: of the batch.
            result: with a picture.
            output: where the picture is.
            seconds: that writing the picture took.
        """
        from jnst.io.trace import write_trace

        path, compiling = trace_path(self.folder, row), result.compile_seconds
        fields = describe_run(row.content, row.all_paintings, result.image.shape[1:3], result.config, self.weights)
        laps = {"compile": compiling, "iterations": max(0.0, result.seconds - compiling), "write": seconds}
        try:
            write_trace(path, fields, result.history, result, output, laps)
        except (InputError, OSError) as error:
            self.missing += 1
            if self.missing == 1:
                reason = getattr(error, "reason", None) or single_line(error)
                log(f"{path} cannot be written ({reason}); the batch goes on, without the traces that cannot be")
