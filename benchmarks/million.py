"""How long it takes, and how much memory, to plan a million pictures in tars; nothing is painted.

python -m benchmarks.million out/million [--tars 1000] [--pictures 1000]

Makes the tars where they are missing (a picture is an empty file: 1 GB in all), and plans them as `jnst` does before it
paints: lists them, asks the manifest, counts their pictures. By their indexes, and by the heads in the tars.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

from jnst.cli.parsing import parse
from jnst.cli.tars import list_tars, told
from jnst.io.manifest import open_manifest
from jnst.io.tars import index_path, pack


def make(folder: Path, tars: int, pictures: int) -> None:
    for k in range(tars):
        path = folder / f"photos-{k:06d}.tar"
        if not path.exists():
            pack(path, ((f"{k:06d}{n:06d}.jpg", b"") for n in range(pictures)))


def plan(folder: Path, tars: int) -> tuple[float, str]:
    began = time.perf_counter()
    options = parse([str(folder / f"photos-{{000000..{tars - 1:06d}}}.tar"), str(folder / "style.png")])
    jobs = list_tars(options, folder / "out")
    manifest = open_manifest(folder / "out", "", {})
    todo = [job for job in jobs if not manifest.has(job)]
    said = f"{len(todo)} tars{told(todo)}"
    manifest.close()
    return time.perf_counter() - began, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tars", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=1000, help="in each tar")
    given = parser.parse_args()
    (given.folder / "out").mkdir(parents=True, exist_ok=True)
    (given.folder / "style.png").touch()
    make(given.folder, given.tars, given.pictures)
    rows = []
    for name in ("indexes", "heads"):
        if name == "heads":
            for path in given.folder.glob("*.tar"):
                index_path(path).unlink()
        seconds, said = plan(given.folder, given.tars)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        rows.append(f"| {name} | {said} | {seconds:.1f} | {peak:.2f} |")
    print("\n".join(["| by | what | seconds | peak memory, GB |", "| --- | --- | --- | --- |", *rows]))


if __name__ == "__main__":
    sys.exit(main())
