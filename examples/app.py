"""A demo page for a host such as Hugging Face Spaces: pip install gradio, then python examples/app.py.

For one's own machine there is `jnst studio`, which needs no gradio, keeps what was painted and lets nobody else in.
"""

import queue
import threading

import gradio  # pyright: ignore[reportMissingImports]
import numpy as np

from jnst import Config, find_weights, stylize
from jnst.io.image import resize

LARGEST = 384
"""pixels of the longer side: a visitor waits"""


def small(image: np.ndarray) -> np.ndarray:
    """(1, h, w, 3) in [0, 1], of at most that size."""
    pixels = image[None, ..., :3].astype(np.float32) / 255
    height, width = pixels.shape[1:3]
    scale = min(1, LARGEST / max(height, width))
    return resize(pixels, round(height * scale), round(width * scale))


def paint(photograph: np.ndarray | None, painting: np.ndarray | None, strength: float, iterations: int):
    """The picture as it grows; a visitor who leaves ends the run."""
    if photograph is None or painting is None:
        raise gradio.Error("Give a photograph and a painting.")
    grown, left = queue.Queue(), threading.Event()

    def show(progress) -> bool:
        grown.put(progress.image()[0])
        return left.is_set()

    def work() -> None:
        try:
            config = Config(strength=strength, iterations=int(iterations))
            grown.put(stylize(small(photograph), small(painting), config, find_weights(), callback=show).image[0])
        except Exception as error:
            grown.put(error)
        grown.put(None)

    threading.Thread(target=work).start()
    try:
        while (image := grown.get()) is not None:
            if isinstance(image, Exception):
                raise gradio.Error(str(image))
            yield (255 * np.asarray(image)).round().astype(np.uint8)
    finally:
        left.set()


demo = gradio.Interface(
    paint, [gradio.Image(label="Photograph"), gradio.Image(label="Painting"),
            gradio.Slider(0.5, 0.98, 0.92, label="Strength"), gradio.Slider(10, 200, 60, step=10, label="Iterations")],
    gradio.Image(label="Picture"), title="jnst: neural style transfer in JAX", flagging_mode="never",
)  # fmt: skip

if __name__ == "__main__":
    demo.queue(default_concurrency_limit=1).launch()
