"""Images of any shape: masks come back at exactly their size, and where the things are."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import AttentionMaps, Segments, refine_edges, segment, segment_hierarchy

SHAPES = {
    "1:1": ((16, 16), (256, 256)),
    "3:2": ((16, 24), (200, 300)),
    "9:16": ((32, 18), (640, 360)),
    "4:1": ((8, 32), (96, 384)),
    "odd": ((13, 19), (211, 307)),
}


def half_and_half(grid: tuple[int, int], share: float, across: bool) -> AttentionMaps:
    """Tokens left (or above) of a place attend to one another alone; one token may lie on both sides.

    To each with the same probability on both sides, and with the rest to a far corner: where one side is
    higher than the other, the border moves towards the lower one.
    """
    height, width = grid
    length = width if across else height
    before = (share * length - torch.arange(length)).clamp(0, 1)  # how much of each token is before it
    side = before.expand(height, width) if across else before[:, None].expand(height, width)
    side = side.flatten()
    attention = side[:, None] * side + (1 - side)[:, None] * (1 - side) + 1e-3
    attention[:, -1] += height * width - attention.sum(1)
    return AttentionMaps({grid: (attention / attention.sum(1, keepdim=True))[None]})


def place(segments: Segments, across: bool) -> float:
    """Where the border lies along the middle line, in pixels; the second segment begins there."""
    labels = segments.labels[0]
    line = labels[labels.shape[0] // 2] if across else labels[:, labels.shape[1] // 2]
    changes = (line.diff() != 0).nonzero().flatten()
    assert len(changes) == 1
    return float(changes[0]) + 1


@pytest.mark.parametrize("across", [True, False], ids=["left and right", "above and below"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_edge_is_where_it_is_in_the_image(shape, across):
    grid, size = SHAPES[shape]
    length = size[1] if across else size[0]
    tokens = grid[1] if across else grid[0]
    anchors = min(grid)
    for token in (tokens // 4, tokens // 2, tokens // 2 + 1, 3 * tokens // 4):  # shifted by whole tokens
        maps = half_and_half(grid, token / tokens, across)
        segments = segment(maps, size, merge_threshold=0.5, anchors=anchors)
        assert segments.image_size == size
        assert abs(place(segments, across) - length * token / tokens) <= 0.5 + 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rescaled_image_has_a_rescaled_mask(shape):
    grid, size = SHAPES[shape]
    maps = half_and_half(grid, 0.5, across=True)
    for scale in (0.5, 1.7, 3.0):
        scaled = tuple(max(1, round(side * scale)) for side in size)
        found = place(segment(maps, scaled, merge_threshold=0.5, anchors=min(grid)), across=True)
        assert abs(
            found
            - place(segment(maps, size, merge_threshold=0.5, anchors=min(grid)), True) * scaled[1] / size[1]
        ) <= max(1.0, scale)
        assert abs(found - scaled[1] / 2) <= scaled[1] / grid[1] / 2 + 0.5  # an odd grid has no middle


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shift", [-3, 0, 2])
def test_nested_and_refined_segments_lie_on_the_images_edge(shape, shift):
    grid, size = SHAPES[shape]
    edge = size[1] // 2 + shift
    image = torch.where(torch.arange(size[1]) < edge, 0.2, 0.8)[None, None, :, None].expand(1, *size, 3)
    maps = half_and_half(grid, 0.5, across=True)
    nested = segment_hierarchy(maps, image, number=2)
    assert nested.image_size == size
    assert abs(place(nested, across=True) - edge) <= 0.5
    refined = refine_edges(segment(maps, size, merge_threshold=0.5, anchors=min(grid)), image)
    assert abs(place(refined, across=True) - edge) <= 1.0
