"""Files of safetensors, with torchvision's names."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import ml_dtypes  # noqa: F401 (tells NumPy what bfloat16 is)
import safetensors
import safetensors.numpy

from jnst.io.formats.contents import Contents, Entry
from jnst.io.formats.table import Table
from jnst.io.formats.tensors import layers_to_tensors

_TYPES = {"F16": "f2", "F32": "f4", "F64": "f8", "BF16": "bfloat16"}


@contextlib.contextmanager
def open_safetensors(path: Path) -> Iterator[Contents]:
    """Opens a file of tensors; the metadata may tell the input convention.

    Args:
        path: the file.

    Yields:
        Its arrays.
    """
    with safetensors.safe_open(path, framework="numpy") as file:
        entries = {}
        for key in file.keys():  # noqa: SIM118 (not a dict)
            part = file.get_slice(key)
            dtype = _TYPES.get(str(part.get_dtype()), str(part.get_dtype()))
            entries[key] = Entry(tuple(part.get_shape()), dtype, partial(file.get_tensor, key))
        yield Contents(entries, file.metadata() or {}, axes="oihw")


def write_safetensors(table: Table, path: Path) -> None:
    """Writes tensors under torchvision's names, with metadata.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    about = {"input": table.input, "source": table.source, "license": table.license}
    safetensors.numpy.save_file(dict(layers_to_tensors(table)), path, metadata=about)
