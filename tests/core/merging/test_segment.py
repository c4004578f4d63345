"""Segmentation from end to end: every setting and every odd input gives a valid label map, or an error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import AttentionMaps, DiffSegError, InvalidSettingError, Segments, segment
from diffseg_core.merging.small_regions import connected_components
from diffseg_core.progress import callbacks


def scene(attention, grid=(12, 9), batch=1, **options) -> AttentionMaps:
    half = (grid[0] // 2, grid[1] // 2)
    return AttentionMaps(
        {grid: attention(grid, batch, **options), half: attention(half, batch, **options)},
    )


def one_hot(side: int) -> AttentionMaps:
    """Every token attends to itself alone: zeros everywhere else, and a segment for every anchor."""
    return AttentionMaps({(side, side): torch.eye(side * side)[None]})


def assert_valid(segments: Segments, batch: int, size: tuple[int, int]) -> None:
    assert segments.labels.dtype == torch.int32
    assert segments.labels.shape == (batch, *size)
    for image, count in enumerate(segments.counts):
        areas = segments.labels[image].flatten().bincount()
        assert len(areas) == count
        assert areas.min() > 0, "a label without a pixel"
        assert (areas.diff() <= 0).all(), "labels are not in descending order of area"
        assert len(segments.proposals[image]) == count
        assert segments.proposals[image].isfinite().all()


CASES = {
    "ordinary": lambda attention: (scene(attention), {}),
    "a batch": lambda attention: (scene(attention, batch=3), {}),
    "one pass only": lambda attention: (scene(attention), {"merge_passes": 1}),
    "many passes": lambda attention: (scene(attention), {"merge_passes": 9}),
    "a threshold for each pass": lambda attention: (scene(attention), {"merge_threshold": [0.9, 0.5]}),
    "two anchors a side": lambda attention: (scene(attention), {"anchors": 2}),
    "as many anchors as the grid allows": lambda attention: (scene(attention), {"anchors": 9}),
    "k-means": lambda attention: (scene(attention), {"refine": "kmeans"}),
    "k-means after one segment": lambda attention: (
        scene(attention),
        {"refine": "kmeans", "merge_threshold": 10.0},
    ),
    "k-means over zeros": lambda _: (one_hot(6), {"refine": "kmeans"}),
    "small regions merged": lambda attention: (
        scene(attention),
        {"smallest_area": 0.02, "merge_threshold": 0.1},
    ),
    "image smaller than the grid": lambda attention: (scene(attention), {"image_size": (5, 4)}),
    "image of one pixel": lambda attention: (scene(attention), {"image_size": (1, 1)}),
    "image much wider than the grid": lambda attention: (scene(attention), {"image_size": (8, 200)}),
    "zeros in the maps": lambda _: (one_hot(6), {}),
    "zeros in the maps, one pass": lambda _: (one_hot(6), {"merge_passes": 1}),
    "zeros in half-precision maps": lambda attention: (
        AttentionMaps({(12, 12): attention((12, 12), sharpness=6.0).half()}),
        {},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_input_gives_a_valid_label_map(case, attention):
    maps, settings = case(attention)
    settings = {"image_size": (40, 30), "merge_threshold": 0.6, "anchors": 6, **settings}
    assert_valid(segment(maps, **settings), maps.batch_size, settings["image_size"])


def test_a_high_threshold_gives_one_segment(attention):
    segments = segment(scene(attention), (24, 18), merge_threshold=10.0, anchors=6)
    assert segments.counts == [1]
    assert segments.labels.unique().tolist() == [0]


def test_thousands_of_tiny_segments_all_get_their_pixels():
    side = 40
    segments = segment(one_hot(side), (2 * side, 2 * side), merge_threshold=0.5, anchors=side)
    assert segments.counts == [side * side]
    assert segments.areas().unique().tolist() == [4]


def test_every_pixel_goes_to_the_highest_proposal(attention):
    segments = segment(scene(attention), (40, 30), 0.4, anchors=8)
    heights = torch.nn.functional.interpolate(segments.proposals[0][None], (40, 30), mode="bilinear")[0]
    chosen = heights.gather(0, segments.labels[:1].long())[0]
    assert segments.counts[0] > 2
    assert torch.equal(chosen, heights.amax(0))


def test_masks_partition_the_image_in_order_of_area(attention):
    segments = segment(scene(attention, batch=2), (40, 30), 0.4, anchors=8)
    for image in range(2):
        masks = segments.masks(image)
        assert masks.shape == (segments.counts[image], 40, 30)
        assert torch.equal(masks.sum(0), torch.ones(40, 30))
        assert torch.equal(masks.argmax(0).int(), segments.labels[image])
        assert masks.sum((1, 2)).tolist() == segments.areas(image).tolist()


def test_images_of_a_batch_are_segmented_as_if_alone(attention):
    grid = (12, 9)
    maps = attention(grid, batch=3)
    together = segment(AttentionMaps({grid: maps}), (24, 18), 0.5, anchors=6)
    for image in range(3):
        alone = segment(AttentionMaps({grid: maps[image : image + 1]}), (24, 18), 0.5, anchors=6)
        assert torch.equal(together.labels[image], alone.labels[0])
        assert torch.equal(together.proposals[image], alone.proposals[0])


def test_one_threshold_stands_for_every_pass(attention):
    maps = scene(attention)
    number = segment(maps, (24, 18), 0.4, merge_passes=2, anchors=8)
    sequence = segment(maps, (24, 18), [0.4, 0.4], merge_passes=7, anchors=8)
    single = segment(maps, (24, 18), 0.4, merge_passes=1, anchors=8)
    assert torch.equal(number.labels, sequence.labels)
    assert number.counts != single.counts


THRESHOLDS = {
    "int": 1,
    "NumPy's float32": np.float32(1),
    "NumPy's int64": np.int64(1),
    "array of no dimension": np.array(1.0),
    "tensor of no dimension": torch.tensor(1.0, dtype=torch.bfloat16, requires_grad=True),
    "tuple": (1, 1.0, np.float32(1)),
    "vector": np.ones(3),
    "tensor": torch.ones(3),
    "list of tensors": [torch.tensor(1.0)] * 3,
}


@pytest.mark.parametrize("threshold", THRESHOLDS.values(), ids=THRESHOLDS)
def test_a_number_of_any_kind_is_a_threshold(threshold, attention):
    maps = scene(attention)
    expected = segment(maps, (24, 18), 1.0, merge_passes=3, anchors=8)
    assert torch.equal(segment(maps, (24, 18), threshold, merge_passes=3, anchors=8).labels, expected.labels)


NOT_NUMBERS = {
    "nothing": (None, "None"),
    "text": ("1.0", "'1.0'"),
    "list of text": (["1.0"], "'1.0'"),
    "mapping": ({1: 1.0}, "{1: 1.0}"),
    "truth": (True, "True"),
    "NumPy's truth": (np.bool_(True), "True"),
    "truth in a tensor": (torch.tensor(True), "True"),
    "list of truths": ([0.5, False], "False"),
    "complex number": (1 + 2j, "(1+2j)"),
    "matrix": (torch.ones(2, 3), "[1.0, 1.0, 1.0]"),
}


@pytest.mark.parametrize(("threshold", "shown"), NOT_NUMBERS.values(), ids=NOT_NUMBERS)
def test_a_threshold_that_is_not_a_number_is_refused(threshold, shown, attention):
    with pytest.raises(InvalidSettingError, match="merge threshold") as caught:
        segment(scene(attention), (8, 8), threshold, anchors=4)
    assert shown in str(caught.value)


def test_pieces_below_the_smallest_area_disappear(attention):
    maps = scene(attention)
    settings = {"image_size": (40, 30), "merge_threshold": 0.1, "anchors": 9}

    def smallest_piece(segments: Segments) -> int:
        return int(np.bincount(connected_components(segments.labels[0].numpy()).ravel()).min())

    assert smallest_piece(segment(maps, **settings)) < 36
    assert smallest_piece(segment(maps, **settings, smallest_area=0.03)) >= 36


def test_progress_is_told_after_every_image_and_can_end_the_work(attention):
    maps, told = scene(attention, batch=3), []

    def stop_at_two(done: int) -> None:
        told.append(done)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), callbacks(on_image=stop_at_two):
        segment(maps, (24, 18), anchors=6)
    assert told == [1, 2]


BAD = {
    "one bad threshold of three": ({"merge_threshold": [1, 0.5, -2]}, ["from 0.01 to 10 nats", "got -2"]),
    "no threshold": ({"merge_threshold": []}, ["at least one pass", "none"]),
    "empty image": ({"image_size": (0, 8)}, ["from 1 to", "got 0."]),
    "area in pixels": ({"smallest_area": 64}, ["of the image (0 to 50 %)", "got 64"]),
}


@pytest.mark.parametrize(("setting", "words"), BAD.values(), ids=BAD)
def test_a_setting_outside_its_range_is_refused_with_the_numbers(setting, words, attention):
    with pytest.raises(InvalidSettingError) as caught:
        segment(scene(attention), **{"image_size": (8, 8), "anchors": 4, **setting})
    assert isinstance(caught.value, DiffSegError)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("grid", [(12, 9), (8, 30), (30, 2)])
def test_anchors_are_at_most_the_shorter_side(attention, grid):
    maps = AttentionMaps({grid: attention(grid)})
    most = segment(maps, (40, 30), 0.3, anchors=min(grid))
    for anchors in (min(grid) + 1, 16, 128):
        assert torch.equal(segment(maps, (40, 30), 0.3, anchors=anchors).labels, most.labels)


@pytest.mark.parametrize("grid", [(1, 64), (5, 1), (1, 1)])
def test_a_grid_of_a_single_row_is_refused(attention, grid):
    with pytest.raises(InvalidSettingError, match=rf"at least 2×2 places, got {grid[0]}×{grid[1]}"):
        segment(AttentionMaps({grid: attention(grid)}), (40, 30))


@pytest.mark.parametrize("image", [-1, 2])
def test_an_image_that_is_not_there_is_refused(image, attention):
    segments = segment(scene(attention, batch=2), (8, 8), anchors=4)
    with pytest.raises(InvalidSettingError, match=f"from 0 to 1, got {image}"):
        segments.masks(image)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_device_gives_the_same_segments(attention):
    grid = (12, 9)
    settings = {"image_size": (40, 30), "merge_threshold": 0.5, "anchors": 8, "smallest_area": 0.01}
    on_cpu = segment(AttentionMaps({grid: attention(grid)}), **settings)
    on_cuda = segment(AttentionMaps({grid: attention(grid).cuda()}), **settings)
    assert on_cuda.labels.is_cuda
    assert (on_cuda.labels.cpu() == on_cpu.labels).float().mean() > 0.999
