"""What every node makes of images that are grey, transparent, out of range or spoiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import pytest
import torch
from PIL import Image

NODES = ["Hierarchy", "Refine", "Preview", "ToSEGS", "Save", "Select"]
WITHOUT_ALPHA = NODES[:-1]  # Select cuts out: there transparency counts
SIZE = (40, 60)


@pytest.fixture
def grey() -> torch.Tensor:
    """Two images with two halves each, `[2, 40, 60, 1]`."""
    grain = torch.rand(2, *SIZE, 1, generator=torch.Generator().manual_seed(4)) * 0.2
    grain[:, :, 33:] += 0.7
    return grain


@pytest.fixture
def results(pack, carried, tmp_path) -> Callable[[str, torch.Tensor], list[torch.Tensor]]:
    """A node by its name, run with an image; everything that it gives, as tensors."""
    core, nodes = pack.diffseg_core, pack.nodes
    labels = torch.zeros(2, *SIZE, dtype=torch.int32)
    labels[:, :, 30:] = 1
    segments = core.Segments(labels, ())
    maps = core.AttentionMaps({(4, 4): torch.full((2, 16, 16), 1 / 16)})
    attention = nodes.types.CapturedAttention(maps, core.GridSize(*SIZE))

    def hierarchy(image: torch.Tensor) -> list[torch.Tensor]:
        node = nodes.hierarchy.DiffSegHierarchy
        cut = node.execute(attention, "number of segments", 3, 0.0, 0.5, True, 0.5, image).args
        return [cut[0].segments.labels]

    def refine(image: torch.Tensor) -> list[torch.Tensor]:
        refined, masks = nodes.refine.DiffSegRefine.execute(carried(segments), 10.0, True, image).args
        return [refined.segments.labels, masks]

    def preview(image: torch.Tensor) -> list[torch.Tensor]:
        return [nodes.preview.DiffSegPreview.execute(carried(segments, image)).args[0]]

    def to_segs(image: torch.Tensor) -> list[torch.Tensor]:
        (_, found) = nodes.to_segs.DiffSegToSEGS.execute(carried(segments, image), 3.0, 1).args[0]
        return [torch.from_numpy(each.cropped_image) for each in found]

    def save(image: torch.Tensor) -> list[torch.Tensor]:
        folder = Path(folder_paths.get_output_directory())
        clone = nodes.save.DiffSegSave.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
        clone.execute(segments=carried(segments, image), filename_prefix="x")
        overlays = sorted(folder.glob("*_overlay.png"))[-2:]
        return [torch.from_numpy(np.array(Image.open(path))) for path in overlays]

    def select(image: torch.Tensor) -> list[torch.Tensor]:
        points = '[{"x": 5, "y": 5}]'
        return list(nodes.select.DiffSegSelect.execute(carried(segments), points, False, 1, image).args[:3])

    before = folder_paths.get_output_directory()
    folder_paths.set_output_directory(str(tmp_path / "output"))
    by_name = dict(zip(NODES, (hierarchy, refine, preview, to_segs, save, select), strict=True))
    yield lambda name, image: by_name[name](image)
    folder_paths.set_output_directory(before)


def assert_equal(ours: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert len(ours) == len(expected) > 0
    for our, theirs in zip(ours, expected, strict=True):
        assert torch.equal(our, theirs)


@pytest.mark.parametrize("node", NODES)
def test_a_grey_image_is_one_of_three_equal_channels(results, grey, node):
    assert_equal(results(node, grey), results(node, grey.expand(-1, -1, -1, 3)))


@pytest.mark.parametrize("node", WITHOUT_ALPHA)
def test_transparency_is_left_out_and_the_colours_under_it_stay(results, grey, node):
    colours = grey.expand(-1, -1, -1, 3)
    expected = results(node, colours)
    for alpha in (torch.zeros_like(grey), torch.rand_like(grey)):
        assert_equal(results(node, torch.cat([colours, alpha], -1)), expected)


@pytest.mark.parametrize("node", NODES)
def test_what_resizing_overshoots_is_clamped_as_comfyui_does(results, grey, node):
    colours = grey.expand(-1, -1, -1, 3) * 1.6 - 0.3
    assert colours.min() < -0.2
    assert colours.max() > 1.1
    assert_equal(results(node, colours), results(node, colours.clamp(0, 1)))


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(pack, results, grey, node, value):
    spoiled = grey.repeat(1, 1, 1, 3)
    spoiled[1, 7, 9:12] = value
    message = r"Expected finite numbers in the image, got 9 of 14,400 that are not"
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        results(node, spoiled)
    assert not list(Path(folder_paths.get_output_directory()).rglob("*"))


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("channels", [2, 5])
def test_other_numbers_of_channels_are_refused(pack, results, node, channels):
    message = rf"channels in the image, as its last axis, got {channels} \(2×40×60×{channels}\)"
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        results(node, torch.rand(2, *SIZE, channels))


@pytest.mark.parametrize("node", NODES)
def test_an_image_is_looked_at_once(pack, results, grey, node, monkeypatch):
    looked: list[str] = []
    finite_range = pack.diffseg_core.images.finite_range

    def counted(values: torch.Tensor, name: str) -> Any:
        looked.append(name)
        return finite_range(values, name)

    monkeypatch.setattr(pack.diffseg_core.images, "finite_range", counted)
    results(node, grey)
    assert looked == ["image"]


def test_a_mask_to_snap_that_is_not_finite_is_refused(pack, carried):
    segments = pack.diffseg_core.Segments(torch.zeros(1, 64, 64, dtype=torch.int32), ())
    mask = torch.ones(1, 64, 64)
    mask[0, 3, 5] = torch.nan
    message = r"Expected finite numbers in the mask, got 1 of 4,096 that are not"
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        pack.nodes.snap_mask.DiffSegSnapMask.execute(carried(segments), mask, 50.0)


def test_one_empty_mask_where_no_segment_is(pack, carried, grey):
    labels = torch.full((2, *SIZE), -1, dtype=torch.int32)
    segments = pack.diffseg_core.Segments(labels, ())
    (masks,) = pack.nodes.masks.DiffSegMasks.execute(carried(segments)).args
    assert torch.equal(masks, torch.zeros(1, *SIZE))
    _, masks = pack.nodes.refine.DiffSegRefine.execute(carried(segments, grey), 0.0, True).args
    assert torch.equal(masks, torch.zeros(1, *SIZE))
