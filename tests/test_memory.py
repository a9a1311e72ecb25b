import subprocess
import sys

import numpy as np
import pytest

from jnst import InputError
from jnst.memory import parse_bytes, peak_of_process


def test_the_peak_grows_with_what_is_held():
    before = peak_of_process()
    held = np.ones(before // 8 + 10**7)  # more than ever before
    assert peak_of_process() > before + held.nbytes // 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no VmHWM")
def test_a_child_does_not_begin_with_its_parents_peak():
    held = np.ones(10**8)
    code = "from jnst.memory import peak_of_process; print(peak_of_process())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(child.stdout) < held.nbytes // 2


@pytest.mark.parametrize(
    ("text", "count"), [("6GB", 6 * 10**9), ("800 mb", 8 * 10**8), ("1.5GiB", 3 * 2**29), ("7", 7)]
)
def test_sizes_as_users_write_them(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "much", "6 apples", "0GB", "-1GB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(InputError, match="--max-memory must be a size like 6GB or 800MB"):
        parse_bytes(text)
