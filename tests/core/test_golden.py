"""The reference implementation's own output, file by file (golden/README.md says how it was made)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from golden_files import REFERENCE, attention_maps, read
from scipy.optimize import linear_sum_assignment

from diffseg_core import AttentionMaps, segment


class Golden(NamedTuple):
    stored: dict[str, np.ndarray]
    meta: dict[str, Any]
    maps: AttentionMaps


@pytest.fixture(scope="module", params=REFERENCE, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Golden:
    stored, meta = read(request.param)
    return Golden(stored, meta, attention_maps(stored, meta))


def test_there_are_golden_files_with_and_without_kmeans():
    assert len(REFERENCE) >= 6
    assert any("kmeans" in path.stem for path in REFERENCE)


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
