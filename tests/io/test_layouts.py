"""The names under which people have VGG's layers; two networks and batch normalisation are refused."""

import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from jnst.errors import InputError
from jnst.io.formats.contents import Contents, Entry
from jnst.io.formats.layouts import FLAXMODELS, LAYOUTS, feature_index, find_layers
from jnst.network.architecture import layer_names

FILE = Path("weights.file")
TORCHVISION, FEATURES, KERAS, KERAS3, FLAX, BY_LAYER = LAYOUTS


def entry(number, *shape):
    return Entry(shape, "f4", lambda: np.full(shape, number, np.float32))


def contents(names, *, axes: Literal["hwio", "oihw"] = "hwio", more=()):
    """A file whose k-th kernel holds k + 1 and whose k-th bias holds -(k + 1): small ones, 3x3 from 2 to 5 channels."""
    shape = (3, 3, 2, 5) if axes == "hwio" else (5, 2, 3, 3)
    entries = {}
    for k, (kernel, bias) in enumerate(names):
        entries |= {kernel: entry(k + 1, *shape), bias: entry(-(k + 1), 5)}
    return Contents(entries | {name: entry(99, *shape) for name in more}, axes=axes)


def features(prefix, architecture="vgg19"):
    return [(f"{prefix}{number}.weight", f"{prefix}{number}.bias") for number in feature_index()[architecture]]


def blocks(pattern):
    return [tuple(pattern.format(*re.findall(r"\d", name), part) for part in ("kernel", "bias"))
            for name in layer_names("vgg19")]  # fmt: skip


def by_layer(kernel, bias):
    return [(name + kernel, name + bias) for name in layer_names("vgg19")]


def counted(prefix, kernel="/vars/0", bias="/vars/1"):
    numbers = ["", *(f"_{k}" for k in range(1, 16))]
    return [(f"{prefix}conv2d{number}{kernel}", f"{prefix}conv2d{number}{bias}") for number in numbers]


CASES = {
    "torchvision": (features("features."), "oihw", TORCHVISION),
    "in a checkpoint": (features("model_state_dict/features."), "oihw", TORCHVISION),
    "of several devices": (features("state_dict/module.features."), "oihw", TORCHVISION),
    "lightning": (features("state_dict/model.vgg.features."), "oihw", TORCHVISION),
    "features only": (features(""), "oihw", FEATURES),
    "features only, in a checkpoint": (features("state_dict/"), "oihw", FEATURES),
    "keras 1": (blocks("block{0}_conv{1}/block{0}_conv{1}_{2}_1:0"), "hwio", KERAS),
    "keras 2": (blocks("model_weights/block{0}_conv{1}/block{0}_conv{1}/{2}:0"), "hwio", KERAS),
    "keras 3": (counted("layers/"), "hwio", KERAS3),
    "keras 3, nested": (counted("layers/functional/layers/"), "hwio", KERAS3),
    "keras 2.12": (counted("_layer_checkpoint_dependencies/"), "hwio", KERAS3),
    "jnst": (by_layer("/kernel", "/bias"), "hwio", BY_LAYER),
    "flaxmodels": (by_layer("/weight", "/bias"), "hwio", FLAXMODELS),
    "caffe in torch": (by_layer(".weight", ".bias"), "oihw", BY_LAYER),
    "Frossard": (by_layer("_W", "_b"), "hwio", BY_LAYER),
    "tensorflow's pairs": (by_layer("/0", "/1"), "hwio", BY_LAYER),
    "tensorflow's tables": (by_layer("/weights", "/biases"), "hwio", BY_LAYER),
    "flax": ([(f"VGG_0/Conv_{k}/kernel", f"VGG_0/Conv_{k}/bias") for k in range(16)], "hwio", FLAX),
}


@pytest.mark.parametrize("case", CASES)
def test_the_names_that_people_have(case):
    names, axes, expected = CASES[case]
    layers, layout = find_layers(FILE, contents(names, axes=axes, more=["fc6/kernel", "classifier.0.weight"]))
    assert layout is expected
    assert list(layers) == list(layer_names("vgg19"))
    for k, parts in enumerate(layers.values()):
        assert (parts["kernel"] == k + 1).all()
        assert parts["kernel"].shape == (3, 3, 2, 5)
        assert (parts["bias"] == -(k + 1)).all()


def test_every_layout_finds_its_example():
    for layout in LAYOUTS:
        for example in layout.example.split(", "):
            assert layout.pattern.search(example.replace(".", "/").removesuffix(":0")), layout.name
    assert FLAXMODELS.pattern.search(FLAXMODELS.example)


