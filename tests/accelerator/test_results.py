"""Segments, trees and images made on the accelerator are those of the CPU, and lie where they should.

The demo model and its photograph are used, so that there is something to see.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import comfy.cli_args
import folder_paths
import pytest
import torch
from accelerators import captured, name_of

CPU = torch.device("cpu")
THRESHOLD = 0.5  # the demo model's attention is flatter than Stable Diffusion's


pytestmark = pytest.mark.usefixtures("gpu_only")


@pytest.fixture(scope="module")
def demo(pack):
    """Attention and the photograph that it is of, on the accelerator."""
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(comfy.cli_args.args, "gpu_only", True)
        model, vae, conditioning, photograph = pack.nodes.demo_model.DiffSegDemoModel.execute().args
        photograph = photograph[:, ::2, ::2]
        attention = captured(pack, model=model, conditioning=conditioning, vae=vae, image=photograph)
    return attention, photograph


@pytest.fixture
def on_cpu(pack):
    """Attention moved to the CPU, and calculated there anew."""

    def move(maps):
        return pack.diffseg_core.AttentionMaps({grid: maps[grid].cpu() for grid in maps})

    return move


def to_cpu(segments):
    """The same segments, none of whose tensors is on the accelerator."""

    def moved(value):
        if isinstance(value, torch.Tensor):
            return value.cpu()
        if is_dataclass(value):  # Segments are a tuple too
            return replace(value, **{part.name: moved(getattr(value, part.name)) for part in fields(value)})
        return tuple(moved(item) for item in value)

    return moved(segments)


def agreement(one, other):
    """Share of the pixels that have the same label."""
    return float((one.labels.cpu() == other.labels.cpu()).float().mean())


def test_the_demo_model_sees_the_same_on_the_accelerator(pack, demo, device):
    attention, _ = demo
    assert attention.maps.device == device
    assert attention.maps.aggregate().device == device
    sums = attention.maps.aggregate().sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-4)


@pytest.mark.parametrize("refinement", ["none", "kmeans"])
def test_merging_gives_the_segments_of_the_cpu(pack, demo, on_cpu, device, refinement):
    attention, _ = demo
    settings = {"merge_threshold": THRESHOLD, "refine": refinement, "smallest_area": 0.001}
    segment = pack.diffseg_core.segment
    found = segment(attention.maps, attention.image_size, **settings)
    expected = segment(on_cpu(attention.maps), attention.image_size, **settings)
    assert found.labels.device == found.proposals[0].device == device
    assert found.counts == expected.counts
    assert found.counts[0] > 2
    assert agreement(found, expected) > 0.995  # pixels where two proposals are equally high may go to either
    torch.testing.assert_close(found.proposals[0].cpu(), expected.proposals[0], rtol=1e-2, atol=1e-5)


def test_a_hierarchy_is_that_of_the_cpu(pack, demo, on_cpu, device):
    attention, photograph = demo
    nested = pack.diffseg_core.segment_hierarchy
    found = nested(attention.maps, photograph)
    expected = nested(on_cpu(attention.maps), photograph.cpu())
    tree, same = found.hierarchies[0], expected.hierarchies[0]
    assert {found.labels.device, tree.leaves.device, tree.maps.device} == {device}
    assert torch.equal(tree.leaves.cpu(), same.leaves)
    torch.testing.assert_close(tree.maps.cpu(), same.maps, rtol=1e-3, atol=1e-7)
    torch.testing.assert_close(tree.heights, same.heights, rtol=1e-2, atol=1e-4)
    assert found.counts == expected.counts
    assert agreement(found, expected) > 0.95
    assert agreement(found.at_granularity(40), expected.at_granularity(40)) > 0.95


def test_what_is_drawn_and_edited_is_the_same(pack, demo, device):
    core = pack.diffseg_core
    attention, photograph = demo
    segments = core.segment_hierarchy(attention.maps, photograph, number=12)
    same, image = to_cpu(segments), photograph.cpu()
    for found, expected in (
        (core.draw_overlay(photograph, segments), core.draw_overlay(image, same)),
        (core.draw_label_map(segments, "ADE20K"), core.draw_label_map(same, "ADE20K")),
    ):
        assert torch.equal(found, expected)
    rough = torch.zeros(1, 200, 300, device=device)
    rough[:, 50:150, 50:150] = 1.0
    for found, expected in (
        (core.snap(segments, rough, 0.3), core.snap(same, rough.cpu(), 0.3)),
        (core.filter_segments(segments, keep_largest=5), core.filter_segments(same, keep_largest=5)),
        (core.refine_edges(segments, photograph), core.refine_edges(same, image)),
    ):
        assert found.labels.device == device
        assert torch.equal(found.labels.cpu(), expected.labels)
    soft = core.soft_masks(segments, photograph)
    assert soft.device == device
    torch.testing.assert_close(soft.cpu(), core.soft_masks(same, image), rtol=0, atol=1e-4)


def test_every_node_works_where_all_stays_on_the_accelerator(pack, demo, device, report):
    nodes = pack.nodes
    attention, photograph = demo
    assert photograph.device == device
    merged, count = nodes.segment.DiffSegSegment.execute(attention, THRESHOLD, 16, 0.1).args
    nested, _ = nodes.hierarchy.DiffSegHierarchy.execute(
        attention, "automatic", 10, 0.1, 0.5, True, 0.06
    ).args
    cut = nested.segments.counts[0]
    report(f"{name_of(device)}: {count} segments merged, {cut} in the hierarchy's own cut")
    points = json.dumps([{"x": 150, "y": 100}, {"x": 5, "y": 5}])
    outputs = []
    for segments in (merged, nested):
        for image in (photograph.flip(1), None):
            chosen = nodes.select.DiffSegSelect.execute(segments, points, False, 0, image)
            assert chosen.ui["diffseg_view"][0]["pictures"]
            outputs += [*chosen.args[:3], chosen.args[3].segments.labels]
            if segments.segments.hierarchies:
                clicks = json.dumps([{"x": 150, "y": 100}, {"x": 5, "y": 5, "label": 0}])
                found = nodes.select.DiffSegSelect.execute(segments, clicks, False, 0, image, mode="object")
                assert found.args[0].any()
                outputs += [*found.args[:3], found.args[3].segments.labels]
        refined, masks = nodes.refine.DiffSegRefine.execute(segments, 0.0, True).args
        kept, mask, _ = nodes.filter.DiffSegFilter.execute(segments, "", 1.0, 100.0, "any", 3, "any").args
        snapped, outline = nodes.snap_mask.DiffSegSnapMask.execute(segments, mask.half(), 50.0).args
        outputs += [masks, mask, outline, *nodes.masks.DiffSegMasks.execute(segments).args]
        outputs += nodes.label_map.DiffSegLabelMap.execute(segments, "distinct", "").args
        outputs += nodes.preview.DiffSegPreview.execute(segments).args
        refined, kept, snapped = (each.segments for each in (refined, kept, snapped))
        outputs += [refined.labels, kept.labels, snapped.labels, *refined.proposals]
        outputs += [tree.leaves for each in (refined, kept, snapped) for tree in each.hierarchies]
        (size, segs) = nodes.to_segs.DiffSegToSEGS.execute(segments, 3.0, 0)[0]
        assert size == tuple(segments.segments.image_size)
        assert len(segs) == segments.segments.counts[0]
        nodes.save.DiffSegSave.execute(segments, "accelerator")
    assert all(value.device == device for value in outputs)
    saved = Path(folder_paths.get_output_directory())
    assert len(list(saved.glob("accelerator_*_segments.json"))) == 2
    assert len(list(saved.glob("accelerator_*_overlay.png"))) == 2
