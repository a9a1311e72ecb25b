"""The process that reads HDF5: it may hang, crash and be lied to, and nobody else is."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from jnst.errors import InputError
from jnst.io import formats
from jnst.io.formats import contents, hdf5, hdf5_child


def refused(path, message="."):
    with pytest.raises(InputError, match=message) as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


def fake_child(tmp_path, monkeypatch, code):
    script = tmp_path / "child.py"
    script.write_text(code)
    monkeypatch.setattr(hdf5, "_CHILD", script)
    monkeypatch.setattr(hdf5, "_PATIENCE", 0.5)
    (tmp_path / "vgg16.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    return tmp_path / "vgg16.h5"


ENTRY = 'print(\'{"entries": [["conv1_1/kernel", [3], "f4"]], "about": {}}\', flush=True)\n'


@pytest.mark.parametrize(
    "code",
    ["import time; time.sleep(60)", "import os; os.abort()", "print('x' * 10)", "", ENTRY + "import os; os.abort()",
     ENTRY + "input(); import time; time.sleep(60)", ENTRY + "input(); print('{\"bytes\": 12}', flush=True)"],
    ids=["hangs", "crashes", "babbles", "ends", "crashes later", "hangs later", "ends later"],
)  # fmt: skip
def test_a_library_that_hangs_or_crashes_takes_nobody_along(tmp_path, monkeypatch, code):
    refused(fake_child(tmp_path, monkeypatch, code))


RESTRICTED = "import jnst.io.formats.hdf5_child as child; child._START = child._address_space(); child._restrict()\n"


@pytest.mark.parametrize(
    ("code", "shown"),
    [("open('/dev/zero')", "Too many open files"), ("bytes(2**30)", "MemoryError")],
)
def test_the_child_opens_and_takes_no_more_than_it_needs(code, shown):
    done = subprocess.run([sys.executable, "-c", RESTRICTED + code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert shown in done.stderr


def test_the_child_ends_when_it_computes_too_long():
    code = "import jnst.io.formats.hdf5_child as child; child._allow(0.1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=20)
    assert done.returncode < 0


def test_the_childs_limits_are_those_of_the_reader():
    assert hdf5_child.MOST_ENTRIES == contents.MOST_ENTRIES


def test_attributes_that_are_no_texts_are_refused(tmp_path):
    with h5py.File(tmp_path / "vgg16.h5", "w") as file:
        file["conv1_1/kernel"] = np.zeros(3, np.float32)
        file.attrs["input"] = np.zeros((4, 4))
    refused(tmp_path / "vgg16.h5", "its attribute input is no short text")
