"""From features to segments by normalised cuts: pixels, borders, the tree, and what is refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from diffseg_core import AttentionMaps, InvalidSettingError, find_object, segment_cut
from diffseg_core.diffcut.normalised_cut import recursive_cut
from diffseg_core.image.superpixels import superpixels
from diffseg_core.objects.prompts import parse_prompts
from diffseg_core.settings import FINEST

GRID = (12, 16)


def kinds() -> torch.Tensor:
    """Four quarters, of which the upper two are more alike."""
    lines, columns = torch.meshgrid(torch.arange(12), torch.arange(16), indexing="ij")
    return (lines >= 6) * 2 + (columns >= 8)


def features(noise: float = 0.02) -> torch.Tensor:
    """``[1, 6, 12, 16]``."""
    directions = torch.tensor(
        [[1.0, 0.3, 0, 0, 0, 0], [1.0, 0, 0.3, 0, 0, 0], [0, 0, 0, 1.0, 0, 0], [0, 0, 0, 0, 1.0, 0]]
    )
    drawn = torch.randn(12, 16, 6, generator=torch.Generator().manual_seed(1)) * noise
    return (directions[kinds()] + drawn).movedim(-1, 0)[None]


def maps_with(given: torch.Tensor | None) -> AttentionMaps:
    batch = 1 if given is None else len(given)
    return AttentionMaps({GRID: torch.full((batch, 192, 192), 1 / 192)}, given)


def image(scale: int = 8) -> torch.Tensor:
    """Each quarter in its own grey, with a little texture: ``[1, H, W, 3]``."""
    greys = torch.tensor([0.2, 0.5, 0.7, 0.9])[kinds()]
    large = F.interpolate(greys[None, None], scale_factor=scale)[0, 0]
    texture = torch.rand(large.shape, generator=torch.Generator().manual_seed(3)) * 0.02
    return (large + texture)[None, ..., None].expand(-1, -1, -1, 3).clamp(0, 1)


def truth(scale: int = 8) -> torch.Tensor:
    return kinds().repeat_interleave(scale, 0).repeat_interleave(scale, 1)


def agreement(labels: torch.Tensor, expected: torch.Tensor) -> float:
    """Share of pixels in the segment of their kind: a segment stands for the kind that it has most of."""
    table = torch.zeros(int(labels.max()) + 1, 4)
    table.index_put_((labels.flatten().long(), expected.flatten()), torch.ones(()), accumulate=True)
    return float(table.amax(1).sum() / table.sum())


@pytest.mark.parametrize("borders", ["image edges", "features"])
def test_the_parts_are_found(borders):
    least = 0.99 if borders == "image edges" else 0.93
    segments = segment_cut(maps_with(features()), image(), 0.5, borders=borders)
    assert segments.counts == [3]  # the upper two quarters are one
    assert agreement(segments.labels[0], truth().clamp_min(1)) > least
    (tree,) = segments.hierarchies
    assert agreement(tree.cut(4)[0], truth()) > least


def test_at_the_threshold_segments_are_the_papers_partition():
    given = features(0.3)
    tokens = F.normalize(given[0].flatten(1).T, dim=1)
    expected = torch.from_numpy(recursive_cut(tokens).at(0.5))
    pixels = torch.rand(1, *GRID, 3, generator=torch.Generator().manual_seed(4))
    segments = segment_cut(maps_with(given), pixels, 0.5, borders="features")
    # At one pixel a token, each pixel's features are its token's.
    concepts = F.normalize(
        torch.stack([tokens[expected == part].mean(0) for part in range(expected.max() + 1)]), dim=1
    )
    nearest = (tokens @ concepts.T).argmax(1).view(GRID)
    found = segments.labels[0]
    assert len(torch.unique(torch.stack((found.flatten(), nearest.flatten())), dim=1).T) == segments.counts[0]


def test_higher_thresholds_give_more_segments_that_nest():
    given, pixels = maps_with(features(0.3)), image()
    before = None
    for threshold in (0.0, 0.3, 0.5, 0.7, 0.9):
        labels = segment_cut(given, pixels, threshold).labels[0]
        if before is not None:
            assert labels.max() >= before.max()
        before = labels
    assert segment_cut(given, pixels, 0.0).counts == [1]


def test_the_tree_holds_coarser_cuts():
    segments = segment_cut(maps_with(features(0.3)), image(), 0.5)
    (tree,) = segments.hierarchies
    assert (tree.heights[1:] >= tree.heights[:-1]).all()
    assert tree.number_at(0.5) == segments.counts[0]
    coarse, fine = tree.cut(2)[0], tree.cut(tree.count)[0]
    pairs = torch.unique(torch.stack((fine.flatten(), coarse.flatten())), dim=1)
    assert pairs.shape[1] == tree.count  # each fine segment lies in one coarse one
    torch.testing.assert_close(tree.maps.sum((1, 2)), torch.ones(tree.count))


def test_objects_are_found_by_clicks():
    segments = segment_cut(maps_with(features()), image(), 0.5)
    found, _ = find_object(segments, image(), parse_prompts('[{"x": 100, "y": 20}]'))
    mask = found.union()[0] > 0.5
    assert mask[20, 100]
    assert (mask == (truth() == 1)).float().mean() > 0.95


def test_images_of_a_batch_are_cut_by_themselves():
    both = torch.cat((features(), features().flip(3)))
    pixels = torch.cat((image(), image().flip(2)))
    segments = segment_cut(maps_with(both), pixels)
    alone = segment_cut(maps_with(both[1:]), pixels[1:])
    assert torch.equal(segments.labels[1], alone.labels[0])


def test_features_that_are_all_alike_are_one_segment():
    segments = segment_cut(maps_with(torch.ones(1, 6, *GRID)), image())
    assert segments.counts == [1]


def test_attention_without_features_is_refused():
    with pytest.raises(InvalidSettingError, match="Expected attention with features, got one without"):
        segment_cut(maps_with(None), image())


def test_superpixels_that_are_known_are_not_found_again(monkeypatch):
    found = superpixels(image()[0], FINEST.default)
    expected = segment_cut(maps_with(features()), image()).labels
    monkeypatch.setattr("diffseg_core.diffcut.segment_cut.superpixels", None)
    assert torch.equal(segment_cut(maps_with(features()), image(), leaves=[found]).labels, expected)
