"""The trace file: what a run was given, what it did, what it took."""

import contextlib
import importlib.metadata
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax

from jnst.io.paths import AnyPath
from jnst.memory import peak_of_process
from jnst.records import Result


class Trace:
    """A file with one JSON object a line: a header, one line an iteration, a footer (docs/trace.md)."""

    def __init__(self, path: Path | None):
        self.file = path.open("w", encoding="utf-8", buffering=1) if path else None

    def header(self, **fields: Any) -> None:
        """All settings; versions and device are added here."""
        device = jax.local_devices()[0]
        about = {"device": f"{device.platform}: {device.device_kind}", "versions": versions()}
        self._line({"record": "header", **fields, **about})

    def iterations(self, rows: list[Any]) -> None:
        """One line for each `transfer.Iteration`."""
        for row in rows:
            self._line({"record": "iteration", **asdict(row)})

    def again(self, way: str) -> None:
        """The rows so far count no more: the run begins again, by another way."""
        self._line({"record": "restart", "did_not_fit": way})

    def footer(self, result: Result, output: AnyPath, laps: dict[str, float]) -> None:
        """How the run ended, and where the seconds of the whole job went."""
        fields = {key: getattr(result, key) for key in ("loss", "iterations", "evaluations", "seconds", "stop_reason")}
        more = {"laps": laps, "peak_memory": peak_memory()}
        self._line({"record": "footer", "output": str(output), **fields, **more})

    def close(self) -> None:
        """Also after a failure: the lines so far are on disk."""
        if self.file:
            self.file.close()

    def _line(self, content: dict[str, Any]) -> None:
        if self.file:
            self.file.write(json.dumps(_finite(content), default=str, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for them."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions() -> dict[str, str]:
    """Of jnst, Python and the packages that results depend on."""
    packages = ("jnst", "jax", "jaxlib", "flax", "optax", "jaxopt", "numpy", "pillow")
    found = {"python": sys.version.split()[0]}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # jnst itself, run from a checkout
            found[package] = importlib.metadata.version(package)
    return found


def peak_memory() -> dict[str, int | None]:
    """Peak bytes of the process and, where its runtime counts them, of the device."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return {"process": peak_of_process(), "device": statistics.get("peak_bytes_in_use")}
