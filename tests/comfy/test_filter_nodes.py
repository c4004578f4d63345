"""Filter, Snap Mask and Label Map as ComfyUI calls them, and what they leave to the nodes after them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch


@pytest.fixture
def segments(pack) -> Any:
    """Two images of 53×31 pixels: four quarters of different size, and a square on a ground."""
    quarters = torch.zeros(53, 31, dtype=torch.int32)
    quarters[:30, 18:], quarters[30:, :18], quarters[30:, 18:] = 2, 1, 3
    square = torch.zeros(53, 31, dtype=torch.int32)
    square[20:30, 10:20] = 1
    proposals = (torch.rand(4, 8, 5), torch.rand(2, 8, 5))
    return pack.diffseg_core.Segments(torch.stack((quarters, square)), proposals)


@pytest.fixture
def run_filter(run_node, pack):
    def run(segments: Any, **inputs: Any) -> tuple[Any, torch.Tensor, int]:
        defaults = {
            "indices": "",
            "smallest_area": 0.0,
            "largest_area": 100.0,
            "border": "any",
            "keep_largest": 0,
            "place": "any",
        }
        return run_node(pack.nodes.filter.DiffSegFilter, segments, **{**defaults, **inputs}).args

    return run


@pytest.fixture
def validate(pack):
    """ComfyUI's own check of one node's inputs, as before a prompt runs; the errors it would show."""
    import execution

    import nodes

    def run(node: str, **inputs: Any) -> list[str]:
        extension = asyncio.run(pack.comfy_entrypoint())
        for cls in asyncio.run(extension.get_node_list()):
            nodes.NODE_CLASS_MAPPINGS[cls.GET_SCHEMA().node_id] = cls
        prompt = {"1": {"class_type": node, "inputs": inputs}}
        for name in ("segments", "text"):
            prompt[name] = {"class_type": "Source", "inputs": {}}
        # Stands for whatever is linked: it has been checked already.
        checked = {name: (True, [], name) for name in ("segments", "text")}
        nodes.NODE_CLASS_MAPPINGS["Source"] = Source
        valid, errors, _ = asyncio.run(execution.validate_inputs("prompt", prompt, "1", checked))
        assert valid == (not errors)
        return [f"{error['type']}: {error['details']}" for error in errors]

    return run


class Source:
    RETURN_TYPES = ("DIFFSEG_SEGMENTS", "STRING", "COMBO")


FILTER = {
    "segments": ["segments", 0],
    "smallest_area": 0.0,
    "largest_area": 100.0,
    "border": "any",
    "keep_largest": 0,
    "place": "any",
}


def test_the_filter_gives_segments_their_mask_and_their_number(segments, run_filter):
    kept, mask, count = run_filter(segments, border="touching", keep_largest=2)
    assert kept.counts == [2, 1]
    assert count == 3
    assert mask.shape == (2, 53, 31)
    assert mask.dtype == torch.float32
    assert torch.equal(mask[0], (segments.labels[0] <= 1).float())
    assert torch.equal(mask[1], (segments.labels[1] == 0).float())
    assert [len(proposals) for proposals in kept.proposals] == [2, 1]


def test_an_untouched_filter_passes_everything(segments, run_filter):
    kept, mask, count = run_filter(segments)
    assert torch.equal(kept.labels, segments.labels)
    assert torch.equal(mask, torch.ones(2, 53, 31))
    assert count == 6


def test_areas_are_per_cent_of_the_image(segments, run_filter):
    share = 100 * 100 / (53 * 31)  # the square's, in percent
    for smallest, counts in ((share - 0.1, [4, 2]), (share + 0.1, [4, 1]), (30.0, [1, 1])):
        assert run_filter(segments, smallest_area=smallest)[0].counts == counts
    assert run_filter(segments, largest_area=share + 0.1)[0].counts == [0, 1]


def test_when_nothing_is_left_the_mask_is_empty_and_of_the_images_size(pack, carried, segments, run_filter):
    kept, mask, count = run_filter(segments, smallest_area=99.0)
    assert count == 0
    assert torch.equal(mask, torch.zeros(2, 53, 31))
    nothing, image = carried(kept), torch.rand(2, 53, 31, 3)
    masks = pack.nodes.masks.DiffSegMasks.execute(nothing)[0]
    assert torch.equal(masks, torch.zeros(1, 53, 31))
    preview = pack.nodes.preview.DiffSegPreview.execute(carried(kept, image))
    assert torch.equal(preview[0], image)
    drawn = pack.nodes.label_map.DiffSegLabelMap.execute(nothing, "ADE20K", "")[0]
    assert torch.equal(drawn, torch.zeros(2, 53, 31, 3))


def test_filtered_segments_are_masks_of_their_own(pack, carried, segments, run_filter):
    kept, mask, _ = run_filter(segments, indices="1, 3")
    masks = pack.nodes.masks.DiffSegMasks.execute(carried(kept))[0][:2]
    assert torch.equal(masks, torch.stack([(segments.labels[0] == index).float() for index in (1, 3)]))
    assert torch.equal(masks.sum(0), mask[0])


def test_one_filter_after_the_other_is_both(segments, run_filter):
    first = run_filter(segments, border="touching")[0]
    second = run_filter(first, place="bottommost")[0]
    assert torch.equal(second.union()[0], (segments.labels[0] == 1).float())


@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ("0, two", "got 'two'"),
        ("9", r"index of a segment from 0 to 3, got 9. Segments in the image .*: 4"),
    ],
)
def test_wrong_indices_are_refused_when_the_filter_runs(pack, segments, run_filter, indices, words):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=words):
        run_filter(segments, indices=indices)


def test_wrong_indices_are_refused_before_anything_runs(validate):
    (error,) = validate("DiffSegFilter", indices="0, two", **FILTER)
    assert error.startswith("custom_validation_failed: indices - Expected indices")
    assert "got 'two'" in error
    assert validate("DiffSegFilter", indices="0, 2-5", **FILTER) == []


def test_linked_indices_are_not_refused_before_they_are_known(validate):
    assert validate("DiffSegFilter", indices=["text", 1], **FILTER) == []


def test_the_ranges_of_the_other_inputs_are_still_checked(validate):
    (error,) = validate("DiffSegFilter", indices="", **{**FILTER, "smallest_area": 101.0})
    assert error == "value_bigger_than_max: smallest_area"


def test_a_rough_mask_snaps_to_the_segments(run_node, pack, segments):
    mask = torch.zeros(53, 31)
    mask[:28, 19:] = 1.0  # most of the upper right quarter of the first image, little of the second's ground
    kept, snapped = run_node(pack.nodes.snap_mask.DiffSegSnapMask, segments, mask, 50.0).args
    assert kept.counts == [1, 0]
    assert snapped.dtype == torch.float32
    assert torch.equal(snapped[0], (segments.labels[0] == 2).float())
    assert torch.equal(snapped[1], torch.zeros(53, 31))


@pytest.mark.parametrize(
    "shaped",
    [
        lambda mask: mask,
        lambda mask: mask.repeat(2, 1, 1),
        lambda mask: mask[None, None],
        lambda mask: mask[None, ..., None].half(),
        lambda mask: torch.nn.functional.interpolate(mask[None, None], size=(206, 124))[:, 0].half(),
        lambda mask: torch.nn.functional.interpolate(mask[None, None], size=(40, 27), mode="area"),
    ],
    ids=["2-d", "batch", "channel first", "half, channel last", "half, larger", "4-d, smaller"],
)
def test_masks_as_other_nodes_give_them_are_taken(run_node, pack, segments, shaped):
    mask = torch.zeros(53, 31)
    mask[20:30, 10:20] = 1.0
    snapped = run_node(pack.nodes.snap_mask.DiffSegSnapMask, segments, shaped(mask), 50.0)[1]
    assert torch.equal(snapped[1], (segments.labels[1] == 1).float())
    assert not snapped[0].any()


def test_the_empty_mask_of_an_image_without_transparency_snaps_to_nothing(run_node, pack, segments):
    kept, snapped = run_node(pack.nodes.snap_mask.DiffSegSnapMask, segments, torch.zeros(1, 64, 64), 0.0).args
    assert kept.counts == [0, 0]
    assert torch.equal(snapped, torch.zeros(2, 53, 31))


def test_a_label_map_is_an_image_in_flat_colours(run_node, pack, segments):
    drawn = run_node(pack.nodes.label_map.DiffSegLabelMap, segments, "distinct", "")[0]
    assert drawn.shape == (2, 53, 31, 3)
    assert drawn.dtype == torch.float32
    assert [len(image.flatten(0, 1).unique(dim=0)) for image in drawn] == [4, 2]


def test_named_segments_have_the_colours_that_controlnet_knows(run_node, pack, segments):
    node = pack.nodes.label_map.DiffSegLabelMap
    drawn = run_node(node, segments, "ADE20K", "0 = sky\n1 = Somebody")[0]
    for index, colour in enumerate(((6, 230, 230), (150, 5, 61))):
        inside = drawn[segments.labels == index] * 255
        torch.testing.assert_close(inside, torch.tensor(colour).float().expand_as(inside))


LABEL_MAP = {"segments": ["segments", 0]}


@pytest.mark.parametrize(
    ("palette", "classes", "words"),
    [
        ("ADE20K", "0 = skye", "Did you mean sky"),
        ("ADE20K", "sky", "got 'sky'"),
        ("distinct", "0 = sky", "Choose the palette ADE20K"),
        ("COCO", "", "got 'COCO'"),
        (["text", 2], "0 = skye", "Did you mean sky"),
    ],
    ids=str,
)
def test_wrong_classes_are_refused_before_anything_runs(validate, palette, classes, words):
    errors = validate("DiffSegLabelMap", palette=palette, classes=classes, **LABEL_MAP)
    assert errors
    assert all(words in error for error in errors), errors


@pytest.mark.parametrize(
    ("palette", "classes"),
    [
        ("distinct", ""),
        ("ADE20K", "0 = sky"),
        ("distinct", ["text", 1]),
        (["text", 2], "0 = sky"),
    ],
    ids=str,
)
def test_right_and_linked_classes_pass(validate, palette, classes):
    assert validate("DiffSegLabelMap", palette=palette, classes=classes, **LABEL_MAP) == []


def test_classes_linked_beside_another_palette_are_refused_when_the_node_runs(run_node, pack, segments):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="Choose the palette ADE20K"):
        run_node(pack.nodes.label_map.DiffSegLabelMap, segments, "distinct", "0 = sky")
