"""PyTorch's state dicts (.pth, .pt), written without PyTorch."""

import struct
import zipfile
from pathlib import Path

from jnst.errors import InputError
from jnst.io.formats.table import Table
from jnst.io.formats.tensors import layers_to_tensors

# The files of neural-style-pt hold Caffe's networks under torchvision's names
CAFFE_NAMES = ("d01eb7cb", "00b39a1b", "caffe")


def write_pth(table: Table, path: Path) -> None:
    """Writes torch.save's zip format by hand: an OrderedDict of tensor records, and one file of numbers each.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.

    Raises:
        InputError: weights for caffe-bgr whose file's name does not say so.
    """
    if table.input != "torch-rgb" and not any(mark in path.name for mark in CAFFE_NAMES):
        raise InputError(f"{path}: a .pth file states no input convention; put 'caffe' into the name of this one")

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<i", len(value.encode())) + value.encode()

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    records, data = [], []
    for key, tensor in layers_to_tensors(table):
        strides = tuple(stride // tensor.itemsize for stride in tensor.strides)
        storage = text("storage") + b"ctorch\nFloatStorage\n" + text(str(len(data))) + text("cpu") + number(tensor.size)
        record = b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + b"tQ" + number(0)
        record += numbers(tensor.shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR"
        records.append(text(key) + record)
        data.append(tensor)
    program = b"\x80\x02ccollections\nOrderedDict\n)R(" + b"".join(records) + b"u."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", "little")
        for k, tensor in enumerate(data):
            archive.writestr(f"archive/data/{k}", tensor.astype("<f4").tobytes())
        archive.writestr("archive/version", "3\n")
