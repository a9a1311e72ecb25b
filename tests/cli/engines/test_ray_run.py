"""Runs on a real local Ray cluster, each in a process of its own; skipped where Ray is not installed."""

import os
import subprocess
import sys

import pytest
from helpers import FAST_BATCH, ROOT

pytest.importorskip("ray", reason="Ray is not installed (extra ray)")

COMMAND = [sys.executable, "-m", "jnst"]
ONE_DEVICE = os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ONE_DEVICE, "JAX_PLATFORMS": "cpu"}


def run(folder, out, *more):
    places = [folder / "photos", folder / "paintings", "-o", folder / out]
    command = list(map(str, [*COMMAND, *places, *FAST_BATCH, *more]))
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_a_cluster_paints_what_one_process_does(folders):
    (folders / "photos" / "c.png").write_bytes(b"broken")
    done = run(folders, "out", "--engine", "ray", "--workers", 2)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("c.png is not an image that can be read") == 2
    assert "6 of 6 done, 2 failed" in done.stderr
    assert "(4 pictures," in done.stdout
    assert run(folders, "local").returncode == 1
    painted = {path.name: path.read_bytes() for path in (folders / "out").glob("*.png")}
    assert painted == {path.name: path.read_bytes() for path in (folders / "local").glob("*.png")}
    again = run(folders, "out")  # one process goes on where the cluster was
    assert "4 of 6 are done already" in again.stderr


@pytest.mark.thorough
def test_workers_and_driver_may_be_killed(tmp_path):
    command = [sys.executable, "-m", "benchmarks.ray_faults", str(tmp_path / "out")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=900, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for name in ("local", "disturbed", "undisturbed"):
        assert f"| {name} | 199 | 0 | 0 | 199 of 199 |" in done.stdout
