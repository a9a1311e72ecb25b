"""Weight files that are built to harm, or damaged at random: one line or arrays, at once, and no other file."""

import io
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io
from helpers import tiny_table

from jnst.errors import InputError
from jnst.io import formats, unpickle
from jnst.io.formats import matlab
from jnst.io.formats.npy import read_header


def refused(path, message="."):
    """Reads in under 2 s and 20 MB, and is told why not in one line."""
    began = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as caught:
            formats.read(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - began < 2
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 400


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


LOADS = {  # what crashed, hung or took gigabytes in pickle, NumPy or the reader itself
    "a memo of 4 GB": b"\x80\x02Nr\xff\xff\xff\x0f.",
    "bytes of 4 EB": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "a frame of 4 EB": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "a deep key": b"\x80\x02}N" + b"\x85" * 1000 + b"Ns.",
    "a deep list": b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b".",
    "a doubling key": b"\x80\x02}K\x01" + b"q\x00h\x00\x86" * 34 + b"Ns.",
    "a doubling list": b"\x80\x02]K\x01" + b"q\x00h\x00\x86" * 34 + b"a.",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "many operations": b"\x80\x02" + b"N0" * 3000 + b".",
    "a class": b"\x80\x02cnumpy\nndarray\n}" + text("tofile") + text("x") + b"sb.",
    "a call of a type": b"\x80\x02cnumpy\nndarray\n(K\x05K\x05ttR.",
    "a dotted name": b"\x80\x02ccollections\nOrderedDict.fromkeys\n(" + text("x") + b"tR.",
    "fields beyond": b"\x80\x02cnumpy\ndtype\n(" + text("V16") + b"K\x00K\x01tR(K\x03" + text("|") + b"N("
    + text("a") + b"t}K\x10K\x01K\x00tb.",
    "an instance": b"(" + text("touch x") + b"ios\nsystem\n.",
    "texts made again and again": b"\x80\x02" + text("x" * 10_000) + b"q\x000"
    + (b"c_codecs\nencode\nh\x00" + text("latin1") + b"\x86R0") * 300 + b".",
    "an unknown operation": b"\x80\x02\x82\x01.",
}  # fmt: skip


@pytest.mark.parametrize("load", LOADS)
def test_pickles_that_harm_are_refused(tmp_path, load, monkeypatch):
    monkeypatch.setattr(unpickle, "MOST_OPERATIONS", 5000)
    (tmp_path / "vgg16.ckpt").write_bytes(LOADS[load])
    refused(tmp_path / "vgg16.ckpt")


def pickled_array(shape=(64,), dtype="f4", data=bytes(256)):
    """`{"conv1_1": [array]}` whose parts are as told."""
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR(K\x01("
    array += b"".join(b"\x8a\x08" + struct.pack("<q", side) for side in shape) + b"tcnumpy\ndtype\n(" + text(dtype)
    array += b"K\x00K\x01tR\x89" + b"B" + struct.pack("<I", len(data)) + data + b"tb"
    return b"\x80\x03}" + text("conv1_1") + b"]" + array + b"as."


def test_a_pickled_array_is_what_it_says(tmp_path):
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(pickled_array())
    assert formats.read(path).layers["conv1_1"]["kernel"].shape == (64,)
    for shape, dtype, message in (
        ((65,), "f4", "cannot be read"), ((-1,), "f4", "a size that is none"), ((2**40,), "f4", "no kernel or bias"),
        ((64,), "O8", "no kernel or bias"), ((1,), "U4000", "no kernel or bias"),
        ((1,) * 9, "f4", "whose shape is none"),
    ):  # fmt: skip
        path.write_bytes(pickled_array(shape, dtype))
        refused(path, message)


def torch_file(path, shape, strides, offset=0, count=64, data=bytes(256)):
    def numbers(values):
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"

    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + numbers([count])[1:-1] + b"tQ"
    )
    record = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + numbers([offset])[1:-1] + numbers(shape) + numbers(strides)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}" + text("features.0.bias") + record + b"\x89NtRs.")
        archive.writestr("a/data/0", data)


def test_a_tensor_lies_within_its_numbers(tmp_path):
    path = tmp_path / "vgg16.pth"
    torch_file(path, (64,), (1,))
    assert formats.read(path).layers["conv1_1"]["bias"].shape == (64,)
    for case in (
        {"offset": -1}, {"offset": 1}, {"strides": (2**60,)}, {"strides": (2**62 - 1,)}, {"strides": (-1,)},
        {"count": -1}, {"shape": (-64,)}, {"shape": (65,)}, {"shape": (0,)}, {"count": 2**40},
        {"shape": (10**6,), "strides": (0,)}, {"strides": (1, 1)}, {"count": 10**6, "shape": (10**6,)},
    ):  # fmt: skip
        torch_file(path, **{"shape": (64,), "strides": (1,), **case})
        if case != {"count": 2**40}:  # a longer storage than is there harms nobody
            refused(path)


def test_a_packed_file_is_not_unpacked_beyond_what_is_asked_for(tmp_path):
    path = tmp_path / "bomb.pth"
    torch_file(path, (64,), (1,), data=bytes(10**7))
    tracemalloc.start()
    formats.read(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    torch_file(path, (64,), (1,), offset=10**7, count=10**8)
    refused(path, "it is packed, and its numbers lie too far in it")
    path = tmp_path / "bomb.npz"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (10**8,)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conv1_1/kernel.npy", head.getvalue() + bytes(10**6))
    refused(path, "no kernel or bias")
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10**7))
    refused(tmp_path / "bomb.keras", "unpacks to more than weights do")
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as archive:
        for k in range(20_001):
            archive.writestr(f"{k}.npy", b"")
    refused(tmp_path / "many.npz", "more than 20000 files")


@pytest.mark.parametrize(
    "said",
    ["[" * 9000, "{'descr': [('a', '<f4')], 'shape': ()}", "{'descr': '<f4', 'shape': (-1,)}", "{'descr': '<f4'}", "1",
     "{'descr': '(9,9)f4', 'shape': ()}", "{'descr': '<f4', 'shape': " + "(" * 30 + ")" * 30 + "}", "open('x')"],
)  # fmt: skip
def test_heads_of_npy_files_are_read_without_numpy(said):
    with pytest.raises(ValueError, match="its head"):
        read_header(io.BytesIO(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(said)) + said.encode()))


def mat(*elements, order="<"):
    head = b"MATLAB 5.0".ljust(124) + struct.pack(order + "H", 0x0100) + (b"IM" if order == "<" else b"MI")
    return head + b"".join(elements)


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind, shape, content=b"", name=b"layers"):
    sides = struct.pack(f"<{len(shape)}i", *shape)
    return element(14, element(6, struct.pack("<II", kind, 0)) + element(5, sides) + element(1, name) + content)


MATLAB = {
    "numbers of 80 GB": matrix(6, (10**5, 10**5), element(9, bytes(8))),
    "a cell of 900 million": matrix(1, (30_000, 30_000)),
    "structures without end": matrix(
        2, (30_000, 30_000), element(5, struct.pack("<i", 32)) + element(1, b"name".ljust(32, b"\0"))
    ),
    "negative sides": matrix(6, (-1, 5), element(9, bytes(8))),
    "too few numbers": matrix(1, (1, 1), matrix(7, (4, 4), element(7, bytes(4)), b"")),
    "cells in cells": matrix(1, (1, 1), b"".join(struct.pack("<II", 14, 400) for _ in range(50))),
    "cut off": matrix(6, (1, 1))[:-20],
    "an object": matrix(3, (1, 1), element(1, b"evil")),
    "a function": matrix(16, (1, 1)),
    "sparse": matrix(5, (10, 10), element(5, struct.pack("<2i", 10**9, -5))),
    "a bomb": element(15, zlib.compress(matrix(1, (1, 1), matrix(6, (10**4, 10**4), element(9, bytes(10**7)), b"")))),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("case", MATLAB)
def test_matlab_files_that_harm_are_refused(tmp_path, case):
    (tmp_path / "vgg19.mat").write_bytes(mat(MATLAB[case]))
    refused(tmp_path / "vgg19.mat")


def test_a_packed_matlab_file_is_not_passed_over_without_end(tmp_path, monkeypatch):
    path, large = tmp_path / "vgg19.mat", matrix(6, (10**4, 10**4), element(9, bytes(4 * 10**6)), b"")
    path.write_bytes(mat(element(15, zlib.compress(matrix(1, (1, 1), large)))))
    refused(path, "holds no layer of VGG")
    monkeypatch.setattr(matlab, "_UNPACKED_FREELY", 10**6)
    refused(path, "it unpacks to more than weights do")


def test_matlab_files_of_all_kinds_are_read(tmp_path):
    table = tiny_table("caffe-bgr")
    formats.write(table, tmp_path / "plain.mat")
    content = scipy.io.loadmat(tmp_path / "plain.mat", variable_names=["layers"])
    net = np.empty((1, 1), [("layers", object)])
    net[0, 0]["layers"] = content["layers"]
    for name, variables in (("packed", {"layers": content["layers"]}), ("net", {"other": 1.0, "net": net})):
        scipy.io.savemat(tmp_path / "other.mat", variables, do_compression=True)
        found = formats.read(tmp_path / "other.mat").layers
        for layer, parts in table.layers.items():
            for part, array in parts.items():
                np.testing.assert_array_equal(found[layer][part], array, err_msg=f"{name} {layer} {part}")


def test_pickle_itself_would_fall_for_one_of_them(tmp_path):
    """The files above are no duds: the memo alone makes Python's own unpickler ask for 2 GB."""
    code = "import pickle, resource; resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9)); pickle.loads(%r)"
    done = subprocess.run([sys.executable, "-c", code % LOADS["a memo of 4 GB"]], capture_output=True, check=False)
    assert b"MemoryError" in done.stderr
    assert pickle.loads(b"\x80\x02N.") is None
