"""MatConvNet's files: `layers{i}` with names, kernels and biases, for images in RGB."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jnst.io.formats.contents import Contents, Entry
from jnst.io.formats.matlab import read_variables
from jnst.io.formats.table import MEAN_COLOUR, Table


@contextlib.contextmanager
def open_matconvnet(path: Path) -> Iterator[Contents]:
    """Opens `layers{i}` with `name`, and `weights{1:2}` or `filters`, `biases`; images are RGB, so conv1_1 is flipped.

    Args:
        path: the file.

    Yields:
        Its arrays.
    """
    content = read_variables(path, ("layers", "net", "jnst_input"))
    convention = content.get("jnst_input") or "caffe-bgr"
    net = content.get("net")
    items = content.get("layers") or (net[0].get("layers") if isinstance(net, list) and net else None)
    entries: dict[str, Entry] = {}
    for name, part, array in _arrays(items):
        if part == "bias":
            array = array.reshape(-1)
        elif name == "conv1_1" and convention == "caffe-bgr" and array.ndim == 4:
            array = np.ascontiguousarray(array[:, :, ::-1])
        entries[f"{name}/{part}"] = Entry(array.shape, "f4", lambda array=array: array)
    yield Contents(entries, {"input": convention} if "jnst_input" in content else {})


def _arrays(items: Any) -> Iterator[tuple[str, str, np.ndarray]]:
    for item in items if isinstance(items, list) else []:
        layer = item[0] if isinstance(item, list) and len(item) == 1 else item  # a cell of one structure
        if not isinstance(layer, dict) or not re.fullmatch(r"conv\d_\d", str(layer.get("name"))):
            continue
        pair = (
            layer.get("weights")
            if isinstance(layer.get("weights"), list)
            else [layer.get("filters"), layer.get("biases")]
        )
        for part, array in zip(("kernel", "bias"), pair or (), strict=False):
            if isinstance(array, np.ndarray):
                yield str(layer["name"]), part, array


def write_matconvnet(table: Table, path: Path) -> None:
    """Writes MatConvNet's `layers`, with the mean colour and jnst's note of the convention.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    import scipy.io  # takes 0.1 s, which reading does not need

    items = np.empty((1, len(table.layers)), object)
    for k, (name, layer) in enumerate(table.layers.items()):
        flip = name == "conv1_1" and table.input == "caffe-bgr"
        pair = np.empty((1, 2), object)
        pair[0, 0], pair[0, 1] = (layer["kernel"][..., ::-1, :] if flip else layer["kernel"]), layer["bias"]
        items[0, k] = {"name": name, "type": "conv", "weights": pair}
    mean = np.array(MEAN_COLOUR).reshape(1, 1, 3)
    meta = {"normalization": {"averageImage": mean}}
    scipy.io.savemat(path, {"layers": items, "meta": meta, "jnst_input": table.input}, do_compression=False)
