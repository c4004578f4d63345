"""SEGS in the Impact Pack's own nodes, on a live ComfyUI.

Runs where IMPACT_PACK_DIR names a folder with github.com/ltdrdata/ComfyUI-Impact-Pack, and IMPACT_PACK_PYTHON
the interpreter of an environment with ComfyUI's and the Impact Pack's packages (otherwise the tests' own).
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.environment import NEWEST, Installation, comfyui_directory, link_directory
from PIL import Image

IMPACT_PACK = os.environ.get("IMPACT_PACK_DIR", "")

pytestmark = pytest.mark.skipif(
    not IMPACT_PACK,
    reason="set IMPACT_PACK_DIR to a checkout of github.com/ltdrdata/ComfyUI-Impact-Pack, and "
    "IMPACT_PACK_PYTHON to an interpreter that has its packages and ComfyUI's",
)

Prompt = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """ComfyUI with both packs."""
    base = tmp_path_factory.mktemp("comfyui_impact")
    (base / "custom_nodes").mkdir()
    link_directory(base / "custom_nodes" / "ComfyUI-Impact-Pack", Path(IMPACT_PACK))
    python = Path(os.environ.get("IMPACT_PACK_PYTHON", sys.executable))
    with ComfyServer(Installation(comfyui_directory(NEWEST), python), base) as running:
        assert "SegsToCombinedMask" in running.object_info(), running.log_tail()
        yield running


@pytest.fixture
def prompt(segments_prompt: Prompt) -> Prompt:
    """Segments at "3", their SEGS with pieces of the image at "segs"; the label map is saved."""
    return {
        **segments_prompt,
        "segs": node("DiffSegToSEGS", segments=["3", 0], crop_factor=3.0, image_index=0),
        "labels": node("DiffSegSave", segments=["3", 0], filename_prefix="labels"),
    }


def node(class_type: str, **inputs: Any) -> Prompt:
    return {"class_type": class_type, "inputs": inputs}


def with_saved_mask(prompt: Prompt, mask: list[Any]) -> Prompt:
    return {
        **prompt,
        "mask image": node("MaskToImage", mask=mask),
        "saved": node("SaveImage", images=["mask image", 0], filename_prefix="mask"),
    }


def image(server: ComfyServer, entry: dict[str, str]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(server.fetch_image(entry))))


def run(server: ComfyServer, prompt: Prompt) -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
    """The label map, −1 where no segment is, and the images of every output node."""
    outputs = server.run(prompt).outputs
    (entry,) = outputs.pop("labels")["images"]
    entry = {**entry, "filename": entry["filename"].replace("_overlay", "_labels")}
    images = {name: [image(server, each) for each in output["images"]] for name, output in outputs.items()}
    return image(server, entry).astype(int) - 1, images


def masks_of(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == index for index in range(labels.max() + 1)]


def assert_masks(saved: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(saved) == len(expected)
    for image, mask in zip(saved, expected, strict=True):
        np.testing.assert_array_equal(image[..., 0], mask * np.uint8(255))


def test_the_combined_mask_is_the_union_of_the_segments(server: ComfyServer, prompt: Prompt) -> None:
    prompt["1 and 2"] = node("ImpactSEGSPicker", picks="2,3", segs=["segs", 0])
    prompt["combined"] = node("SegsToCombinedMask", segs=["1 and 2", 0])
    labels, images = run(server, with_saved_mask(prompt, ["combined", 0]))
    assert_masks(images["saved"], [np.isin(labels, (1, 2))])


def test_the_list_of_masks_is_that_of_the_segments_in_order(server: ComfyServer, prompt: Prompt) -> None:
    prompt["list"] = node("ImpactSEGSToMaskList", segs=["segs", 0])
    labels, images = run(server, with_saved_mask(prompt, ["list", 0]))
    assert len(masks_of(labels)) >= 3
    assert_masks(images["saved"], masks_of(labels))


def test_the_ordered_filter_takes_the_topmost(server: ComfyServer, prompt: Prompt) -> None:
    prompt["segs"]["inputs"]["crop_factor"] = 1.0
    prompt["lowest"] = node(
        "ImpactSEGSOrderedFilter", segs=["segs", 0], target="y2", order=False, take_start=0, take_count=1
    )
    prompt["list"] = node("ImpactSEGSToMaskList", segs=["lowest", 0])
    labels, images = run(server, with_saved_mask(prompt, ["list", 0]))
    topmost = min(masks_of(labels), key=lambda mask: np.flatnonzero(mask.any(1)).max())
    assert_masks(images["saved"], [topmost])


def test_the_range_filter_reads_width_and_confidence(server: ComfyServer, prompt: Prompt) -> None:
    prompt["segs"]["inputs"]["crop_factor"] = 1.0
    prompt["narrow"] = node(
        "ImpactSEGSRangeFilter", segs=["segs", 0], target="width", mode=True, min_value=0, max_value=599
    )
    prompt["sure"] = node(
        "ImpactSEGSRangeFilter",
        segs=["narrow", 0],
        target="confidence(0-100)",
        mode=True,
        min_value=100,
        max_value=100,
    )
    prompt["list"] = node("ImpactSEGSToMaskList", segs=["sure", 0])
    labels, images = run(server, with_saved_mask(prompt, ["list", 0]))
    narrow = [mask for mask in masks_of(labels) if np.ptp(np.flatnonzero(mask.any(0))) + 1 <= 599]
    assert 0 < len(narrow) < len(masks_of(labels)), "the filter has something to do"
    assert_masks(images["saved"], narrow)


def test_the_label_filter_finds_a_segment_by_its_label(server: ComfyServer, prompt: Prompt) -> None:
    prompt["found"] = node("ImpactSEGSLabelFilter", segs=["segs", 0], preset="all", labels="segment 1")
    prompt["list"] = node("ImpactSEGSToMaskList", segs=["found", 0])
    labels, images = run(server, with_saved_mask(prompt, ["list", 0]))
    assert_masks(images["saved"], [labels == 1])


def test_the_preview_shows_every_segment(server: ComfyServer, prompt: Prompt) -> None:
    prompt["preview"] = node("SEGSPreview", segs=["segs", 0], alpha_mode=True, min_alpha=0.2)
    labels, images = run(server, prompt)
    masks = masks_of(labels)
    assert len(images["preview"]) == len(masks)
    for shown, mask in zip(images["preview"], masks, strict=True):
        assert shown.shape[2] == 4
        assert (shown[..., 3] == 255).sum() == mask.sum()


def test_masks_in_segs_can_be_grown_and_cut(server: ComfyServer, prompt: Prompt) -> None:
    prompt["one"] = node("ImpactSEGSPicker", picks="2", segs=["segs", 0])
    prompt["grown"] = node("ImpactDilateMaskInSEGS", segs=["one", 0], dilation=5)
    prompt["half"] = node("SolidMask", value=1.0, width=600, height=400)
    prompt["cut"] = node("ImpactSegsAndMask", segs=["grown", 0], mask=["half", 0])
    prompt["merged"] = node("ImpactSEGSMerge", segs=["cut", 0])
    prompt["list"] = node("ImpactSEGSToMaskList", segs=["merged", 0])
    labels, images = run(server, with_saved_mask(prompt, ["list", 0]))
    (saved,) = images["saved"]
    grown = saved[..., 0] == 255
    assert grown[labels == 1].all()
    assert (labels == 1).sum() < grown.sum() < 2 * (labels == 1).sum()


@pytest.mark.parametrize("detailer", ["DetailerForEach", "SEGSDetailer"])
def test_a_detailer_repaints_the_segment_and_leaves_the_rest(
    server: ComfyServer, prompt: Prompt, detailer: str
) -> None:
    """With the demo model, whose images are blurs: that it runs and where it paints is what counts."""
    sampling = {
        "image": ["1", 3], "segs": ["one", 0], "guide_size": 128, "guide_size_for": True, "max_size": 256,
        "seed": 1, "steps": 2, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.9,
        "noise_mask": True, "force_inpaint": True,
    }  # fmt: skip
    prompt["one"] = node("ImpactSEGSPicker", picks="3", segs=["segs", 0])
    # The demo model has no CLIP, and none is used without a wildcard text; something has to be connected.
    prompt["clip"] = node("ImpactConditionalBranch", cond=True, tt_value=["1", 0], ff_value=["1", 0])
    model = {"model": ["1", 0], "clip": ["clip", 0], "vae": ["1", 1]}
    conditioning = {"positive": ["1", 2], "negative": ["1", 2]}
    if detailer == "DetailerForEach":
        settings = {"feather": 0, "wildcard": "", "cycle": 1}
        prompt["detailed"] = node(detailer, **sampling, **model, **conditioning, **settings)
    else:
        prompt["pipe"] = node("ToBasicPipe", **model, **conditioning)
        settings = {"refiner_ratio": 0.2, "batch_size": 1, "cycle": 1, "basic_pipe": ["pipe", 0]}
        prompt["pieces"] = node(detailer, **sampling, **settings)
        prompt["detailed"] = node("SEGSPaste", image=["1", 3], segs=["pieces", 0], feather=0, alpha=255)
    prompt["after"] = node("SaveImage", images=["detailed", 0], filename_prefix="after")
    prompt["before"] = node("SaveImage", images=["1", 3], filename_prefix="before")
    labels, images = run(server, prompt)
    (before,), (after,) = images["before"], images["after"]
    change = np.abs(before.astype(int) - after).max(2)
    assert change[labels == 2].mean() > 5
    assert (change[labels != 2] <= 1).all(), "no more than 8 bits' rounding"
