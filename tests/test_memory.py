import subprocess
import sys

import numpy as np
import pytest

from jnst.memory import peak_of_process


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
