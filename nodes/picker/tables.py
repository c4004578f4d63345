"""Tables for the browser: facts and arrays in one file, of which `web/PROTOCOL.md` has the format."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 8  # bytes: where arrays may begin

Arrays = Mapping[str, npt.NDArray[Any]]


def packed(facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Facts and arrays as the content of one file.

    Args:
        facts: of JSON.
        arrays: of numbers, of any shape. Their types are named as NumPy names them.
    """
    described: dict[str, Any] = {}
    parts: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        described[name] = {"type": array.dtype.name, "shape": array.shape, "offset": offset}
        parts.append(raw.ljust(_aligned(len(raw)), b"\0"))
        offset += len(parts[-1])
    header = json.dumps({**facts, "arrays": described}).encode()
    length = _aligned(len(header) + 4) - 4  # which takes 4 bytes itself
    return zlib.compress(b"".join((length.to_bytes(4, "little"), header.ljust(length), *parts)), level=1)


def _aligned(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT
