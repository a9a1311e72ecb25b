"""MatConvNet's files: `layers{i}` with names, kernels and biases, for images in RGB."""

import re
from pathlib import Path

import numpy as np
import scipy.io

from jnst.io.formats.table import MEAN_COLOUR, OXFORD, Table, parse_input


def read_matconvnet(path: Path) -> Table:
    """Reads `layers{i}` with `name`, and `weights{1:2}` or `filters`, `biases`; images are RGB, so conv1_1 is flipped.

    Args:
        path: the file.

    Returns:
        What it holds, unverified.

    Raises:
        InputError: an unknown input convention.
    """
    content = scipy.io.loadmat(
        path, squeeze_me=True, struct_as_record=False, variable_names=["layers", "net", "jnst_input"]
    )
    if "net" in content:
        content = {"layers": content["net"].layers, **content}
    layers: dict[str, dict[str, np.ndarray]] = {}
    for item in np.atleast_1d(content.get("layers", [])):
        if re.fullmatch(r"conv\d_\d", str(getattr(item, "name", ""))):
            pair = item.weights if hasattr(item, "weights") else (item.filters, item.biases)
            layers[str(item.name)] = {
                "kernel": np.asarray(pair[0], np.float32),
                "bias": np.asarray(pair[1], np.float32),
            }
    convention = parse_input(path, str(content.get("jnst_input", "caffe-bgr")))
    if convention == "caffe-bgr" and "conv1_1" in layers:
        layers["conv1_1"]["kernel"] = np.ascontiguousarray(layers["conv1_1"]["kernel"][..., ::-1, :])
    return Table(layers, convention, "MatConvNet VGG weights", OXFORD)


def write_matconvnet(table: Table, path: Path) -> None:
    """Writes MatConvNet's `layers`, with the mean colour and jnst's note of the convention.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    items = np.empty((1, len(table.layers)), object)
    for k, (name, layer) in enumerate(table.layers.items()):
        flip = name == "conv1_1" and table.input == "caffe-bgr"
        pair = np.empty((1, 2), object)
        pair[0, 0], pair[0, 1] = (layer["kernel"][..., ::-1, :] if flip else layer["kernel"]), layer["bias"]
        items[0, k] = {"name": name, "type": "conv", "weights": pair}
    mean = np.array(MEAN_COLOUR).reshape(1, 1, 3)
    meta = {"normalization": {"averageImage": mean}}
    scipy.io.savemat(path, {"layers": items, "meta": meta, "jnst_input": table.input}, do_compression=False)
