"""DiffSeg Hierarchy and DiffSeg Refine Edges as ComfyUI calls them."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def attention(run_capture, sd1, images):
    return run_capture(image=images.movedim(1, -1), vae=sd1.vae)


@pytest.fixture
def image(images):
    return images.movedim(1, -1)  # [2, 100, 150, 3]


def nested(pack, attention, image, cut="number of segments", number=7, height=0.0, neighbours_only=True):
    node = pack.nodes.hierarchy.DiffSegHierarchy
    return node.execute(attention, cut, number, height, 0.5, neighbours_only, 0.1, image).args


def test_segments_of_any_number_refined_and_soft(pack, attention, image):
    segments, count = nested(pack, attention, image)
    assert count == 14
    assert segments.segments.labels.shape == (2, 100, 150)
    refined, masks = pack.nodes.refine.DiffSegRefine.execute(segments, 2.0, True).args
    assert refined.segments.counts == [7, 7]
    assert masks.shape == (14, 100, 150)
    for one in masks.split(7):
        torch.testing.assert_close(one.sum(0), torch.ones(100, 150))
    assert ((masks > 0) & (masks < 1)).any()
    hard = pack.nodes.refine.DiffSegRefine.execute(segments, 2.0, False).args[1]
    assert hard.unique().tolist() == [0, 1]


@pytest.mark.parametrize("neighbours_only", [True, False])
def test_every_way_to_cut(pack, attention, image, neighbours_only):
    of_height = nested(pack, attention, image, "height", height=20.0, neighbours_only=neighbours_only)
    assert of_height[1] == 2  # everything has joined
    automatic, count = nested(pack, attention, image, "automatic", neighbours_only=neighbours_only)
    assert count == sum(automatic.segments.counts) > 4


def test_an_image_of_another_size_is_refused(pack, attention, image):
    with pytest.raises(ValueError, match="100×150 pixels as the attention has, got 100×140"):
        nested(pack, attention, image[:, :, :140])
