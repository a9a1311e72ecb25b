import collections
import os
import pickle
import zipfile

import numpy as np
import pytest

from jnst.errors import InputError
from jnst.io import formats
from jnst.io.formats.contents import Contents, read_entry
from jnst.io.formats.pickled import open_pickle
from jnst.io.formats.zipped import open_zip
from jnst.io.pickle_records import UnreadableError


def load(path):
    """All arrays of a pickle, by name, or why there are none."""
    opener = open_zip if zipfile.is_zipfile(path) else open_pickle
    with opener(path) as contents:
        return arrays(path, contents)


def arrays(path, contents: Contents):
    return {name: read_entry(path, name, entry) for name, entry in contents.entries.items()}


class Bomb:
    """Runs a command when it is unpickled the usual way."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_arrays_come_out_as_they_went_in(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = {"a": array, "b": {"c": [1, 2.5, "text", None, array.T.astype(">f8")]}, 3: (True, b"x", {1}, array)}
    for protocol in range(6):
        path = tmp_path / "weights.ckpt"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        loaded = load(path)
        assert set(loaded) == {"a", "b/c/4", "3/3"}
        np.testing.assert_array_equal(loaded["a"], array)
        np.testing.assert_array_equal(loaded["b/c/4"], array.T)
        np.testing.assert_array_equal(loaded["3/3"], array)


def test_nothing_in_a_pickle_is_executed(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "weights.ckpt"
    path.write_bytes(pickle.dumps({"a": Bomb(marker)}))
    with pytest.raises(UnreadableError, match=r"it names posix.system, which is not an array"):
        load(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the bomb itself is a dud: the test above shows nothing"


def test_nothing_in_an_npy_is_executed(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "vgg16.npy"
    np.save(path, np.array({"conv1_1": [Bomb(marker)]}, object), allow_pickle=True)
    with pytest.raises(UnreadableError, match="which is not an array"):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize("packed", [True, False])
def test_nothing_in_a_pth_is_executed(tmp_path, packed):
    marker, path = tmp_path / "ran", tmp_path / "vgg16.pth"
    bomb = pickle.dumps(collections.OrderedDict(a=Bomb(marker)), protocol=2)
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", bomb)
    else:
        path.write_bytes(b"".join(pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {})) + bomb)
    with pytest.raises(UnreadableError, match=r"it names posix.system"):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize("data", [b"", b"\x80\x02", b"not a pickle", pickle.dumps([1, 2])[:-1], b"PK\x03\x04broken"])
def test_damaged_files_are_refused_in_one_line(tmp_path, data):
    path = tmp_path / "weights.ckpt"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


def legacy(tensors):
    """torch.save's stream format of before 2020, in which torchvision's own VGG files are kept."""
    parts = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]

    def text(value):
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    def number(value):
        return b"J" + value.to_bytes(4, "little")

    records, keys = b"", []
    for key, tensor in tensors.items():
        strides = [s // tensor.itemsize for s in tensor.strides]
        storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(tensor.size)
        shape = b"(" + b"".join(map(number, tensor.shape)) + b"t(" + b"".join(map(number, strides)) + b"t"
        records += text(key) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"NtQ" + number(0) + shape
        records += b"\x89ccollections\nOrderedDict\n)RtR"
        keys.append(key)
    parts.append(b"\x80\x02ccollections\nOrderedDict\n)R(" + records + b"u.")
    parts.append(pickle.dumps(keys, 2))
    parts += [t.size.to_bytes(8, "little") + t.tobytes() for t in tensors.values()]
    return b"".join(parts)


TENSORS = {
    "features.0.weight": np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3),
    "features.0.bias": np.arange(2, dtype=np.float32),
}


def test_the_old_stream_format_of_pytorch(tmp_path):
    path = tmp_path / "old.pth"
    path.write_bytes(legacy(TENSORS))
    loaded = load(path)
    assert list(loaded) == list(TENSORS)
    for key, tensor in TENSORS.items():
        np.testing.assert_array_equal(loaded[key], tensor)


def test_a_cut_stream_names_the_tensor_that_is_missing(tmp_path):
    path = tmp_path / "old.pth"
    path.write_bytes(legacy(TENSORS)[:-4])
    with pytest.raises(InputError, match=r"features.0.bias cannot be read"):
        load(path)
