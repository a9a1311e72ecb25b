"""What accelerators can do at most, as their makers publish it. Needs no JAX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """One accelerator's published figures.

    Attributes:
        title: what it is, for people.
        flops: operations a second of products, by the precisions of `Config.precision`.
        bandwidth: of its memory, bytes a second.
        memory: bytes.
        platform: what JAX calls its kind.
    """

    title: str
    flops: dict[str, float]
    bandwidth: float
    memory: float
    platform: str


def _tpu(title: str, bfloat16: float, bandwidth: float, memory: float) -> Chip:
    """A TPU multiplies in bfloat16: three passes make a product of `Precision.HIGH`, six one of `HIGHEST`."""
    rates = {"bfloat16": bfloat16, "tensorfloat32": bfloat16 / 3, "float32": bfloat16 / 6}
    return Chip(title, rates, bandwidth, memory, "tpu")


CHIPS = {
    "v5e": _tpu("TPU v5e", 197e12, 819e9, 16e9),
    "v6e": _tpu("TPU v6e", 918e12, 1640e9, 32e9),
    "h100": Chip(
        "H100 SXM", {"bfloat16": 989e12, "tensorfloat32": 494e12, "float32": 67e12}, 3350e9, 80e9, "cuda"
    ),  # dense
}
"""by the short names that people use"""
