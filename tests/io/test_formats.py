import json
import os

import h5py
import numpy as np
import pytest
import scipy.io

from jnst.errors import InputError
from jnst.io import formats
from jnst.io.formats import Table, layouts
from jnst.io.formats.zipped import open_zip
from jnst.network.architecture import kernel_shapes


def table(architecture="vgg16", input: formats.Input = "caffe-bgr"):
    rng = np.random.default_rng(0)
    layers = {
        name: {"kernel": rng.random(shape, np.float32), "bias": rng.random(shape[-1:], np.float32)}
        for name, shape in kernel_shapes(architecture).items()
    }
    return Table(layers, input, source="a test", license="MIT")


@pytest.fixture(scope="module")
def tables():
    inputs: tuple[formats.Input, ...] = ("torch-rgb", "caffe-bgr", "caffe-bgr")
    return {(a, i): table(a, i) for a, i in zip(("vgg16", "vgg16", "vgg19"), inputs, strict=True)}


def assert_same(a, b):
    assert a.input == b.input
    assert set(a.layers) == set(b.layers)
    for name, layer in a.layers.items():
        for part, array in layer.items():
            np.testing.assert_array_equal(array, b.layers[name][part])


CASES = [
    ("vgg16.h5", "vgg16", "torch-rgb"),
    ("vgg19.hdf5", "vgg19", "caffe-bgr"),
    ("vgg19.keras.h5", "vgg19", "caffe-bgr"),
    ("vgg16.keras.h5", "vgg16", "torch-rgb"),
    ("vgg19.mat", "vgg19", "caffe-bgr"),
    ("vgg16.mat", "vgg16", "torch-rgb"),
    ("vgg19.safetensors", "vgg19", "caffe-bgr"),
    ("vgg16.pth", "vgg16", "torch-rgb"),
    ("vgg19-caffe.pt", "vgg19", "caffe-bgr"),
    ("vgg16.npz", "vgg16", "torch-rgb"),
    ("vgg19.npy", "vgg19", "caffe-bgr"),
    ("vgg16.ckpt", "vgg16", "torch-rgb"),
]


@pytest.mark.parametrize(("name", "architecture", "input"), CASES)
def test_every_format_goes_to_native_and_back(tmp_path, tables, name, architecture, input):
    original = tables[architecture, input]
    formats.write(original, tmp_path / name)
    there = formats.read(tmp_path / name)
    assert_same(there, original)
    formats.write(there, tmp_path / "native.h5")
    native = formats.read(tmp_path / "native.h5")
    formats.write(native, tmp_path / f"back-caffe{name}" if "pt" in name else tmp_path / f"back{name}")
    assert_same(native, original)


def test_native_files_say_what_they_are(tmp_path, tables):
    formats.write(tables["vgg19", "caffe-bgr"], tmp_path / "vgg19.h5")
    with h5py.File(tmp_path / "vgg19.h5") as file:
        about = {key: file.attrs[key] for key in ("architecture", "input", "source", "sha256", "license")}
        assert about == {
            "architecture": "vgg19", "input": "caffe-bgr", "source": "a test", "sha256": "", "license": "MIT"
        }  # fmt: skip
        assert file["conv1_1/kernel"].shape == (3, 3, 3, 64)  # pyright: ignore[reportAttributeAccessIssue]


def test_keras_layouts_of_other_versions(tmp_path):
    """`model_weights/block1_conv1/block1_conv1/kernel:0`, as whole models are saved."""
    original = table().layers
    with h5py.File(tmp_path / "vgg16.h5", "w") as file:
        for name, layer in original.items():
            block = f"block{name[4]}_conv{name[6]}"
            for part, array in layer.items():
                file[f"model_weights/{block}/{block}/{part}:0"] = array
        file["model_weights/predictions/kernel:0"] = np.zeros((4, 4))
    read = formats.read(tmp_path / "vgg16.h5")
    assert read.input == "caffe-bgr"
    np.testing.assert_array_equal(read.layers["conv5_3"]["kernel"], original["conv5_3"]["kernel"])
    assert set(read.layers) == set(original)


def test_matconvnets_rgb_becomes_bgr(tmp_path, tables):
    original = tables["vgg16", "caffe-bgr"]
    formats.write(original, tmp_path / "vgg16.mat")
    content = scipy.io.loadmat(tmp_path / "vgg16.mat", squeeze_me=True, struct_as_record=False)
    first = content["layers"][0]
    assert first.name == "conv1_1"
    np.testing.assert_array_equal(first.weights[0], original.layers["conv1_1"]["kernel"][:, :, ::-1])
    np.testing.assert_array_equal(content["meta"].normalization.averageImage, [123.68, 116.779, 103.939])


