"""Whatever a table of weights holds, every format gives it back bit by bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jnst.io import formats
from jnst.io.formats import Table
from jnst.network.architecture import layer_names

# name of the file, the convention that it can state
FILES = [
    ("a.h5", "caffe-bgr"), ("a.h5", "torch-rgb"), ("a.keras.h5", "caffe-bgr"), ("a.mat", "caffe-bgr"),
    ("a.mat", "torch-rgb"), ("a.safetensors", "torch-rgb"), ("a.safetensors", "caffe-bgr"), ("a.pth", "torch-rgb"),
    ("a-caffe.pt", "caffe-bgr"), ("a.npz", "torch-rgb"), ("a.npy", "caffe-bgr"), ("a.ckpt", "torch-rgb"),
]  # fmt: skip
FLOATS = st.floats(width=32, allow_nan=False)
KERNELS = arrays.arrays(np.float32, st.tuples(st.just(3), st.just(3), st.just(3), st.just(2)), elements=FLOATS)


@pytest.mark.parametrize(("name", "convention"), FILES)
@settings(max_examples=5)
@given(KERNELS, arrays.arrays(np.float32, 2, elements=FLOATS))
def test_round_trip(tmp_path, name, convention, kernel, bias):
    layers = {layer: {"kernel": kernel + np.float32(0), "bias": bias} for layer in layer_names("vgg16")}
    table = Table(layers, convention)
    formats.write(table, tmp_path / name)
    again = formats.read(tmp_path / name)
    assert again.input == convention
    assert set(again.layers) == set(layers)
    for layer, parts in layers.items():
        for part, array in parts.items():
            np.testing.assert_array_equal(again.layers[layer][part], array, err_msg=f"{layer} {part}")
