"""Segments on their way out of ComfyUI: to files, and to the nodes that take SEGS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.cli_args
import comfy.model_management
import folder_paths
import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """ComfyUI's output folder, for one test."""
    before = folder_paths.get_output_directory()
    folder_paths.set_output_directory(str(tmp_path / "output"))
    yield tmp_path / "output"
    folder_paths.set_output_directory(before)


@pytest.fixture
def segments(pack) -> Any:
    """Two images of 64×96 with three and two segments, and a place without segment in the second."""
    labels = torch.zeros(2, 64, 96, dtype=torch.int32)
    labels[0, :, 60:] = 1
    labels[0, :20, :20] = 2
    labels[1, 40:] = 1
    labels[1, :10, :10] = -1
    return pack.diffseg_core.Segments(labels, ())


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 64, 96, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def save(pack, output, carried):
    """The Save node as ComfyUI runs it, with a prompt and a workflow to keep."""

    def run(segments: Any, prefix: str = "DiffSeg/segments", image: torch.Tensor | None = None) -> Any:
        hidden = {"PROMPT": {"1": {"class_type": "X"}}, "EXTRA_PNGINFO": {"workflow": {"nodes": []}}}
        clone = pack.nodes.save.DiffSegSave.PREPARE_CLASS_CLONE({"hidden_inputs": hidden})
        return clone.execute(segments=carried(segments, image), filename_prefix=prefix)

    return run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


KINDS = ("labels.png", "overlay.png", "panoptic.json", "panoptic.png", "segments.json")


def set_of(stem: str) -> list[str]:
    return [f"{stem}_{kind}" for kind in KINDS]


def labels_of(folder: Path, stem: str) -> torch.Tensor:
    with Image.open(folder / f"{stem}_labels.png") as opened:
        return torch.from_numpy(np.asarray(opened).astype(np.int32) - 1)


def test_every_image_is_saved_under_a_number_of_its_own(save, segments, image, output):
    result = save(segments, image=image)
    numbers = set()
    assert names(output / "DiffSeg") == [*set_of("segments_00001"), *set_of("segments_00002")]
    for index, stem in enumerate(("segments_00001", "segments_00002")):
        assert torch.equal(labels_of(output / "DiffSeg", stem), segments.labels[index])
        annotation = json.loads((output / "DiffSeg" / f"{stem}_segments.json").read_text())
        assert len(annotation["segments_info"]) == segments.counts[index]
        assert annotation["file_name"] == f"{stem}_labels.png"
        numbers.add(annotation["image_id"])
    assert len(numbers) == 2
    assert result.ui.as_dict()["images"] == [
        {"filename": f"{stem}_overlay.png", "subfolder": "DiffSeg", "type": "output"}
        for stem in ("segments_00001", "segments_00002")
    ]
    assert result.args == ()


@pytest.mark.parametrize("prefix", ["DiffSeg/segments", "plain", "cat_%batch_num%", "%width%x%height%"])
def test_saving_again_overwrites_nothing(save, segments, output, prefix):
    save(segments, prefix)
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    assert len(before) == 10
    save(segments, prefix)
    after = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    assert len(after) == 20
    assert before.items() <= after.items()


def test_an_unfinished_set_is_not_overwritten_either(save, segments, output):
    save(segments, "a_%batch_num%")
    (output / "a_0_00001_segments.json").unlink()
    (output / "a_0_00001_labels.png").unlink()
    kept = (output / "a_0_00001_overlay.png").read_bytes()
    save(segments, "a_%batch_num%")
    assert (output / "a_0_00001_overlay.png").read_bytes() == kept
    assert not (output / "a_0_00001_labels.png").exists()


def test_numbers_go_on_after_other_images_of_the_prefix(save, segments, output):
    output.mkdir()
    (output / "mine_00041_.png").touch()
    save(segments, "mine")
    assert names(output) == ["mine_00041_.png", *set_of("mine_00042"), *set_of("mine_00043")]


def test_the_names_placeholders_are_filled_in(save, segments, output):
    save(segments, "%width%/%height%_%batch_num%")
    assert names(output / "96") == [*set_of("64_0_00001"), *set_of("64_1_00002")]


