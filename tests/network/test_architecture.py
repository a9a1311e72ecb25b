import itertools

import pytest

from jnst.errors import InputError
from jnst.network.architecture import (
    block_of,
    check_layers,
    detect,
    kernel_shapes,
    layer_names,
    require_choice,
    stride_of,
)  # fmt: skip


def test_the_two_networks_have_13_and_16_convolutions():
    assert len(layer_names("vgg16")) == 13
    assert len(layer_names("vgg19")) == 16
    assert layer_names("vgg16")[4:8] == ("conv3_1", "conv3_2", "conv3_3", "conv4_1")
    assert set(layer_names("vgg19")) - set(layer_names("vgg16")) == {"conv3_4", "conv4_4", "conv5_4"}


def test_channels_chain_from_the_image_upwards():
    shapes = list(kernel_shapes("vgg19").values())
    assert shapes[0] == (3, 3, 3, 64)
    for below, above in itertools.pairwise(shapes):
        assert below[3] == above[2]
    assert block_of("conv4_2") == 4


def test_a_layer_that_an_architecture_lacks_is_named_with_those_it_has():
    check_layers(("conv3_4",), "vgg19")
    with pytest.raises(InputError, match=r"unknown layer 'conv3_4': vgg16 has conv1_1, .* conv5_3$"):
        check_layers(("conv1_1", "conv3_4"), "vgg16")


def test_the_name_of_a_relu_gets_the_hint_that_its_convolution_is_meant():
    with pytest.raises(InputError, match=r"unknown layer 'relu4_2': use 'conv4_2', which means the map after its ReLU"):
        check_layers(("relu4_2",), "vgg19")
    with pytest.raises(InputError, match=r"unknown layer 'relu3_4': vgg16 has conv1_1"):  # nor has it conv3_4
        check_layers(("relu3_4",), "vgg16")


def test_strides_double_from_block_to_block():
    assert [stride_of(f"conv{block}_1") for block in range(1, 6)] == [1, 2, 4, 8, 16]
    assert stride_of("pixels") == 1


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_an_architecture_is_known_by_its_names(architecture):
    assert detect(kernel_shapes(architecture)) == architecture


def test_an_unknown_choice_is_refused_with_those_there_are():
    require_choice("pooling", "max", ("max", "average"))
    with pytest.raises(InputError, match=r"unknown `?pooling`? 'median': use one of max, average"):
        require_choice("pooling", "median", ("max", "average"))
