"""Small ICC profiles by hand: grey and RGB with a power as curve, and CMYK with a table."""

import struct

import numpy as np

from jnst.io.color import BT709, rgb_to_rgb

D50 = (0.9642, 1.0, 0.8249)
_SRGB_TO_XYZ = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])  # under D50


def _number(value: float) -> bytes:
    return struct.pack(">i", round(float(value) * 65536))


def _xyz(values) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_number, values))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _profile(space: bytes, tags: dict[bytes, bytes], *, connection: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    about = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78), b"cprt": b"text\0\0\0\0-\0"}
    table, body, start = b"", b"", 132 + 12 * (len(tags) + 3)
    for name, data in {**about, b"wtpt": _xyz(D50), **tags}.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    head += b"acsp" + bytes(28) + b"".join(map(_number, D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags) + 3) + table + body


def grey(gamma: float) -> bytes:
    return _profile(b"GRAY", {b"kTRC": _curve(gamma)})


def rgb(gamma: float, primaries=BT709) -> bytes:
    columns = (_SRGB_TO_XYZ @ rgb_to_rgb(primaries, BT709)).T
    tags: dict[bytes, bytes] = {}
    for channel, column in zip((b"r", b"g", b"b"), columns, strict=True):
        tags |= {channel + b"XYZ": _xyz(column), channel + b"TRC": _curve(gamma)}
    return _profile(b"RGB ", tags)


def cmyk_as_grey() -> bytes:
    """Lightness 100 (1 - K), whatever the other inks: no plain conversion gives that."""
    corners = [(255 * (1 - black), 128, 128) for _ in range(8) for black in (0, 1)]  # K changes fastest
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + b"".join(map(_number, np.eye(3).ravel()))
    table += ramp * 4 + bytes(np.array(corners, np.uint8).ravel()) + ramp * 3
    return _profile(b"CMYK", {b"A2B0": table}, connection=b"Lab ", kind=b"prtr")
