"""What golden/ holds, and the attention that belongs to it; golden/README.md says how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage import data

from diffseg_core import AttentionMaps

FOLDER = Path(__file__).parent / "golden"
REFERENCE = sorted(FOLDER.glob("*-m*.npz"))
NESTED = sorted(FOLDER.glob("nested-*.npz"))
PHOTOGRAPHS = {"chelsea": "chelsea-s3-t1.1_1.1_1.1-m16", "coffee": "coffee-s2-t0.9_0.9_0.9-m16"}
"""Of scikit-image, and the file whose attention goes with each in the nested goldens."""
CUTS = (None, 5, 20)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file, and its description."""
    with np.load(path) as file:
        stored = dict(file)
    return stored, json.loads(str(stored["meta"]))


def attention_maps(stored: dict[str, np.ndarray], meta: dict[str, Any]) -> AttentionMaps:
    """The attention of a reference file at its four resolutions."""
    sides = (64, 32, 16, 8)
    return AttentionMaps(
        {(side, side): _attention_from(stored[f"features_{side}"], meta["floor"]) for side in sides}
    )


def _attention_from(features: np.ndarray, floor: float) -> torch.Tensor:
    """As golden/README.md describes it: float64 `[heads, n, 5]` to float32 `[1, n, n]`."""
    total = np.zeros((features.shape[1],) * 2, np.float32)
    for head in features.astype(np.float64):
        scores = head @ head.T - 0.5 * (head**2).sum(1)
        scores -= scores.max(1, keepdims=True)
        np.exp(scores, out=scores)
        scores *= (1 - floor) / scores.sum(1, keepdims=True)
        total += (scores + floor / len(scores)).astype(np.float32)
    return torch.from_numpy(total / np.float32(len(features)))[None]


def photograph(name: str) -> torch.Tensor:
    """The middle square of one of scikit-image's photographs, float32 `[1, H, H, 3]` in 0..1."""
    pixels = getattr(data, name)()
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return torch.from_numpy(pixels[top : top + side, left : left + side].copy()).float()[None] / 255.0


def nested_maps(name: str) -> AttentionMaps:
    """The attention that goes with a photograph."""
    return attention_maps(*read(FOLDER / f"{PHOTOGRAPHS[name]}.npz"))
