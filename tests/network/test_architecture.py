import itertools

import pytest

from jnst.errors import InputError
from jnst.network.architecture import block_of, check_layers, kernel_shapes, layer_names


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