@pytest.mark.parametrize("axes", ["hwio", "oihw"])
def test_the_taps_tell_the_order_of_the_axes_not_the_container(axes):
    layers, _ = find_layers(FILE, Contents({"conv1_1/kernel": entry(1, 5, 2, 3, 3)}, axes=axes))
    assert layers["conv1_1"]["kernel"].shape == (3, 3, 2, 5)
    layers, _ = find_layers(FILE, Contents({"conv1_1/kernel": entry(1, 3, 3, 3, 3)}, axes=axes))
    assert layers["conv1_1"]["kernel"].shape == (3, 3, 3, 3)


def test_layers_stand_in_the_order_of_the_network_whatever_the_files():
    for names, axes, _ in CASES.values():
        layers, _ = find_layers(FILE, contents(names, axes=axes))
        entries = contents(names, axes=axes).entries
        backwards, _ = find_layers(FILE, Contents({name: entries[name] for name in reversed([*entries])}, axes=axes))
        assert list(backwards) == list(layers)
        assert all((backwards[name]["bias"] == layers[name]["bias"]).all() for name in layers)


def test_names_that_a_terminal_would_obey_are_shown_as_letters():
    evil = "\x1b[2J\n" + "x" * 1000 + "/"
    refused(Contents({evil + "conv1_1/kernel": Entry((3,), "\x1b[8m", lambda: np.zeros(3))}), r"^[ -~]{1,250}$")
    both = {evil + "conv1_1/kernel": entry(1, 3), evil + "x/conv1_1/kernel": entry(1, 3)}
    refused(Contents(both), r"^[ -~]{1,250}$")


def refused(file, message):
    with pytest.raises(InputError, match=message) as caught:
        find_layers(FILE, file)
    assert str(caught.value).startswith("weights.file")
    assert "\n" not in str(caught.value)


def test_two_candidates_for_one_layer_are_refused():
    for second in ("ema/features.0.weight", "model_state_dict.features.0.weight"):
        refused(
            contents(features("state_dict/features."), axes="oihw", more=[second]), "is a second kernel of one layer"
        )
    refused(contents(by_layer("/kernel", "/bias"), more=["block1_conv1/kernel:0"]), "are of two networks")
    refused(contents(counted("layers/a/") + counted("layers/b/")), "holds 16, 16 convolutions, VGG-16 has 13")
    refused(contents(counted("layers/")[:5]), "holds 5 convolutions, VGG-16 has 13 and VGG-19 16")


def test_an_optimizers_state_and_a_networks_head_are_passed_over():
    more = [
        "optimizer_weights/Adam/block1_conv1/kernel/m:0",
        "opt_state/0/mu/block1_conv1/kernel",
        "predictions/kernel",
    ]
    layers, _ = find_layers(FILE, contents(blocks("block{0}_conv{1}/{2}:0"), more=more))
    assert (layers["conv1_1"]["kernel"] == 1).all()
    layers, _ = find_layers(FILE, contents(counted("layers/"), more=["layers/functional/layers/conv2d/vars/0"]))
    assert (layers["conv1_1"]["kernel"] == 1).all()


@pytest.mark.parametrize(
    ("names", "more"),
    [
        (features("module.features."), "module.features.1.running_mean"),
        (features(""), "1.running_mean"),
        (counted("layers/"), "layers/batch_normalization/vars/0"),
        (CASES["flax"][0], "VGG_0/BatchNorm_0/mean"),
    ],
)
def test_batch_normalisation_is_refused_by_its_name(names, more):
    refused(contents(names, axes="oihw", more=[more]), "holds a VGG with batch normalisation")


def test_more_than_a_network_has_is_refused_unread():
    def unread():
        raise AssertionError

    huge = Entry((3, 3, 10**9, 10**9), "f4", unread)
    refused(Contents({"conv1_1/kernel": huge}), "is f4 of shape .* no kernel or bias")
    large = Entry((3, 3, 512, 600), "f4", unread)
    refused(Contents({f"conv{b}_{i}/kernel": large for b in range(1, 5) for i in range(1, 5)}), "more than any VGG")
    small = Entry((1,), "f4", unread)
    refused(Contents({f"conv{b}_{i}/kernel": small for b in range(10) for i in range(10)}), "more layers than any VGG")
    refused(Contents({"conv1_1/kernel": Entry((3,), "S8", unread)}), "is S8 of shape")
    refused(Contents({"conv1_1/kernel": Entry((-1,), "f4", unread)}), "no kernel or bias")
