"""SEGS: the fields as the Impact Pack's nodes read them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import GridSize, InvalidSettingError, Segments
from diffseg_core.image.bounds import bounding_boxes, corners
from diffseg_core.output.segs import SEG, crop_region, to_segs

FIELDS = (
    "cropped_image",
    "cropped_mask",
    "confidence",
    "crop_region",
    "bbox",
    "label",
    "control_net_wrapper",
)


def segments_with_islands() -> Segments:
    """60×90 pixels: a background, a square, a segment in two corners, and a strip without segment."""
    labels = torch.zeros(60, 90, dtype=torch.int32)
    labels[20:40, 30:45] = 1
    labels[:3, :4] = labels[57:, 84:88] = 2
    labels[:, 88:] = -1
    return Segments(labels[None], ())


def image(batch: int = 1, channels: int = 3) -> torch.Tensor:
    return torch.rand(batch, 60, 90, channels, generator=torch.Generator().manual_seed(0))


def combined(segs: tuple) -> np.ndarray:
    """As the Impact Pack puts SEGS together to one mask."""
    (height, width), found = segs
    mask = np.zeros((height, width), dtype=np.uint8)
    for seg in found:
        x1, y1, x2, y2 = seg.crop_region
        mask[y1:y2, x1:x2] |= (seg.cropped_mask * 255).astype(np.uint8)
    return mask


def test_a_seg_has_the_impact_packs_fields_in_its_order():
    assert SEG._fields == FIELDS
    assert SEG(*[None] * 6).control_net_wrapper is None


def test_there_is_one_seg_for_every_segment_also_where_it_has_islands():
    size, found = to_segs(segments_with_islands())
    assert size == (60, 90)
    assert [seg.label for seg in found] == ["segment 0", "segment 1", "segment 2"]
    assert found[2].bbox == [0, 0, 88, 60]
    assert found[2].cropped_mask.sum() == 3 * 4 * 2


@pytest.mark.parametrize("crop_factor", [1.0, 1.3, 3.0, 100.0])
def test_every_mask_is_its_segment_in_the_crop_region(crop_factor):
    segments = segments_with_islands()
    _, found = to_segs(segments, crop_factor=crop_factor)
    for seg, mask in zip(found, segments.masks().numpy(), strict=True):
        x1, y1, x2, y2 = seg.crop_region
        assert seg.cropped_mask.dtype == np.float32
        np.testing.assert_array_equal(seg.cropped_mask, mask[y1:y2, x1:x2])
        assert seg.cropped_mask.sum() == mask.sum(), "nothing of it lies outside"


def test_a_seg_has_the_name_of_its_segment():
    labels = torch.tensor([[[0, 0, 1]]], dtype=torch.int32)
    _, found = to_segs(Segments(labels, (), (), (("cup", ""),)))
    assert [each.label for each in found] == ["cup", "segment 1"]


def test_together_they_cover_what_belongs_to_a_segment():
    segments = segments_with_islands()
    np.testing.assert_array_equal(combined(to_segs(segments)) == 255, segments.labels[0].numpy() >= 0)


def test_boxes_and_regions_are_lists_of_plain_integers_with_exclusive_ends():
    _, found = to_segs(segments_with_islands(), crop_factor=2)
    assert found[1].bbox == [30, 20, 45, 40]
    assert found[1].crop_region == [22, 10, 52, 50]
    for seg in found:
        for box in (seg.bbox, seg.crop_region):
            assert isinstance(box, list)
            assert all(type(corner) is int for corner in box)
        assert type(seg.confidence) is float
        assert seg.confidence == 1.0
        assert seg.control_net_wrapper is None


def test_with_an_image_every_seg_carries_its_piece_of_it():
    _, found = to_segs(segments_with_islands(), images=image(channels=4).half())
    whole = image(channels=4).half().float().numpy()
    for seg in found:
        x1, y1, x2, y2 = seg.crop_region
        assert isinstance(seg.cropped_image, np.ndarray)
        assert seg.cropped_image.dtype == np.float32
        np.testing.assert_array_equal(seg.cropped_image, whole[:, y1:y2, x1:x2, :3])


def test_without_an_image_there_are_no_pieces():
    assert all(seg.cropped_image is None for seg in to_segs(segments_with_islands())[1])


def test_who_writes_into_a_piece_does_not_write_into_the_image():
    whole = image()
    _, found = to_segs(segments_with_islands(), images=whole)
    found[0].cropped_image[:] = 0
    assert torch.equal(whole, image())


def test_the_image_index_chooses_segments_and_image():
    one = segments_with_islands()
    batch = Segments(torch.cat((one.labels, one.labels.flip(2))), ())
    _, found = to_segs(batch, image_index=1, images=image(2), crop_factor=1)
    assert found[1].bbox == [45, 20, 60, 40]
    np.testing.assert_array_equal(found[1].cropped_image[0], image(2)[1, 20:40, 45:60].numpy())


def test_an_image_without_any_segment_gives_an_empty_list():
    nothing = Segments(torch.full((1, 60, 90), -1, dtype=torch.int32), ())
    assert to_segs(nothing, images=image()) == ((60, 90), [])


def test_the_crop_region_is_the_box_enlarged_and_kept_in_the_image():
    for (x1, y1, x2, y2), factor, expected in (
        ((30, 20, 40, 30), 1.0, [30, 20, 40, 30]),
        ((30, 20, 40, 30), 3.0, [20, 10, 50, 40]),
        ((0, 20, 10, 30), 3.0, [0, 10, 30, 40]),  # moved in from the left
        ((80, 50, 90, 60), 3.0, [60, 30, 90, 60]),  # moved in from the lower right
        ((5, 5, 85, 55), 3.0, [0, 0, 90, 60]),  # larger than the image
        ((1, 1, 2, 2), 1.2, [0, 0, 2, 2]),  # rounding alone would leave out the box
    ):
        assert corners(crop_region((slice(y1, y2), slice(x1, x2)), GridSize(60, 90), factor)) == expected


def test_every_box_lies_in_its_crop_region_and_that_in_the_image():
    random = np.random.default_rng(0)
    size = GridSize(60, 90)
    for _ in range(2000):
        box = tuple(slice(*sorted(random.choice(side + 1, 2, replace=False).tolist())) for side in size)
        for side, region, limit in zip(box, crop_region(box, size, random.uniform(1, 4)), size, strict=True):
            assert 0 <= region.start <= side.start < side.stop <= region.stop <= limit


def test_bounding_boxes_leave_out_what_is_in_no_segment():
    labels = np.array([[-1, 0, 1], [-1, 0, -1]])
    assert [corners(box) for box in bounding_boxes(labels, 2)] == [[1, 0, 2, 2], [2, 0, 3, 1]]
    assert labels[bounding_boxes(labels, 3)[2]].size == 0  # without a pixel


def test_what_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(InvalidSettingError, match="image index from 0 to 0, got 4"):
        to_segs(segments_with_islands(), image_index=4, images=image())
    with pytest.raises(InvalidSettingError, match="Expected an image of 60×90 pixels .* got 90×60"):
        to_segs(segments_with_islands(), images=image().transpose(1, 2))
