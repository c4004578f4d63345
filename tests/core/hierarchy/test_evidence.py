"""What says how alike segments are: attention, features, or both."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import AttentionMaps, InvalidSettingError, segment_hierarchy
from diffseg_core.hierarchy.segment_hierarchy import chosen_evidence
from diffseg_core.image.superpixels import superpixels

N = 64  # tokens of an 8×8 grid


def halves(across: bool) -> torch.Tensor:
    """Which half each of 8×8 places lies in: left and right, or upper and lower."""
    lines, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    return ((columns if across else lines) >= 4).long()


def maps(evidence: str = "attention", with_features: bool = True) -> AttentionMaps:
    """Attention that tells left from right, and features that tell the upper half from the lower."""
    sides = halves(across=True).flatten()
    attention = (sides[:, None] == sides[None]).float() + 0.2
    attention = (attention / attention.sum(1, keepdim=True))[None]
    features = torch.nn.functional.one_hot(halves(across=False)).float().movedim(-1, 0)[None] + 0.2
    return AttentionMaps({(8, 8): attention}, features if with_features else None, evidence=evidence)


GREYS = torch.arange(8)[:, None].add(torch.arange(8)).remainder(2) * 0.6 + 0.2  # like a chessboard
IMAGE = torch.kron(GREYS, torch.ones(8, 8))[None, ..., None].expand(-1, -1, -1, 3)  # a piece for each place
PLAIN = {"number": 2, "colour": 0.0, "contrast": 0.0, "finest": 0.002}


def cut(maps: AttentionMaps, evidence: str) -> torch.Tensor:
    return segment_hierarchy(maps, IMAGE, evidence=evidence, **PLAIN).labels[0]


def tells(labels: torch.Tensor) -> str:
    """Whether two segments are the left and the right half, or the upper and the lower."""
    left_right = (labels[:, :24].float().mean() - labels[:, 40:].float().mean()).abs()
    upper_lower = (labels[:24].float().mean() - labels[40:].float().mean()).abs()
    return "sides" if left_right > 0.9 else "levels" if upper_lower > 0.9 else "neither"


def test_attention_and_features_decide_as_they_are_told():
    assert tells(cut(maps(), "attention")) == "sides"
    assert tells(cut(maps(), "features")) == "levels"


def test_both_tell_four_parts():
    labels = segment_hierarchy(maps(), IMAGE, evidence="both", **{**PLAIN, "number": 4}).labels[0]
    quarters = [labels[10, 10], labels[10, 54], labels[54, 10], labels[54, 54]]
    assert len({int(each) for each in quarters}) == 4


def test_automatic_takes_what_suits_the_model():
    assert torch.equal(cut(maps("attention"), "automatic"), cut(maps(), "attention"))
    assert torch.equal(cut(maps("features"), "automatic"), cut(maps(), "features"))


def test_the_trees_maps_are_those_of_the_evidence():
    (tree,) = segment_hierarchy(maps(), IMAGE, evidence="features", **PLAIN).hierarchies
    assert tree.maps.shape[1:] == (8, 8)
    torch.testing.assert_close(tree.maps.sum((1, 2)), torch.ones(tree.count))


def test_features_that_were_not_captured_are_asked_for():
    for evidence in ("features", "both"):
        with pytest.raises(InvalidSettingError, match="attention with features, got one without"):
            cut(maps(with_features=False), evidence)
        with pytest.raises(InvalidSettingError, match="attention with features"):  # before any other work
            chosen_evidence(evidence, maps(with_features=False))
    with pytest.raises(InvalidSettingError, match="evidence to be 'automatic', 'attention'.*got 'colours'"):
        cut(maps(), "colours")


def test_superpixels_that_are_known_are_not_found_again(monkeypatch):
    found = superpixels(IMAGE[0], PLAIN["finest"])
    expected = cut(maps(), "attention")
    monkeypatch.setattr("diffseg_core.hierarchy.segment_hierarchy.superpixels", None)
    labels = segment_hierarchy(maps(), IMAGE, evidence="attention", leaves=[found], **PLAIN).labels[0]
    assert torch.equal(labels, expected)