def test_dates_are_filled_in_for_those_who_send_no_browser(save, segments, output):
    save(segments, "%date:yyyy-MM-dd%/cat_%date:yy%")
    (folder,) = names(output)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", folder)
    assert names(output / folder)[0] == f"cat_{folder[2:4]}_00001_labels.png"


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("%date:hh:mm%/a", "without ':'"),
        ("12:30/a", "without ':'"),
        ("%KSampler.seed%/a", "only the browser can fill in"),
        (f"{'d' * 300}/a", "names of at most 255 bytes.* got 300 in d"),
        ("a" * 240, "names of at most 255 bytes.* got 26"),
    ],
)
def test_names_that_no_file_can_have_are_refused_before_anything_runs(
    pack, save, segments, output, prefix, message
):
    refused = pack.nodes.save.DiffSegSave.validate_inputs(prefix)
    assert re.search(message, refused)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        save(segments, prefix)
    assert not output.exists()


def test_a_prefix_may_be_as_long_as_a_name_leaves_room(pack, save, segments, output):
    longest = 255 - len("_00001_segments.json")
    for prefix in ("a" * longest, "%width%%second%".ljust(longest + 15 - 4, "b")):
        assert pack.nodes.save.DiffSegSave.validate_inputs(prefix) is True
        save(segments, prefix)
    assert len(names(output)) == 20
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="shorter by 1 or more"):
        save(segments, "%width%%second%".ljust(longest + 15 - 3, "c"))
    assert len(names(output)) == 20


def test_a_linked_prefix_is_not_known_before_the_run(pack):
    assert pack.nodes.save.DiffSegSave.validate_inputs() is True
    assert pack.nodes.save.DiffSegSave.validate_inputs("%date:yyyy-MM-dd%/%width%") is True


def test_nothing_is_saved_outside_the_output_folder(save, segments, output):
    with pytest.raises(Exception, match="within the output folder"):
        save(segments, "../escaped")
    assert not (output.parent / "escaped_00001_labels.png").exists()


def test_the_overlay_carries_the_workflow_as_saved_images_do(save, segments, output, monkeypatch):
    save(segments, "with")
    monkeypatch.setattr(comfy.cli_args.args, "disable_metadata", True)
    save(segments, "without")
    with Image.open(output / "with_00001_overlay.png") as opened:
        opened.load()
        assert {key: json.loads(text) for key, text in opened.text.items()} == {
            "prompt": {"1": {"class_type": "X"}},
            "workflow": {"nodes": []},
        }
    with Image.open(output / "without_00001_overlay.png") as opened:
        opened.load()
        assert opened.text == {}


def test_the_overlay_is_drawn_over_the_image(pack, save, segments, image, output):
    save(segments, "over", image)
    expected = pack.diffseg_core.draw_overlay(image, segments)
    for index, stem in enumerate(("over_00001", "over_00002")):
        overlay = np.asarray(Image.open(output / f"{stem}_overlay.png"))
        assert np.abs(overlay - expected[index].numpy() * 255).max() <= 0.51


def test_an_image_of_another_size_is_refused_and_nothing_saved(pack, save, segments, output):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="an image of 64×96 pixels"):
        save(segments, image=torch.rand(1, 32, 32, 3))
    assert not [path for path in output.rglob("*") if path.is_file()]


def test_an_interrupt_leaves_whole_sets_only(save, segments, output):
    comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        save(segments, "a")
    assert names(output) == set_of("a_00001")


def test_segs_are_those_of_the_image_asked_for(pack, carried, segments, image):
    to_segs = pack.nodes.to_segs.DiffSegToSEGS.execute
    size, found = to_segs(carried(segments, image), 3.0, 1)[0]
    assert size == (64, 96)
    assert [seg.label for seg in found] == ["segment 0", "segment 1"]
    for index, seg in enumerate(found):
        x1, y1, x2, y2 = seg.crop_region
        np.testing.assert_array_equal(seg.cropped_mask, segments.masks(1)[index, y1:y2, x1:x2].numpy())
        np.testing.assert_array_equal(seg.cropped_image[0], image[1, y1:y2, x1:x2].numpy())
    assert all(seg.cropped_image is None for seg in to_segs(carried(segments), 3.0, 1)[0][1])


def test_one_image_serves_every_image_of_the_segments(pack, carried, segments, image):
    _, found = pack.nodes.to_segs.DiffSegToSEGS.execute(carried(segments, image[:1]), 1.0, 1)[0]
    x1, y1, x2, y2 = found[1].crop_region
    np.testing.assert_array_equal(found[1].cropped_image[0], image[0, y1:y2, x1:x2].numpy())


def test_an_image_that_is_not_there_is_refused(pack, carried, segments, image):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="image index from 0 to 1, got 2"):
        pack.nodes.to_segs.DiffSegToSEGS.execute(carried(segments, image), 3.0, 2)
