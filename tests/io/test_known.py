"""What a file's numbers tell: network, input and order of channels, whatever file, layout and name say."""

import dataclasses

import numpy as np
import pytest
from helpers import KERAS_VGG19, small_table

from jnst.io import formats, weights
from jnst.io.formats.known import NETWORKS, recognise
from jnst.io.formats.table import Table

OXFORD_19, OXFORD_16, TORCH_16, _ = NETWORKS
names = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)


def kernel_of(network):
    """A first kernel with the numbers that the network is known by, and noise around them."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 64)).astype(np.float32)
    for place, value in network.taps.items():
        kernel[place] = value
    return kernel


def table_of(network, **fields):
    table = small_table("vgg19" if "19" in network.name else "vgg16")
    table.layers["conv1_1"]["kernel"] = kernel_of(network)
    return dataclasses.replace(table, **fields)


@names
def test_a_network_is_known_in_both_orders_of_its_channels(network):
    kernel = kernel_of(network)
    assert recognise({"conv1_1": {"kernel": kernel}}) == (network, False)
    assert recognise({"conv1_1": {"kernel": kernel[:, :, ::-1]}}) == (network, True)


@names
@pytest.mark.parametrize("bits", [16, 32])
def test_a_network_is_known_after_a_trip_through_short_floats(network, bits):
    kernel = kernel_of(network)
    short = kernel.astype(np.float16) if bits == 16 else (kernel.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert recognise({"conv1_1": {"kernel": short.astype(np.float32)}}) == (network, False)


@names
def test_one_other_number_is_another_network(network):
    for place in network.taps:
        kernel = kernel_of(network)
        kernel[place] *= 1.02
        assert recognise({"conv1_1": {"kernel": kernel}}) is None


def test_other_shapes_and_missing_kernels_are_unknown():
    assert recognise({}) is None
    assert recognise({"conv1_1": {"bias": np.zeros(64)}}) is None
    assert recognise({"conv1_1": {"kernel": np.zeros((3, 3, 3, 8), np.float32)}}) is None


def load(path, **options):
    said = []
    return weights.load(path, notify=said.append, **options), said


def test_a_native_file_in_the_other_order_is_not_taken_for_a_changed_one(tmp_path):
    table = table_of(OXFORD_16, input="torch-rgb")
    first = table.layers["conv1_1"]
    first["kernel"] = np.ascontiguousarray(first["kernel"][:, :, ::-1])
    formats.write(dataclasses.replace(table, sha256=weights.checksum(table)), tmp_path / "vgg16.h5")
    loaded, _ = load(tmp_path / "vgg16.h5")
    assert loaded.input == "caffe-bgr"
    assert loaded.sha256 == weights.checksum(table_of(OXFORD_16))


@names
def test_the_numbers_count_before_layout_and_name(tmp_path, network):
    other = "torch-rgb" if network.input == "caffe-bgr" else "caffe-bgr"
    path = tmp_path / "vgg.npz"
    formats.write(table_of(network, input=other, source="", license=""), path)
    loaded, said = load(path)
    assert loaded.input == network.input
    assert said == [f"vgg.npz holds the numbers of {network.name}, which are {network.input}; its own note says {other}: the numbers count"]  # fmt: skip # noqa: E501


def test_a_renamed_file_is_read_as_what_it_is(tmp_path):
    formats.write(table_of(OXFORD_16, input="torch-rgb"), tmp_path / "renamed.pth")
    loaded, said = load(tmp_path / "renamed.pth")
    assert (loaded.input, loaded.source, said) == ("caffe-bgr", "Oxford's VGG-16", [])
    assert "CC BY 4.0" in loaded.license
    (tmp_path / "renamed.pth").rename(tmp_path / "vgg16-397923af.pth")
    loaded, said = load(tmp_path / "vgg16-397923af.pth")
    assert loaded.input == "caffe-bgr"
    assert said == ["vgg16-397923af.pth holds the numbers of Oxford's VGG-16, which are caffe-bgr; its name says torch-rgb: the numbers count"]  # fmt: skip # noqa: E501
    formats.write(table_of(TORCH_16, input="caffe-bgr"), tmp_path / "vgg16-caffe.pth")
    loaded, said = load(tmp_path / "vgg16-caffe.pth")
    assert (loaded.input, loaded.source) == ("torch-rgb", "torchvision's VGG-16")
    assert "its name says caffe-bgr: the numbers count" in said[0]


def test_names_and_layouts_tell_of_unknown_numbers(tmp_path):
    unknown = small_table("vgg16")
    for name, input in (("vgg-d01eb7cb.pth", "caffe-bgr"), ("vgg.pth", "torch-rgb"), ("vgg.npy", "caffe-bgr")):
        formats.write(dataclasses.replace(unknown, input=input), tmp_path / name)
        loaded, said = load(tmp_path / name)
        assert (loaded.input, said) == (input, [])


def test_the_same_numbers_have_one_checksum_in_either_order_of_channels(tmp_path):
    table = table_of(OXFORD_16)
    turned = Table({**table.layers, "conv1_1": {**table.layers["conv1_1"]}}, "torch-rgb")
    turned.layers["conv1_1"]["kernel"] = table.layers["conv1_1"]["kernel"][:, :, ::-1]
    formats.write(turned, tmp_path / "rgb.pth")
    formats.write(table, tmp_path / "bgr.npy")
    (rgb, _), (bgr, _) = load(tmp_path / "rgb.pth"), load(tmp_path / "bgr.npy")
    assert rgb.sha256 == bgr.sha256 == weights.checksum(table)
    np.testing.assert_array_equal(rgb.params["conv1_1"]["kernel"], bgr.params["conv1_1"]["kernel"])


def test_the_users_word_counts_before_all(tmp_path):
    formats.write(table_of(OXFORD_16), tmp_path / "vgg.npz")
    loaded, said = load(tmp_path / "vgg.npz", input="torch-rgb")
    assert loaded.input == "torch-rgb"
    assert said == ["vgg.npz holds the numbers of Oxford's VGG-16, which are caffe-bgr; it is read as torch-rgb, as asked"]  # fmt: skip # noqa: E501
    formats.write(small_table("vgg16"), tmp_path / "other.npz")
    loaded, said = load(tmp_path / "other.npz", input="torch-rgb")
    assert (loaded.input, said) == ("torch-rgb", [])
    assert weights.find(path=str(tmp_path / "other.npz"), input="torch-rgb").input == "torch-rgb"


def test_lpips_vgg16_is_torchvisions(vgg16):
    layers = {"conv1_1": {"kernel": np.asarray(vgg16.params["conv1_1"]["kernel"])}}
    assert recognise(layers) == (TORCH_16, False)
    assert vgg16.source == "torchvision's VGG-16"


@pytest.mark.skipif(not KERAS_VGG19.exists(), reason=f"real VGG-19 weights are not at {KERAS_VGG19}")
def test_oxfords_vgg19_is_known(keras_vgg19):
    kernel = np.asarray(keras_vgg19.params["conv1_1"]["kernel"])  # turned to RGB
    assert recognise({"conv1_1": {"kernel": kernel}}) == (OXFORD_19, True)
