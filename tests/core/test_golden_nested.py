"""Hierarchies and refined edges of two photographs, as they were when the golden files were written."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from golden_files import CUTS, FOLDER, PHOTOGRAPHS, nested_maps, photograph, read
from scipy.optimize import linear_sum_assignment

from diffseg_core import AttentionMaps, Segments, refine_edges, segment, segment_hierarchy, soft_masks

SAME_PIXELS = 0.9995
"""Floats of other processors may move a pixel of a border here and there."""

names = pytest.mark.parametrize("name", PHOTOGRAPHS)


@cache
def maps_of(name: str) -> AttentionMaps:
    return nested_maps(name)


@cache
def nested(name: str) -> Segments:
    return segment_hierarchy(maps_of(name), photograph(name))


@cache
def golden(name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    return read(FOLDER / f"nested-{name}.npz")


def same_pixels(ours: torch.Tensor, theirs: np.ndarray) -> float:
    """Share of pixels in the segment that corresponds."""
    overlap = np.zeros((int(theirs.max()) + 1, int(ours.max()) + 1), dtype=np.int64)
    np.add.at(overlap, (theirs.ravel().astype(int), ours.numpy().ravel()), 1)
    return float(overlap[linear_sum_assignment(-overlap)].sum() / theirs.size)


@names
def test_leaves_are_as_before(name: str):
    stored, _ = golden(name)
    tree = nested(name).hierarchies[0]
    assert tree.count == stored["leaves"].max() + 1
    assert same_pixels(tree.leaves, stored["leaves"]) >= SAME_PIXELS


@names
def test_joins_and_heights_are_as_before(name: str):
    stored, meta = golden(name)
    tree = nested(name).hierarchies[0]
    assert np.array_equal(tree.joins.numpy(), stored["joins"])
    np.testing.assert_allclose(tree.heights.numpy(), stored["heights"], rtol=1e-3, atol=1e-9)
    assert tree.automatic_number() == meta["automatic"]


@names
@pytest.mark.parametrize("number", CUTS)
def test_cuts_are_as_before(name: str, number: int | None):
    stored, _ = golden(name)
    segments = nested(name) if number is None else nested(name).at_granularity(number)
    theirs = stored[f"labels_{number or 'automatic'}"]
    assert segments.counts == [int(theirs.max()) + 1]
    assert float((segments.labels[0].numpy() == theirs).mean()) >= SAME_PIXELS


@names
def test_refined_edges_and_soft_masks_are_as_before(name: str):
    stored, _ = golden(name)
    image = photograph(name)
    merged = segment(maps_of(name), tuple(image.shape[1:3]), merge_threshold=1.0)
    assert same_pixels(merged.labels[0], stored["merged"]) >= SAME_PIXELS
    refined = refine_edges(merged, image)
    assert same_pixels(refined.labels[0], stored["refined"]) >= SAME_PIXELS
    soft = soft_masks(refined, image)[:, ::8, ::8].numpy() * 255
    assert np.abs(soft - stored["soft"]).mean() < 0.6
    assert float((np.abs(soft - stored["soft"]) < 2).mean()) > 0.999
