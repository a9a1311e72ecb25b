"""A checkpoint in one file of this machine, there whole or not at all: safetensors, with JSON in its metadata.

    jnst.stylize(content, style, config, weights, checkpoint=CheckpointFile(Path("run.ckpt")))

The arrays are named by their paths in the solver's state. Types that safetensors' readers for NumPy lack, as bfloat16,
are stored as unsigned integers of the same bits; the metadata name them (`dtypes`). A checksum tells damage.
"""

import contextlib
import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes  # noqa: F401 - registers the names of its types with NumPy
import numpy as np
import safetensors

from jnst.errors import InputError, single_line
from jnst.io.atomic import UnwritableError, write_whole
from jnst.io.paths import path_errors

KIND = "jnst-checkpoint-1"
"""in the metadata of every such file; another number where what is kept is another"""
_NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16",
          "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL"}  # fmt: skip

Facts = dict[str, Any]
Arrays = dict[str, np.ndarray]


class CheckpointFile:
    """A `jnst.checkpoints.Checkpoint` in a file.

    A file that cannot be written, as on a full disk, is told once and tried again each time; the run goes on.
    """

    def __init__(
        self, path: Path, *, about: Mapping[str, Any] | None = None,
        notify: Callable[[str], None] = lambda message: None,
    ) -> None:  # fmt: skip
        """Touches nothing yet.

        Args:
            path: of the file.
            about: what the caller wants to know of a file before it is loaded (`read_about`), as JSON has it.
            notify: is told in one line that the file cannot be written.
        """
        self.path, self.about, self.notify = path, dict(about or {}), notify
        self._told, self._anew = False, False

    def load(self) -> tuple[Facts, Arrays] | None:
        """Returns what the file holds; None where there is none.

        Raises:
            InputError: a file that is no checkpoint, is damaged, or cannot be read.
        """
        if self._anew or not self.path.exists():
            return None
        with _reading(self.path), safetensors.safe_open(self.path, framework="numpy") as file:
            metadata = _metadata(file, self.path)
            dtypes = json.loads(metadata["dtypes"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            if _checksum(arrays, metadata["facts"]) != metadata["sha256"]:
                raise _damaged(self.path)
            return json.loads(metadata["facts"]), {
                name: array.view(np.dtype(dtypes[name])) if name in dtypes else array for name, array in arrays.items()
            }

    def save(self, facts: Facts, arrays: Arrays) -> None:
        """Writes the file; where that fails it is told, the first time.

        Args:
            facts: as JSON has it.
            arrays: of any dtype.
        """
        try:
            self.write(facts, arrays)
        except UnwritableError as error:
            if not self._told:
                self.notify(f"{self.path} cannot be written ({error.reason}); the run goes on, kept as it was before")
            self._told = True

    def write(self, facts: Facts, arrays: Arrays) -> None:
        """Writes the file.

        Args:
            facts: as JSON has it.
            arrays: of any dtype.

        Raises:
            UnwritableError: a place that cannot be written, or is full.
        """
        plain = {name: _plain(array) for name, array in arrays.items()}
        dtypes = {name: str(array.dtype) for name, array in arrays.items() if str(array.dtype) not in _NAMES}
        text = json.dumps(facts)
        metadata = {
            "kind": KIND, "about": json.dumps(self.about), "facts": text, "dtypes": json.dumps(dtypes),
            "sha256": _checksum(plain, text),
        }  # fmt: skip
        write_whole(self.path, lambda file: _write(file, plain, metadata))
        self._anew = False

    def begin_anew(self) -> None:
        """Takes what the file holds for nothing, until it is written again."""
        self._anew = True

    def remove(self) -> None:
        """Deletes the file, where it is; one that cannot be deleted is told."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self.notify(f"{self.path} cannot be deleted ({single_line(error)}); delete it before the next run")


def read_about(path: Path) -> Facts | None:
    """Returns what the writer of a checkpoint has said about it; None where no file is. Reads no array.

    Args:
        path: of the file.

    Raises:
        InputError: a file that is no checkpoint, is damaged, or cannot be read.
    """
    if not path.exists():
        return None
    with _reading(path), safetensors.safe_open(path, framework="numpy") as file:
        return json.loads(_metadata(file, path)["about"])


@contextlib.contextmanager
def _reading(path: Path) -> Any:
    """Says what goes wrong in one line."""
    with path_errors(path):
        if not path.is_file():
            raise InputError(f"{path} is no file; give the checkpoint another name")
        with path.open("rb") as file:
            head = file.read(9)
    if head[8:] != b"{":
        raise _foreign(path)
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read ({single_line(error)})") from None
    except Exception:  # safetensors has an error of its own, JSON and NumPy theirs
        raise _damaged(path) from None


def _metadata(file: Any, path: Path) -> dict[str, str]:
    metadata = file.metadata() or {}
    kind = str(metadata.get("kind"))
    if kind != KIND and kind.startswith("jnst-checkpoint"):
        raise InputError(f"{path} is a checkpoint of another version of jnst; delete it, or give another name")
    if kind != KIND:
        raise _foreign(path)
    return metadata


def _foreign(path: Path) -> InputError:
    return InputError(f"{path} is there and no checkpoint; give another name")


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is a damaged checkpoint; delete it, or give another name")


def _plain(array: np.ndarray) -> np.ndarray:
    """The array in C order, in a type that safetensors has: the same bits."""
    array = np.asarray(array, order="C")
    return array if str(array.dtype) in _NAMES else array.view(f"u{array.dtype.itemsize}")


def _bytes(array: np.ndarray) -> memoryview:
    """The array's memory; no copy of what lies in C order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _checksum(arrays: Arrays, text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(name.encode() + str(arrays[name].dtype).encode())
        digest.update(_bytes(arrays[name]))
    return digest.hexdigest()


def _write(file: BinaryIO, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Writes as safetensors does, but into an open file, and without a copy of it all."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end, ordered = 0, sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    for name, array in ordered:
        header[name] = {
            "dtype": _NAMES[str(array.dtype)], "shape": array.shape, "data_offsets": [end, end + array.nbytes]
        }  # fmt: skip
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays are aligned
    file.write(struct.pack("<Q", len(text)) + text)
    for _, array in ordered:
        file.write(_bytes(array))
