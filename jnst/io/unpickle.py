"""Reads numbers out of pickled weight files without executing anything in them.

A pickle is a program that may call any function. These readers admit NumPy arrays, PyTorch's tensor records and plain
containers; whatever else a file names is refused before it is touched.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from jnst.errors import InputError


def _array_parts() -> dict[tuple[str, str], Any]:
    reconstruct = np.empty(0).__reduce__()[0]
    parts: dict[tuple[str, str], Any] = {}
    for core in ("core", "_core"):  # before and since NumPy 2
        parts[f"numpy.{core}.multiarray", "_reconstruct"] = reconstruct
        parts[f"numpy.{core}.numeric", "_frombuffer"] = _from_buffer
    return {**parts, ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _encode}


def _from_buffer(data: bytes | bytearray, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    """What protocol 5 writes for an array."""
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    """What protocol 2 writes for bytes."""
    return text.encode(encoding)


class _ArrayUnpickler(pickle.Unpickler):
    admitted: ClassVar[Mapping[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        **_array_parts(),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.admitted:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not an array")
        return self.admitted[module, name]


class _TensorUnpickler(_ArrayUnpickler):
    """Admits PyTorch's tensor records besides; `storage` maps a record's key and type to a flat array."""

    admitted: ClassVar[Mapping[tuple[str, str], Any]] = {
        **_ArrayUnpickler.admitted,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_: _Tensor(
            storage, offset, shape, strides
        ),
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        **{
            ("torch", f"{name}Storage"): dtype
            for name, dtype in {"Float": "<f4", "Double": "<f8", "Half": "<f2", "Long": "<i8", "Int": "<i4"}.items()
        },
    }

    def __init__(self, file: io.BufferedIOBase, storage: Callable[[str, str, int], Any]):
        super().__init__(file)
        self.storage = storage

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, _, count, *_ = pid
        return self.storage(key, dtype, count)


class _Tensor:
    """A tensor record whose storage may be read later than the record (in old files it lies behind)."""

    def __init__(self, storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        flat: np.ndarray = self.storage()
        need = self.offset + 1 + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if max(need, math.prod(self.shape)) > flat.size or min(self.strides, default=0) < 0:
            raise ValueError(f"a tensor of shape {self.shape} does not fit into its {flat.size} numbers")
        strides = [s * flat.itemsize for s in self.strides]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides).copy()


def load_arrays(path: Path) -> Any:
    """Reads a pickle of containers of NumPy arrays (also one inside an `.npy` file).

    Args:
        path: the file.

    Returns:
        What it holds.

    Raises:
        InputError: a damaged pickle, or one that holds anything else.
    """
    data = path.read_bytes()
    if data.startswith(np.lib.format.MAGIC_PREFIX):
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        read(file)
        data = data[file.tell() :]
    return _guard(path, lambda: _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load())


def load_tensors(path: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a PyTorch state dict, from the zip format or the older stream format.

    Args:
        path: the file.

    Returns:
        Array by name; what is no tensor is left out.

    Raises:
        InputError: a damaged file, or one that holds anything but tensors.
    """
    with path.open("rb") as file:
        return _tensors(path, _guard(path, lambda: _load_zip(file) if zipfile.is_zipfile(file) else _load_stream(file)))


def _tensors(path: Path, content: Any) -> dict[str, np.ndarray]:
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no table of tensors; give a file saved by torch.save(model.state_dict(), ...)")
    tensors = {str(key): value for key, value in content.items() if isinstance(value, _Tensor)}
    arrays = {}
    for name, tensor in tensors.items():
        try:
            arrays[name] = tensor.array()
        except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: tensor {name} cannot be read ({error}); get the file again") from None
    return arrays


def _load_zip(file: io.BufferedIOBase) -> Any:
    archive = zipfile.ZipFile(file)
    (index,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    folder = index.removesuffix("data.pkl")

    def storage(key: str, dtype: str, count: int) -> Callable[[], np.ndarray]:
        return lambda: np.frombuffer(archive.read(f"{folder}data/{key}"), dtype, count)

    return _TensorUnpickler(io.BytesIO(archive.read(index)), storage).load()


_STREAM_MAGIC = 0x1950A86A20F9469CFC6C


def _load_stream(file: io.BufferedIOBase) -> Any:
    """torch.save before 1.6: magic, version, system, records, keys, then each storage as a count and its numbers."""
    storages: dict[str, np.ndarray] = {}
    dtypes: dict[str, str] = {}

    def storage(key: str, dtype: str, count: int) -> Callable[[], np.ndarray]:
        dtypes[key] = dtype
        return lambda: storages[key]

    file.seek(0)
    if _ArrayUnpickler(file).load() != _STREAM_MAGIC:
        raise ValueError("it does not begin as a PyTorch file")
    _ArrayUnpickler(file).load()
    _ArrayUnpickler(file).load()
    content = _TensorUnpickler(file, storage).load()
    for key in _ArrayUnpickler(file).load():
        head = file.read(8)
        count = struct.unpack("<q", head)[0] if len(head) == 8 else 0
        data = file.read(count * np.dtype(dtypes[key]).itemsize) if count else b""
        if count and len(data) == count * np.dtype(dtypes[key]).itemsize:
            storages[key] = np.frombuffer(data, dtypes[key])
    return content


def _guard(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as weights ({text}); get the file again or give another") from None
