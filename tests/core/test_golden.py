"""The reference implementation's own output, file by file (golden/README.md says how it was made)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from diffseg_core import AttentionMaps, segment

FILES = sorted((Path(__file__).parent / "golden").glob("*.npz"))


class Golden(NamedTuple):
    stored: dict[str, np.ndarray]
    meta: dict[str, Any]
    maps: AttentionMaps


def attention_from_features(features: np.ndarray, floor: float) -> torch.Tensor:
    """As golden/README.md describes it: float64 `[heads, n, 5]` to float32 `[1, n, n]`."""
    total = np.zeros((features.shape[1],) * 2, np.float32)
    for head in features.astype(np.float64):
        scores = head @ head.T - 0.5 * (head**2).sum(1)
        scores -= scores.max(1, keepdims=True)
        np.exp(scores, out=scores)
        scores *= (1 - floor) / scores.sum(1, keepdims=True)
        total += (scores + floor / len(scores)).astype(np.float32)
    return torch.from_numpy(total / np.float32(len(features)))[None]


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Golden:
    with np.load(request.param) as file:
        stored = dict(file)
    meta = json.loads(str(stored["meta"]))
    maps = {
        (side, side): attention_from_features(stored[f"features_{side}"], meta["floor"])
        for side in (64, 32, 16, 8)
    }
    return Golden(stored, meta, AttentionMaps(maps))


def test_there_are_golden_files_with_and_without_kmeans():
    assert len(FILES) >= 6
    assert any("kmeans" in path.stem for path in FILES)


def test_aggregate_equals_the_reference(golden: Golden):
    rows = golden.maps.aggregate()[0, torch.from_numpy(golden.stored["aggregate_row_index"].astype(np.int64))]
    np.testing.assert_allclose(rows.numpy(), golden.stored["aggregate_rows"], rtol=1e-5)


def test_segments_equal_the_reference(golden: Golden):
    segments = segment(
        golden.maps,
        image_size=(512, 512),
        merge_threshold=golden.meta["thresholds"],
        anchors=golden.meta["points"],
        refine="kmeans" if golden.meta.get("refine") else "none",
    )
    ours, theirs = segments.labels[0].numpy(), golden.stored["labels"]
    overlap = np.zeros((theirs.max() + 1, ours.max() + 1), dtype=np.int64)
    np.add.at(overlap, (theirs.ravel(), ours.ravel()), 1)
    assert segments.counts == [len(np.unique(theirs))]
    assert overlap[linear_sum_assignment(-overlap)].sum() >= 0.9999 * ours.size
