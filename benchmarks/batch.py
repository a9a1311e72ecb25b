"""Figures `batch` and `throughput` of benchmarks.speed: many photographs."""

import argparse
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

import jnst
from benchmarks.commands import run_jnst
from benchmarks.evaluation import HAS_TORCH
from benchmarks.problem import CONTENT, ONE_SIZE, STYLE, load_params
from jnst.capacity import available
from jnst.io import image
from jnst.jobs import Job, Picture

SHAPES = [(1, 0.75), (0.75, 1), (1, 1), (1, 0.66), (0.66, 1), (1, 0.7)]  # (width, height) over the longer side


def photographs(options: argparse.Namespace, size: int, count: int) -> list[Image.Image]:
    """Crops of Tuebingen in six sizes."""
    crops = []
    with Image.open(options.images / CONTENT) as picture:
        for k in range(count):
            width, height = (round(size * side) for side in SHAPES[k % len(SHAPES)])
            place = (10 * k, 5 * k, 10 * k + 4 * width, 5 * k + 4 * height)
            crops.append(picture.crop(place).resize((width, height), Image.Resampling.LANCZOS))
    return crops


def batch(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 6: a folder of photographs against as many single runs of the command line."""
    for size, iterations in zip(options.batch_sizes, options.batch_iterations, strict=True):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "photos").mkdir()
            for k, photo in enumerate(photographs(options, size, options.batch_photos)):
                photo.save(folder / "photos" / f"{k:02d}.png")
            common = ["--weights", options.weights, "--image-size", size, "--iterations", iterations, "--quiet"]

            def run(content: Path, output: Path, common: list = common, folder: Path = folder) -> float:
                return run_jnst([content, options.images / STYLE, "-o", output, *common], folder / "cache")

            photos = sorted((folder / "photos").iterdir())
            first = run(folder / "photos", folder / "first")
            for photo in photos[: len(SHAPES)]:
                run(photo, folder / f"compile_{photo.name}")
            single = sum(run(photo, folder / photo.name) for photo in photos)
            together = run(folder / "photos", folder / "again")
            yield {
                "size": size, "iterations": iterations, "photographs": len(photos), "single runs": single,
                "one batch": together, "ratio": together / single, "one batch, compiling": first,
            }  # fmt: skip


def throughput(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figure 7: images an hour in one process, files aside: single runs in a loop, a batch, PyTorch in a loop.

    All at one scale, with as many iterations. PyTorch computes as it does by default, on a GPU with convolutions in
    TF32; jnst in the precisions given.
    """
    for size in options.throughput_sizes:
        photos = Photographs(options, size)
        contenders: dict[str, Callable[[int], None]] = {}
        for precision in options.throughput_precisions:
            contenders[f"jnst, one by one, {precision}"] = partial(photos.one_by_one, precision)
            contenders[f"jnst, one batch, {precision}"] = partial(photos.one_batch, precision)
        if HAS_TORCH:
            contenders["PyTorch, one by one"] = photos.by_torch()
        rates: dict[str, float] = {}
        rows = []
        for name, run in contenders.items():
            run(1)  # compiles
            with gpu_use() as use:
                began = time.perf_counter()
                run(options.throughput_iterations)
                seconds = time.perf_counter() - began
            rates[name] = 3600 * len(photos.contents) / seconds
            rows.append({
                "size": size, "iterations": options.throughput_iterations, "photographs": len(photos.contents),
                "contender": name, "images an hour": rates[name],
                "over one by one": rates[name] / rates[name.replace("one batch", "one by one")],
                "GPU busy, %": use(),
            })  # fmt: skip
        for row in rows:
            yield {**row, "over PyTorch": rates[row["contender"]] / rates["PyTorch, one by one"] if HAS_TORCH else ""}


class Photographs:
    """The photographs at one size, one painting, and what paints them all."""

    def __init__(self, options: argparse.Namespace, size: int) -> None:
        self.weights = load_params(options.weights)
        pictures = photographs(options, size, options.batch_photos)
        self.contents = [np.asarray(picture.convert("RGB"), np.float32)[None] / 255 for picture in pictures]
        self.style = image.load(options.images / STYLE, image_size=size)

    def one_by_one(self, precision: Any, count: int) -> None:
        config = replace(ONE_SIZE, precision=precision, iterations=count)
        for content in self.contents:
            jnst.stylize(content, self.style, config, self.weights)

    def one_batch(self, precision: Any, count: int) -> None:
        config = replace(ONE_SIZE, precision=precision, iterations=count)
        style = Picture.from_array(self.style)
        jobs = [Job(Picture.from_array(content), style) for content in self.contents]
        for result in jnst.stylize_many(jobs, self.weights, config=config, memory=available()):
            if result.error:
                raise RuntimeError(result.error)

    def by_torch(self) -> Callable[[int], None]:
        import torch  # pyright: ignore[reportMissingImports]

        from benchmarks.baselines_torch import Objective, lbfgs

        device = "cuda" if torch.cuda.is_available() else "cpu"
        objective = Objective(self.weights.params, self.contents[0], self.style, device=device, channels_last=True)

        def run(count: int) -> None:
            for content in self.contents:
                objective.match(content, self.style)
                lbfgs(objective, content, count + 1)

        return run


@contextlib.contextmanager
def gpu_use() -> Iterator[Callable[[], Any]]:
    """How many per cent of the time a GPU has computed, by nvidia-smi; empty where there is none.

    Yields a function that returns it, to be called after the block.
    """
    if jax.default_backend() != "gpu" or shutil.which("nvidia-smi") is None:
        yield lambda: ""
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]
    with tempfile.TemporaryFile("w+") as lines:
        watch = subprocess.Popen(command, stdout=lines)
        try:
            yield lambda: float(np.mean(values))
        finally:
            watch.terminate()
            watch.wait()
            lines.seek(0)
            values = [float(line) for line in lines if line.strip().isdigit()] or [float("nan")]
