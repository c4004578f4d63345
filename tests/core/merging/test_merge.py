"""Divergence, anchors and merging against the paper's formulas, written out in float64."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import GridSize
from diffseg_core.merging import merge as merging
from diffseg_core.merging.merge import (
    FLOOR,
    AnchorDistances,
    anchor_tokens,
    floored_log,
    merge,
    symmetric_divergence,
)


def divergence(p: torch.Tensor, q: torch.Tensor) -> float:
    """D(p, q) = ½ Σ (p − q)(log p − log q)."""
    p, q = p.double().clamp_min(FLOOR), q.double().clamp_min(FLOOR)
    return float(0.5 * ((p - q) * (p.log() - q.log())).sum())


def merged_in_a_loop(maps: torch.Tensor, anchors: list[int], thresholds: list[float]) -> torch.Tensor:
    """Iterative merging exactly as the paper's code walks it."""
    proposals = []
    for anchor in anchors:
        near = [row for row in maps if divergence(maps[anchor], row) < thresholds[0]]
        proposals.append(torch.stack(near).double().mean(0))
    for threshold in thresholds[1:]:
        matched: set[int] = set()
        merged = []
        for index, proposal in enumerate(proposals):
            if index in matched:
                continue
            near = [other for other, q in enumerate(proposals) if divergence(proposal, q) < threshold]
            matched.update([index, *near])
            merged.append(torch.stack([proposals[other] for other in near]).mean(0))
        proposals = merged
    return torch.stack(proposals)


def test_divergence_equals_the_formula(attention):
    maps = attention((9, 7), sharpness=2.0)[0]
    logs = floored_log(maps)
    result = symmetric_divergence(maps[:20], maps, logs[:20], logs)
    expected = torch.tensor([[divergence(p, q) for q in maps] for p in maps[:20]])
    assert expected.max() > 5
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


def test_divergence_of_maps_with_zeros_is_finite():
    maps = torch.eye(4)
    logs = floored_log(maps)
    result = symmetric_divergence(maps, maps, logs, logs)
    expected = torch.tensor([[divergence(p, q) for q in maps] for p in maps])
    assert expected[0, 1] > 80
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("thresholds", [[0.6], [0.6, 0.6, 0.6], [0.2, 0.4, 1.0, 0.5]], ids=str)
def test_merging_equals_the_loop_of_the_paper(thresholds, seed, attention, monkeypatch):
    monkeypatch.setattr(merging, "CHUNK_VALUES", 88 * 10)  # 8 chunks of 10 maps and one of 8
    maps = attention((11, 8), seed=seed)[0]
    anchors = anchor_tokens(GridSize(11, 8), 5)
    expected = merged_in_a_loop(maps, anchors.tolist(), thresholds)
    result = merge(maps, anchors, thresholds)
    assert len(thresholds) == 1 or 1 < len(expected) < 25
    torch.testing.assert_close(result, expected.float(), rtol=1e-4, atol=1e-7)


def test_a_proposal_that_was_matched_already_still_counts_in_a_later_mean():
    """Of three maps in a chain the middle one is near both ends: it is averaged into both proposals."""
    chain = torch.tensor([[0.70, 0.15, 0.15], [0.40, 0.30, 0.30], [0.15, 0.45, 0.40]])
    near, far = divergence(chain[0], chain[1]), divergence(chain[0], chain[2])
    assert divergence(chain[1], chain[2]) < 0.25 < far
    assert near < 0.25
    result = merge(chain, torch.arange(3), [1e-6, 0.25])
    torch.testing.assert_close(result, torch.stack((chain[:2].mean(0), chain[1:].mean(0))))


def test_an_anchor_belongs_to_its_own_proposal_at_any_threshold(attention):
    maps = attention((6, 6))[0]
    anchors = anchor_tokens(GridSize(6, 6), 4)
    torch.testing.assert_close(merge(maps, anchors, [1e-30, 1e-30]), maps[anchors])


@pytest.mark.parametrize(
    ("grid", "per_side", "tokens"),
    [
        ((5, 5), 2, [0, 4, 20, 24]),
        ((4, 4), 4, list(range(16))),
        ((6, 6), 3, [0, 2, 4, 12, 14, 16, 24, 26, 28]),  # step 2 of 5, one row left over at the end
        ((3, 8), 2, [0, 7, 16, 23]),
        ((2, 7), 2, [0, 6, 7, 13]),
        ((9, 4), 4, [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31]),  # rows 1, 3, 5, 7
    ],
)
def test_anchors_are_spaced_evenly_and_centred(grid, per_side, tokens):
    assert anchor_tokens(GridSize(*grid), per_side).tolist() == tokens


def test_maps_exactly_as_far_as_the_threshold_are_not_near(attention):
    maps = attention((12, 11), sharpness=2.0)[0]
    distances = AnchorDistances(maps, anchor_tokens(GridSize(12, 11), 6))
    known = distances.tensor[(distances.tensor > 0.1) & (distances.tensor < 4.0)]
    exactly = float(known.median())
    place = tuple((distances.tensor == exactly).nonzero()[0].tolist())
    assert not distances.near(exactly)[place]
    assert distances.near(exactly * 1.0001)[place]


def test_further_passes_leave_what_is_exactly_as_far_as_the_threshold():
    maps = torch.tensor([[0.6, 0.4], [0.4, 0.6]])
    logs = floored_log(maps)
    exactly = float(symmetric_divergence(maps, maps, logs, logs)[0, 1])
    anchors = torch.tensor([0, 1])
    assert len(merge(maps, anchors, [1e-6, exactly])) == 2
    assert len(merge(maps, anchors, [1e-6, exactly * 1.001])) == 1


@pytest.mark.parametrize("keys", [60, 200])
def test_maps_may_have_fewer_and_more_keys_than_there_are_maps(keys):
    maps = torch.softmax(torch.randn(99, keys, generator=torch.Generator().manual_seed(0)), dim=-1)
    anchors = torch.tensor([3, 50, 98])
    expected = torch.tensor([[divergence(maps[anchor], row) < 0.9 for row in maps] for anchor in anchors])
    assert expected.any(0).sum() > 5
    assert torch.equal(AnchorDistances(maps, anchors).near(0.9), expected)
