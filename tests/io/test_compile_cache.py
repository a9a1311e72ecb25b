"""Compiled programs are kept in the user's cache directory, and found again by another process."""

import os
import subprocess
import sys

import pytest
from helpers import EXAMPLES
from PIL import Image

# Runs a job and prints how many programs were found among the kept ones, how many were compiled that take a while, and
# whether the run's own one was traced. Small programs (jax.numpy's, which depend on an image's size) are kept where
# they take 0.02 s to compile, on a busy machine now these, now those: they are not counted.
CODE = """
import sys
import threading
import jax
hits, misses = [], []
traced, missed = set(), set()
def look(event, seconds, fun_name="", **more):
    if event.endswith("jaxpr_trace_duration"):
        traced.add(fun_name)
    if event.endswith("backend_compile_duration") and threading.get_ident() in missed:
        missed.remove(threading.get_ident())
        misses.extend([fun_name] * (seconds > 0.2))
jax.monitoring.register_event_duration_secs_listener(look)
def count(event, **more):
    if event.endswith("/cache_hits"):
        hits.append(event)
    if event.endswith("/cache_misses"):
        missed.add(threading.get_ident())
jax.monitoring.register_event_listener(count)
from jnst.cli import main as run
code = run.main(sys.argv[1:])
print(len(hits), len(misses), int("run_chunk" in traced))
sys.exit(code)
"""


@pytest.fixture
def start(tmp_path):
    """Starts a job whose user has `tmp_path / "cache"` as cache directory."""

    def start(name, *arguments, content=EXAMPLES / "cat.png", **environment):
        names = [str(content), str(EXAMPLES / "swirls.jpg"), "-o", str(tmp_path / f"{name}.png")]
        fast = ["--style-layers", "conv1_1", "--content-layers", "conv1_1", "--backbone", "vgg16", "--quiet",
                "--image-size", "48", "--iterations", "1"]  # fmt: skip
        kept = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
        environment = {**kept, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
        command = [sys.executable, "-c", CODE, *names, *fast, *arguments]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return start


def finish(process):
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert error == ""
    return tuple(map(int, out.split()))


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is Linux's")
def test_processes_share_what_they_have_compiled(start, tmp_path):
    both = [start("a"), start("b")]  # at once: they look for and write the same programs
    assert all(hits + misses > 0 for hits, misses, _ in map(finish, both))
    kept = set((tmp_path / "cache" / "jnst" / "compiled").glob("*-cache"))
    assert kept
    hits, misses, traced = finish(start("c"))
    assert hits >= len(kept)
    assert misses == 0
    assert not traced
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in "abc"]
    assert pictures[0] == pictures[1] == pictures[2]


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is Linux's")
def test_a_photograph_of_another_size_compiles_nothing(start, tmp_path):
    """From two cameras, 2:3 and 3:4, in other numbers of pixels."""
    for name, size in (("first", (300, 200)), ("second", (240, 180))):
        with Image.open(EXAMPLES / "cat.png") as picture:
            picture.convert("RGB").resize(size).save(tmp_path / f"{name}.png")
    more = ["--image-size", "96", "--scales", "2", "--iterations", "2"]
    assert finish(start("a", *more, content=tmp_path / "first.png"))[1] > 0
    hits, misses, traced = finish(start("b", *more, content=tmp_path / "second.png"))
    assert hits > 0
    assert misses == 0
    assert not traced


@pytest.mark.thorough
@pytest.mark.parametrize("off", ["flag", "variable", "directory"])
def test_the_user_may_have_none(off, start, tmp_path):
    if off == "flag":
        assert finish(start("a", "--no-compilation-cache")) == (0, 0, 1)
    elif off == "variable":
        assert finish(start("a", JAX_ENABLE_COMPILATION_CACHE="false")) == (0, 0, 1)
    else:
        (tmp_path / "cache").write_text("a file where the directory should be")
        assert finish(start("a")) == (0, 0, 1)
    assert not (tmp_path / "cache" / "jnst").exists()