def test_old_matconvnet_files_with_filters_and_biases(tmp_path):
    kernel, bias = np.random.default_rng(0).random((3, 3, 3, 64)).astype(np.float32), np.ones((1, 64), np.float32)
    items = np.empty((1, 2), object)
    items[0, 0] = {"name": "conv1_1", "type": "conv", "filters": kernel, "biases": bias}
    items[0, 1] = {"name": "relu1_1", "type": "relu"}
    scipy.io.savemat(tmp_path / "old.mat", {"layers": items})
    read = formats.read(tmp_path / "old.mat")
    np.testing.assert_array_equal(read.layers["conv1_1"]["kernel"], kernel[:, :, ::-1])
    np.testing.assert_array_equal(read.layers["conv1_1"]["bias"], bias.ravel())


def test_torchvisions_numbering(tmp_path, tables):
    index = layouts.feature_index()
    assert index["vgg16"][28] == "conv5_3"
    assert index["vgg16"][17] == "conv4_1"
    assert index["vgg19"][34] == "conv5_4"
    assert index["vgg19"][19] == "conv4_1"
    formats.write(tables["vgg16", "torch-rgb"], tmp_path / "vgg16.pth")
    kernel = tables["vgg16", "torch-rgb"].layers["conv2_1"]["kernel"]
    with open_zip(tmp_path / "vgg16.pth") as contents:
        saved = contents.entries["features.5.weight"].read()
    np.testing.assert_array_equal(saved, kernel.transpose(3, 2, 0, 1))


def test_pth_files_of_caffes_networks_are_known_by_their_names(tmp_path, tables):
    formats.write(tables["vgg19", "caffe-bgr"], tmp_path / "vgg19-d01eb7cb.pth")
    assert formats.read(tmp_path / "vgg19-d01eb7cb.pth").input == "caffe-bgr"
    with pytest.raises(InputError, match="states no input convention"):
        formats.write(tables["vgg19", "caffe-bgr"], tmp_path / "vgg19.pth")


def test_formats_that_state_no_convention_refuse_the_other(tmp_path, tables):
    with pytest.raises(InputError, match=r"a .npy file states no input convention"):
        formats.write(tables["vgg16", "torch-rgb"], tmp_path / "vgg16.npy")
    with pytest.raises(InputError, match="torchvision's VGG-16 and nothing else"):
        formats.write(tables["vgg19", "caffe-bgr"], tmp_path / "vgg19.ckpt")


SUFFIXES = [".h5", ".mat", ".safetensors", ".pth", ".npz", ".npy", ".ckpt"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"text", bytes(1000)])
def test_files_that_are_something_else_are_refused_in_one_line(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        formats.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "architecture", "input"), CASES)
def test_truncated_files_are_refused(tmp_path, tables, name, architecture, input):
    path = tmp_path / name
    formats.write(tables[architecture, input], path)
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(InputError) as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


def test_unknown_endings_missing_files_and_other_content(tmp_path):
    with pytest.raises(InputError, match="no such weight file"):
        formats.read(tmp_path / "vgg19.h5")
    with pytest.raises(InputError, match=r"cannot be opened: File name too long; give a file that can be read"):
        formats.read(tmp_path / ("x" * 300))
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(InputError, match="no such weight file"):
        formats.read(tmp_path / "pipe.h5")
    (tmp_path / "vgg19.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"\(1 bytes\) is of no known kind; weights are read from HDF5, NumPy"):
        formats.read(tmp_path / "vgg19.onnx")
    with pytest.raises(InputError, match=r"has no known ending; weights are written to .keras.h5, .h5"):
        formats.write(table(), tmp_path / "vgg19.onnx")
    np.savez(tmp_path / "other.npz", about=np.array(json.dumps({"input": "torch-rgb"})), x=np.zeros(3))
    with pytest.raises(InputError, match="holds no layer of VGG"):
        formats.read(tmp_path / "other.npz")
    about = np.array(json.dumps({"input": "gray"}))
    np.savez(tmp_path / "other.npz", **{"conv1_1/kernel": np.zeros(3)}, about=about, allow_pickle=False)
    with pytest.raises(InputError, match="the input convention is 'gray'; it must be one of caffe-bgr, torch-rgb"):
        formats.read(tmp_path / "other.npz")
