"""The default objective and the 2017 study's solver in plain PyTorch: what benchmarks.speed compares with.

python -m benchmarks.baselines_torch photo.jpg painting.jpg out.png --weights vgg19.h5 --evaluations 200

PyTorch is no dependency of jnst: pip install -e ".[bench]". The last line printed is JSON: loss, seconds, peak memory.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

from benchmarks.problem import ONE_SIZE
from jnst.config import DEFAULT_STRENGTH
from jnst.io import image, weights
from jnst.memory import peak_of_process
from jnst.network.architecture import block_of, layer_names

HISTORY = 100  # PyTorch's default


class Objective:
    """`L = (1 - r) L_c + r L_s` of `ONE_SIZE`, by autograd; images are NCHW.

    Args:
        params: as `jnst.io.weights.load` gives them.
        content, style: (1, h, w, 3), RGB in [0, 1].
        channels_last: PyTorch's other memory layout.
    """

    def __init__(
        self, params: Any, content: Any, style: Any, *,
        device: str = "cpu", dtype: Any = torch.float32, channels_last: bool = False,
    ) -> None:  # fmt: skip
        self.device, self.dtype, config = device, dtype, ONE_SIZE
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.mean, self.std = (self._tensor(params["input"][key]).view(1, 3, 1, 1) for key in ("mean", "std"))
        self.read_layers = {*config.content_layers, *config.style_layers}
        names = layer_names("vgg19" if "conv3_4" in params else "vgg16")
        names = names[: 1 + max(names.index(layer) for layer in self.read_layers)]
        self.layers = [
            (name, self._kernel(params[name]["kernel"]), self._tensor(params[name]["bias"])) for name in names
        ]
        self.match(content, style)

    def match(self, content: Any, style: Any) -> None:
        """Another pair, by the same network."""
        with torch.no_grad():
            maps, style_maps = self.features(self.image(content)), self.features(self.image(style))
        self.content = {name: maps[name] for name in ONE_SIZE.content_layers}
        self.gram = {name: mean_gram(style_maps[name]) for name in ONE_SIZE.style_layers}

    def _tensor(self, array: Any) -> Any:
        return torch.tensor(np.asarray(array), device=self.device, dtype=self.dtype)

    def _kernel(self, kernel: Any) -> Any:
        return self._tensor(np.asarray(kernel).transpose(3, 2, 0, 1).copy()).contiguous(memory_format=self.format)

    def image(self, pixels: Any) -> Any:
        """From (1, h, w, 3) to (1, 3, h, w)."""
        return self._tensor(np.moveaxis(np.asarray(pixels), -1, 1).copy()).contiguous(memory_format=self.format)

    def features(self, x: Any) -> dict[str, Any]:
        x, maps, block = (x - self.mean) / self.std, {}, 1
        for name, kernel, bias in self.layers:
            if block_of(name) > block:
                x, block = functional.max_pool2d(x, 2), block_of(name)
            x = functional.relu(functional.conv2d(x, kernel, bias, padding=1))
            if name in self.read_layers:
                maps[name] = x
        return maps

    def loss(self, x: Any) -> Any:
        maps = self.features(x)
        content = sum(relative(maps[name], target) for name, target in self.content.items())
        style = sum(relative(mean_gram(maps[name]), target) for name, target in self.gram.items()) / len(self.gram)
        return (1 - DEFAULT_STRENGTH) * content + DEFAULT_STRENGTH * style

    def value_and_grad(self, x: Any) -> tuple[Any, Any]:
        x = x.detach().requires_grad_(True)
        value = self.loss(x)
        value.backward()
        return value.detach(), x.grad


def mean_gram(maps: Any) -> Any:
    f = maps.flatten(2)
    return f @ f.transpose(1, 2) / f.shape[2]


def relative(x: Any, target: Any) -> Any:
    return ((x - target) ** 2).sum() / (target**2).sum()


def lbfgs(objective: Objective, start: Any, evaluations: int) -> tuple[np.ndarray, float]:
    """LBFGS(lr=1) with clamping before each evaluation; the image (1, h, w, 3) and its seconds."""
    x = objective.image(start).contiguous().requires_grad_(True)  # LBFGS takes no other layout
    solver = torch.optim.LBFGS(
        [x],
        lr=1,
        history_size=HISTORY,
        max_iter=evaluations - 1,
        max_eval=10**9,
        tolerance_grad=-1,
        tolerance_change=-1,
    )

    def closure() -> Any:
        with torch.no_grad():
            x.clamp_(0, 1)
        solver.zero_grad()
        value = objective.loss(x.contiguous(memory_format=objective.format))
        value.backward()
        return value

    began = time.perf_counter()
    solver.step(closure)
    pixels = x.detach().clamp(0, 1).cpu().numpy()
    return np.moveaxis(pixels, 1, -1), time.perf_counter() - began


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--image-size", type=int, default=512)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args(arguments)
    content = image.load(options.content, image_size=options.image_size)
    style = image.load(options.style, image_size=max(content.shape[1:3]))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    params = weights.load(options.weights).params
    objective = Objective(params, content, style, device=device, channels_last=options.channels_last)
    pixels, seconds = lbfgs(objective, content, options.evaluations)
    image.save(pixels, options.output)
    peak = peak_of_process()
    print(json.dumps({"loss": float(objective.loss(objective.image(pixels))), "seconds": seconds, "peak": peak}))


if __name__ == "__main__":
    main()
