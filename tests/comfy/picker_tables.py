"""Reads the tables that the node writes for the picker, by `web/PROTOCOL.md` alone."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np


def read_tables(path: Path) -> dict[str, Any]:
    """Facts and arrays of a file by their names."""
    content = zlib.decompress(path.read_bytes())
    start = 4 + int.from_bytes(content[:4], "little")
    facts = json.loads(content[4:start])
    for name, array in facts.pop("arrays").items():
        kind, count = np.dtype(array["type"]).newbyteorder("<"), int(np.prod(array["shape"]))
        assert (start + array["offset"]) % 8 == 0, "where JavaScript can read it in place"
        facts[name] = np.frombuffer(content, kind, count, start + array["offset"]).reshape(array["shape"])
    return facts
