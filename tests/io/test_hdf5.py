"""HDF5 files that lead out of themselves, hold an optimizer's state, or promise too much."""

import h5py
import numpy as np
import pytest
from helpers import small_table

from jnst.errors import InputError
from jnst.io import formats
from jnst.io.formats.hdf5 import write_hdf5, write_keras

LAYERS = {"keras": "block1_conv1/block1_conv1", "own": "conv1_1"}


@pytest.fixture(params=["keras", "own"])
def kind(request):
    return request.param


@pytest.fixture
def path(tmp_path, kind):
    path = tmp_path / "vgg.h5"
    (write_keras if kind == "keras" else write_hdf5)(small_table("vgg16"), path)
    return path


def name_of(kind: str, part: str) -> str:
    return f"conv1_1/{part}" if kind == "own" else f"block1_conv1/block1_conv1_{'W' if part == 'kernel' else 'b'}_1:0"


def refused(path, message):
    with pytest.raises(InputError, match=message) as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


def test_a_whole_file_is_read(path):
    table = formats.read(path)
    np.testing.assert_array_equal(table.layers["conv1_1"]["kernel"], small_table("vgg16").layers["conv1_1"]["kernel"])


def test_a_link_into_another_file_is_not_followed(path, kind, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(64, np.float32)
    with h5py.File(path, "a") as file:
        del file[name_of(kind, "bias")]
        file[name_of(kind, "bias")] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret")
    refused(path, r"is a link into another file; give one that holds its weights itself")


def test_numbers_in_another_file_are_not_read(path, kind, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 256)
    with h5py.File(path, "a") as file:
        del file[name_of(kind, "bias")]
        file.create_dataset(name_of(kind, "bias"), (64,), np.float32, external=[(str(secret), 0, 256)])
    refused(path, r"has its numbers in another file")


def test_a_virtual_dataset_is_not_read(path, kind, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(64, np.float32)
    layout = h5py.VirtualLayout((64,), np.float32)
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", shape=(64,))
    with h5py.File(path, "a") as file:
        del file[name_of(kind, "bias")]
        file.create_virtual_dataset(name_of(kind, "bias"), layout)
    refused(path, r"has its numbers in another file")


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2**31,), "f4"), ((3, 3, 2**20, 2**20), "f4"), ((64,), "S8"), ((64,), h5py.string_dtype())]
)
def test_what_no_layer_has_is_refused_before_it_is_read(path, kind, shape, dtype):
    with h5py.File(path, "a") as file:
        del file[name_of(kind, "bias")]
        file.create_dataset(name_of(kind, "bias"), shape, dtype, chunks=tuple(min(side, 64) for side in shape))
    refused(path, r"no kernel or bias; get the file again|is a second kernel")


def test_a_group_that_holds_itself_has_an_end(path):
    with h5py.File(path, "a") as file:
        group = file.create_group("loop")
        group["loop"] = group
    refused(path, "lies too deep for a layer")


def test_an_optimizers_moments_are_not_taken_for_kernels(tmp_path):
    path, table = tmp_path / "model.h5", small_table("vgg16")
    write_keras(table, path)
    with h5py.File(path, "a") as file:
        whole = file.create_group("model_weights")
        for name in [str(name) for name in file if "block" in str(name)]:
            file.move(name, f"model_weights/{name}")
        for name in list(whole):
            for key, data in whole[name].items():  # pyright: ignore
                file[f"optimizer_weights/Adam/m/{name}/{key}"] = np.zeros(data.shape, np.float32)
    found = formats.read(path)
    np.testing.assert_array_equal(found.layers["conv1_1"]["kernel"], table.layers["conv1_1"]["kernel"])


def test_two_kernels_for_one_layer_are_refused(tmp_path):
    path = tmp_path / "two.h5"
    write_keras(small_table("vgg16"), path)
    with h5py.File(path, "a") as file:
        file["copy/block1_conv1/kernel:0"] = np.zeros((3, 3, 3, 64), np.float32)
    refused(path, "is a second kernel of one layer; give a file with one network")
