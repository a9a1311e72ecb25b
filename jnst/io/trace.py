"""The trace file: what a run was given, what it did, what it took (docs/trace.md)."""

import contextlib
import importlib.metadata
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax

from jnst.errors import single_line
from jnst.io.atomic import UnwritableError, append, write_whole
from jnst.io.paths import AnyPath
from jnst.memory import peak_of_process


@runtime_checkable
class Outcome(Protocol):
    """How a run has ended; `jnst.Result` is one."""

    @property
    def loss(self) -> float:
        """Of the best iterate."""
        ...

    @property
    def iterations(self) -> int:
        """In all."""
        ...

    @property
    def evaluations(self) -> int:
        """Of the objective, in all."""
        ...

    @property
    def seconds(self) -> float:
        """Of the run, compiling included."""
        ...

    @property
    def stop_reason(self) -> str:
        """One word, as `jnst.Result` has it."""
        ...


class Trace:
    """A file with one JSON object a line: a header, one line an iteration, a footer."""

    def __init__(self, path: Path | None, *, notify: Callable[[str], None] = lambda message: None) -> None:
        """Opens the file; without a path nothing is written.

        A line that cannot be written, as on a full disk, ends the trace and not the run.

        Args:
            path: of the file; it is replaced.
            notify: is told of the end, in one line.

        Raises:
            UnwritableError: the file cannot be opened.
        """
        self.path, self.notify = path, notify
        try:
            self.file = path.open("wb", buffering=0) if path else None
        except OSError as error:
            raise UnwritableError(path or Path(), error) from None

    def header(self, **fields: Any) -> None:
        """Writes the first line; versions and device are added.

        Args:
            fields: the settings, as JSON or what `str` makes of it.
        """
        self._line(_header(fields))

    def iterations(self, rows: Iterable[Any]) -> None:
        """Writes one line an iteration.

        Args:
            rows: dataclasses of numbers, names and dictionaries of these.
        """
        for row in rows:
            self._line(_iteration(row))

    def restart(self, strategy: str) -> None:
        """Writes that the rows so far count no more: the run begins again in another way.

        Args:
            strategy: the one that did not fit into the memory.
        """
        self._line({"record": "restart", "did_not_fit": strategy})

    def footer(self, result: Outcome, output: AnyPath, phases: Mapping[str, float]) -> None:
        """Writes how the run ended, and where the seconds of the whole job went.

        Args:
            result: of the run.
            output: the picture's path.
            phases: seconds of each phase of the job, by its name.
        """
        self._line(_footer(result, output, phases))

    def close(self) -> None:
        """Closes the file, also after a failure: the lines so far are on disk."""
        if self.file:
            with contextlib.suppress(OSError):  # each line was written by itself
                self.file.close()

    def _line(self, content: dict[str, Any]) -> None:
        if self.file is None:
            return
        try:
            append(self.file, _encode(content))
        except OSError as error:
            self.close()
            self.file = None
            self.notify(f"{self.path} cannot be written ({single_line(error)}); the trace ends here, the run goes on")


def write_trace(
    path: Path, fields: Mapping[str, Any], rows: Iterable[Any], result: Outcome, output: AnyPath,
    phases: Mapping[str, float],
) -> None:  # fmt: skip
    """Writes the trace of a run that is over: the same lines, whole or not at all.

    Args:
        path: of the file; it is replaced.
        fields: of the header, as JSON or what `str` makes of it.
        rows: of the iterations: dataclasses of numbers, names and dictionaries of these.
        result: of the run.
        output: the picture's path.
        phases: seconds of each phase of the job, by its name.

    Raises:
        UnwritableError: a place that cannot be written, or is full.
    """
    records = [_header(fields), *map(_iteration, rows), _footer(result, output, phases)]
    write_whole(path, lambda file: file.writelines(map(_encode, records)))


def _header(fields: Mapping[str, Any]) -> dict[str, Any]:
    about = {"device": device(), "versions": versions()}
    return {"record": "header", **fields, **about}


def _iteration(row: Any) -> dict[str, Any]:
    return {"record": "iteration", **asdict(row)}


def _footer(result: Outcome, output: AnyPath, phases: Mapping[str, float]) -> dict[str, Any]:
    fields = {key: getattr(result, key) for key in ("loss", "iterations", "evaluations", "seconds", "stop_reason")}
    return {"record": "footer", "output": str(output), **fields, "laps": dict(phases), "peak_memory": peak_memory()}


def _encode(content: Mapping[str, Any]) -> bytes:
    """A record as a line."""
    return (json.dumps(_finite(dict(content)), default=str, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for them."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def device() -> str:
    """Returns the platform and the kind of this machine's devices, such as "gpu: NVIDIA H100"."""
    first = jax.local_devices()[0]
    return f"{first.platform}: {first.device_kind}"


def versions() -> dict[str, str]:
    """Lists the versions of jnst, Python and the packages that results depend on.

    Returns:
        Version by package; those that are not installed are left out.
    """
    packages = ("jnst", "jax", "jaxlib", "flax", "optax", "jaxopt", "numpy", "pillow")
    installed = {"python": sys.version.split()[0]}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # jnst itself, run from a checkout
            installed[package] = importlib.metadata.version(package)
    return installed


def peak_memory() -> dict[str, int | None]:
    """Measures the peak memory so far.

    Returns:
        Bytes of the "process" and of the "device", None where its runtime does not count them.
    """
    statistics = jax.local_devices()[0].memory_stats() or {}
    return {"process": peak_of_process(), "device": statistics.get("peak_bytes_in_use")}
