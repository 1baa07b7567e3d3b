"""Pixels as a PNG: for charts, whose rows are mostly those above them. Knows nothing else."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR = 2
_UP = 2
"""The filter by which a row holds its difference from the row above (PNG, 9.2)."""


def png(pixels: NDArray[np.uint8], dpi: float, about: dict[str, str]) -> bytes:
    """The file of opaque pixels, of shape (height, width, 4); `about` is written as Latin-1 text.

    The same pixels always give the same file.
    """
    height, width, _ = pixels.shape
    per_metre = round(dpi / 0.0254)
    head = struct.pack(">IIBBBBB", width, height, 8, _TRUECOLOUR, 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", head),
            *(_chunk(b"tEXt", f"{key}\0{text}".encode("latin-1")) for key, text in about.items()),
            _chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)),
            _chunk(b"IDAT", zlib.compress(_filtered(pixels).data, 1)),
            _chunk(b"IEND", b""),
        ]
    )


def _filtered(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each row as its difference from the one above, after the number of that filter."""
    rows = pixels[..., :3].reshape(len(pixels), -1)
    made = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    made[:, 0] = _UP
    made[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=made[1:, 1:])
    return made


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
