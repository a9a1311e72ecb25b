"""Pictures by hand, of kinds that Pillow does not write."""

import struct
import zlib
from pathlib import Path

import numpy as np


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(tmp_path: Path, color: int, depth: int, rows: np.ndarray, *extra: tuple[bytes, bytes]) -> Path:
    """A PNG by hand: Pillow writes no 16-bit colour."""

    height, width = rows.shape[:2]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    path = tmp_path / "in.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + b"".join(chunk(*e) for e in extra) + pixels + chunk(b"IEND", b""))
    return path
