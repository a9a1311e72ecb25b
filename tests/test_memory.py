import subprocess
import sys

import numpy as np
import pytest

from jnst.memory import peak_of_process, resident


def test_the_peak_grows_with_what_is_held():
    """In a process of its own: the one of all tests has a peak of gigabytes, and more than that must be held."""
    code = (
        "import numpy as np; from jnst.memory import peak_of_process as peak; before = peak(); "
        "held = np.ones(before // 8 + 10**7); assert peak() > before + held.nbytes // 2"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_held_now_is_at_most_the_peak():
    assert 10**7 < resident() <= peak_of_process()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no VmHWM")
def test_a_child_does_not_begin_with_its_parents_peak():
    held = np.ones(10**8)
    code = "from jnst.memory import peak_of_process; print(peak_of_process())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(child.stdout) < held.nbytes // 2
