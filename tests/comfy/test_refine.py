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


def test_an_upscaled_image_takes_the_place_of_the_captured_one_wherever_one_is_connected(
    pack, attention, image
):
    scaled = image.repeat_interleave(3, 1).repeat_interleave(3, 2)[:, 1:]  # 299×450: sides are rounded
    nodes = pack.nodes
    small, large = nested(pack, attention, image)[0], nested(pack, attention, scaled)[0]
    refined = nodes.refine.DiffSegRefine.execute(small, 0.0, False, scaled)[0]
    chosen = nodes.select.DiffSegSelect.execute(small, '[{"x": 225, "y": 150}]', False, 0, scaled)
    objects = nodes.select.DiffSegSelect.execute(
        small, '[{"x": 225, "y": 150}]', False, 0, scaled, mode="object"
    )
    label = small.segments.labels[0, 50, 75]
    expected = (small.segments.labels[0] == label).repeat_interleave(3, 0).repeat_interleave(3, 1)[1:]
    assert (chosen[0][0] != expected.float()).float().mean() < 0.01
    assert torch.equal(chosen[2][0, ..., :3], scaled[0])
    assert objects[0][0, 150, 225] == 1
    for carried in (large, refined, chosen[3], objects[3]):
        assert carried.segments.image_size == carried.capture.image_size == (299, 450)
        assert nodes.preview.DiffSegPreview.execute(carried)[0].shape == (2, 299, 450, 3)
    cropped = image[:, :, :140]
    for run in (
        lambda: nested(pack, attention, cropped),
        lambda: nodes.refine.DiffSegRefine.execute(small, 0.0, False, cropped),
        lambda: nodes.select.DiffSegSelect.execute(small, "[]", False, 0, cropped),
    ):
        with pytest.raises(ValueError, match="of the captured one, 100×150 pixels, got 100×140"):
            run()
