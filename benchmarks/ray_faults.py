"""What a Ray run survives: python -m benchmarks.ray_faults OUT [--weights vgg19.h5] [--pictures 200] [--workers 3]

Paints small pictures of noise, one of them broken, three ways, and compares: in this process; on a local cluster with a
worker killed (SIGKILL), then the driver killed and begun again; undisturbed on a cluster that was there before, where
the object store is looked at. Takes about three minutes on two cores.
"""

import argparse
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

SETTINGS = ["--content-layers", "conv2_1", "--style-layers", "conv1_1", "--scales", "1", "--style-sizes", "1"]
LIMIT = 600  # seconds for each wait


def make(folder: Path, pictures: int, size: int) -> None:
    """Photographs of noise, the sixth of them broken, and a painting."""
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir(parents=True)
    for k in range(pictures):
        pixels = rng.uniform(0, 255, (size if k % 4 else size * 3 // 4, size, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"p{k:04d}.png")
    (folder / "photos" / "p0005.png").write_bytes(b"broken")
    Image.fromarray(rng.uniform(0, 255, (size, size, 3)).astype(np.uint8)).save(folder / "style.png")


def start(folder: Path, out: str, settings: list[str], *more: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "jnst", str(folder / "photos"), str(folder / "style.png"), "-o", str(folder / out)]
    return subprocess.Popen([*command, *settings, *more], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def lines(out: Path) -> list[str]:
    """The pictures that the manifests name, each as often as they do."""
    text = "".join(path.read_text() for path in out.glob("manifest*.jsonl"))
    return [json.loads(line)["job"]["output"] for line in text.splitlines() if line.endswith("}")]


def workers(out: Path) -> set[int]:
    """Processes that have a manifest and live."""
    found = {int(match[1]) for path in out.glob("manifest-ray-*") if (match := re.search(r"-(\d+)\.jsonl$", path.name))}
    return {pid for pid in found if Path(f"/proc/{pid}/stat").exists()}


def peak(pid: int) -> float:
    """The most memory that a process has held, in GB."""
    try:
        return int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 2**20
    except (OSError, IndexError):
        return 0.0


class Peaks:
    """The most memory of the driver and of any worker."""

    def __init__(self) -> None:
        self.driver, self.worker, self.store = 0.0, 0.0, 0.0

    def look(self, process: subprocess.Popen[str], out: Path) -> None:
        self.driver = max(self.driver, peak(process.pid))
        self.worker = max([self.worker, *map(peak, workers(out))])


def wait_for(process: subprocess.Popen[str], out: Path, count: int, peaks: Peaks) -> None:
    """Waits until so many pictures are in the manifests, or the process has ended."""
    end = time.monotonic() + LIMIT
    while process.poll() is None and len(set(lines(out))) < count and time.monotonic() < end:
        peaks.look(process, out)
        time.sleep(0.1)


def finish(process: subprocess.Popen[str], out: Path, peaks: Peaks) -> tuple[int, str]:
    """Exit code and standard error."""
    wait_for(process, out, sys.maxsize, peaks)
    _, errors = process.communicate(timeout=LIMIT)
    return process.returncode, errors


def disturbed(folder: Path, settings: list[str], pictures: int, count: int, peaks: Peaks) -> list[str]:
    """A worker killed after a fifth of the pictures, the driver after a half, and begun again."""
    out, more, told = folder / "disturbed", ("--engine", "ray", "--workers", str(count)), []
    process = start(folder, "disturbed", settings, *more)
    wait_for(process, out, pictures // 5, peaks)
    victim = min(workers(out))
    os.kill(victim, signal.SIGKILL)
    told.append(f"worker killed after {len(lines(out))} pictures")
    wait_for(process, out, pictures // 2, peaks)
    left = workers(out)
    process.kill()
    _, errors = process.communicate()
    told += [line for line in errors.splitlines() if "lost" in line]
    began = time.monotonic()
    while workers(out) & left and time.monotonic() - began < 60:
        time.sleep(0.05)
    told.append(
        f"driver killed after {len(lines(out))} pictures; its workers ended {time.monotonic() - began:.1f} s later"
    )
    process = start(folder, "disturbed", settings, *more)
    code, errors = finish(process, out, peaks)
    return [
        *told,
        *(line for line in errors.splitlines() if "already" in line or "failed" in line[-8:]),
        f"exit code {code}",
    ]


def undisturbed(folder: Path, settings: list[str], count: int, peaks: Peaks) -> list[str]:
    """On a cluster that is there before, whose object store is looked at meanwhile."""
    import ray  # pyright: ignore[reportMissingImports]

    ray.init(address="local", num_cpus=count, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    out, began = folder / "undisturbed", time.monotonic()
    where = ray.get_runtime_context().gcs_address
    more = ("--engine", "ray", "--address", where, "--workers", str(count))
    process = start(folder, "undisturbed", settings, *more)
    whole = ray.cluster_resources()["object_store_memory"]
    while process.poll() is None:
        peaks.look(process, out)
        peaks.store = max(peaks.store, whole - ray.available_resources().get("object_store_memory", 0))
        time.sleep(0.2)
    code, _ = finish(process, out, peaks)
    ray.shutdown()
    return [f"exit code {code}, {time.monotonic() - began:.0f} s"]


def compare(folder: Path, name: str) -> str:
    """A row of the table."""
    expected = {path.name: path.read_bytes() for path in (folder / "local").glob("*.png")}
    painted = {path.name: path.read_bytes() for path in (folder / name).glob("*.png")}
    counts = Counter(lines(folder / name))
    twice = sum(count > 1 for count in counts.values())
    equal = sum(painted.get(key) == value for key, value in expected.items())
    missing = len(set(expected) - (set(painted) & set(counts)))
    return f"| {name} | {len(painted)} | {twice} | {missing} | {equal} of {len(expected)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a folder that is made anew")
    parser.add_argument("--weights", type=Path, help="else the VGG-16 that comes with jnst")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    folder = given.out.resolve()
    make(folder, given.pictures, given.size)
    network = ["--weights", str(given.weights.resolve())] if given.weights else ["--backbone", "vgg16"]
    settings = [*SETTINGS, *network, "--image-size", str(given.size), "--iterations", str(given.iterations)]
    peaks = Peaks()
    code, _ = finish(start(folder, "local", settings), folder / "local", Peaks())
    print(f"local: exit code {code}")
    print("disturbed:", "; ".join(disturbed(folder, settings, given.pictures, given.workers, peaks)))
    print("undisturbed:", "; ".join(undisturbed(folder, settings, given.workers, peaks)))
    print("\n| run | pictures | twice | missing | equal to local |\n| --- | --- | --- | --- | --- |")
    for name in ("local", "disturbed", "undisturbed"):
        print(compare(folder, name))
    print(f"\npeak memory: driver {peaks.driver:.2f} GB, a worker {peaks.worker:.2f} GB; "
          f"object store {peaks.store / 1e6:.1f} MB at most")  # fmt: skip


if __name__ == "__main__":
    main()
