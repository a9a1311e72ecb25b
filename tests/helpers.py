"""What several test files share and no fixture needs."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jnst.io.formats import Input, Table
from jnst.network.architecture import kernel_shapes, layer_names

TESTS = Path(__file__).parent
ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
SHARED = ROOT.parent / "shared"
KERAS_VGG19 = SHARED / "weights" / "vgg19_oxford_keras_layout.h5"
IMAGES = SHARED / "images"
FAST_BATCH = ["--content-layers", "conv2_1", "--style-layers", "conv1_1", "--backbone", "vgg16", "--iterations", "2",
              "--scales", "1", "--style-sizes", "1", "--no-compilation-cache", "--batch-size", "2"]  # fmt: skip

# whole files of the marker `fast`, but for what they mark as slow themselves; `pytest -n auto -m fast` takes about 20 s
FAST_FILES = (
    "cli/engines/test_chunks.py", "cli/engines/test_engine_options.py",
    "cli/test_animation.py", "cli/test_config_file.py", "cli/test_folders.py", "cli/test_interrupts.py",
    "cli/test_keeping.py", "cli/test_progress.py", "cli/test_shards.py", "cli/test_tables.py", "cli/test_terminal.py",
    "cli/test_writing.py", "io/test_atomic.py", "io/test_checkpoint_file.py", "io/test_clip.py",
    "io/test_data_images.py", "io/test_film.py", "io/test_image.py", "io/test_layouts.py", "io/test_manifest.py",
    "io/test_paths.py", "io/test_pipes.py", "io/test_plot.py", "io/test_recipe.py", "io/test_slots.py",
    "io/test_tars.py", "io/test_trace.py",
    "io/test_unpickle.py", "losses/test_pyramid.py", "losses/test_statistics.py", "network/test_architecture.py",
    "properties/test_canvas_laws.py", "properties/test_image_laws.py", "studio/test_events.py",
    "studio/test_guard.py", "studio/test_settings.py", "studio/test_store.py", "studio/test_uploads.py",
    "studio/test_worker.py", "test_api.py", "test_batching.py", "test_config.py", "test_presets.py", "test_sizes.py",
    "test_tileable.py",
)  # fmt: skip


def picture(height: int, width: int, *, seed: int = 0) -> jax.Array:
    """(1, h, w, 3) in [0, 1]: smooth colours and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 11.0
    phase = rng.uniform(0, 6, 3)
    waves = np.stack([np.sin(x + phase[0]), np.cos(y + phase[1]), np.sin(x * y / 5 + phase[2])], -1)
    return jnp.asarray(np.clip(0.5 + 0.3 * waves + rng.uniform(-0.2, 0.2, waves.shape), 0, 1), jnp.float32)[None]


def small_table(architecture: str = "vgg19") -> Table:
    """Right shapes, constant values: compresses to little, reads fast."""
    layers = {}
    for k, (name, shape) in enumerate(kernel_shapes(architecture).items()):
        layers[name] = {"kernel": np.full(shape, 0.01 * (k + 1), np.float32), "bias": np.zeros(shape[-1:], np.float32)}
    return Table(layers, "caffe-bgr")


def tiny_table(input: Input = "torch-rgb") -> Table:
    """Names of all layers of VGG-16, kernels of 3x3 from 2 to 3 channels: for readers, who do not judge shapes."""
    rng = np.random.default_rng(0)
    layers = {name: {"kernel": rng.random((3, 3, 2, 3), np.float32), "bias": rng.random(3, np.float32)}
              for name in layer_names("vgg16")}  # fmt: skip
    return Table(layers, input, "source", "license")
