"""The example workflows that edit an image: what each of them promises holds for the pixels.

The demo model stands in for the checkpoint and its photograph for the image; sampling takes two steps.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.demo import images_of
from diffseg_tools.environment import NEWEST, Installation, comfyui_directory, link_directory
from diffseg_tools.workflow import to_prompt
from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parents[2]
IMPACT_PACK = os.environ.get("IMPACT_PACK_DIR", "")
PHOTOGRAPH = ROOT / "demo_model" / "photograph.jpg"
RIM, SAUCER, CLOTH = (190, 100), (120, 180), (45, 40)  # things in the photograph, x and y
SETTINGS = {  # that suit the demo model, and a test
    "DiffSegCapture": {"noise_level": 25, "working_size": 384},
    "KSampler": {"steps": 2, "cfg": 1.0},
    "DetailerForEach": {"steps": 2, "cfg": 1.0, "guide_size": 128, "max_size": 256},
    "ImageScaleToTotalPixels": {"megapixels": 0.06},  # half the photograph's sides
}

Prompt = dict[str, Any]
Pixels = np.ndarray


@pytest.fixture
def any_comfy_server(mostly_newest_server: ComfyServer) -> ComfyServer:
    return mostly_newest_server


@pytest.fixture
def photograph() -> Pixels:
    with Image.open(PHOTOGRAPH) as image:
        return np.asarray(image.convert("RGB"))


def upload(server: ComfyServer, image: Image.Image, name: str) -> None:
    path = server.base_directory / name
    image.save(path)
    server.upload_image(path)


def prompt_of(server: ComfyServer, name: str, *points: tuple[int, int]) -> Prompt:
    """The workflow's prompt with the demo model, the photograph, and a point for each picker in turn.

    Nodes of packs that the server lacks, and what they alone feed, are left out.
    """
    with Image.open(PHOTOGRAPH) as image:
        upload(server, image, "example.png")
    workflow = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    known = server.object_info()
    for node in workflow["nodes"]:
        if node["properties"].get("cnr_id") and node["type"] not in known:
            node["mode"] = 2
    prompt = {
        key: node
        for key, node in to_prompt(workflow, known).items()
        if node["inputs"].keys() >= known[node["class_type"]]["input"].get("required", {}).keys()
    }
    loader = node_of(prompt, class_type="CheckpointLoaderSimple")
    texts = {key for key, node in prompt.items() if node["class_type"] == "CLIPTextEncode"}
    stand_ins = {(text, 0): [loader, 2] for text in texts} | {(loader, 2): [loader, 1]}  # it has no CLIP
    for node in prompt.values():
        links = {key: value for key, value in node["inputs"].items() if isinstance(value, list)}
        node["inputs"] |= {key: stand_ins.get(tuple(link), link) for key, link in links.items()}
        node["inputs"] |= SETTINGS.get(node["class_type"], {})
        if node["class_type"] == "DiffSegCapture":
            assert node["inputs"].pop("clip") == [loader, 1]
    prompt[loader] = {"class_type": "DiffSegDemoModel", "inputs": {}, "_meta": {"title": "Demo model"}}
    selects = (node for node in prompt.values() if node["class_type"] == "DiffSegSelect")
    pickers = (node for node in selects if node["inputs"].get("mode") != "object" or points)
    for node, (x, y) in zip(pickers, points, strict=True):
        node["inputs"]["points"] = json.dumps([{"x": x, "y": y}])
    return {key: node for key, node in prompt.items() if key not in texts}


def node_of(prompt: Prompt, **wanted: str) -> str:
    """The one node of that class_type, or of that title."""
    (found,) = (
        key
        for key, node in prompt.items()
        if wanted in ({"class_type": node["class_type"]}, {"title": node.get("_meta", {}).get("title")})
    )
    return found


def save(prompt: Prompt, name: str, link: list[Any]) -> None:
    """Save an image under that name as well."""
    prompt[name] = {
        "class_type": "SaveImage",
        "inputs": {"images": link, "filename_prefix": f"diffseg/{name}"},
    }


def save_mask(prompt: Prompt, name: str, link: list[Any]) -> None:
    """Save a mask under that name as well."""
    prompt[f"{name} image"] = {"class_type": "MaskToImage", "inputs": {"mask": link}}
    save(prompt, name, [f"{name} image", 0])


def run(server: ComfyServer, prompt: Prompt) -> dict[str, list[Pixels]]:
    """What the prompt saves, by the name that the file begins with."""
    images = images_of(server, prompt)
    return {name: [np.asarray(image) for image in members] for name, members in images.items()}


def halved(point: tuple[int, int]) -> tuple[int, int]:
    return point[0] // 2, point[1] // 2


def is_set(mask: Pixels) -> Pixels:
    """A saved mask as booleans ``[H, W]``."""
    assert set(np.unique(mask)) <= {0, 255}
    return mask[..., 0] == 255


def difference(first: Pixels, second: Pixels) -> Pixels:
    """The largest difference of a colour, in 8 bits, ``[H, W]``."""
    return np.abs(first.astype(int) - second.astype(int)).max(-1)


@pytest.mark.parametrize("workflow", ["click_and_inpaint", "click_an_object_and_inpaint_it"])
def test_inpainting_changes_what_is_clicked_and_no_pixel_elsewhere(
    any_comfy_server: ComfyServer, workflow: str
) -> None:
    prompt = prompt_of(any_comfy_server, workflow, halved(SAUCER))
    objects = workflow == "click_an_object_and_inpaint_it"
    assert prompt[node_of(prompt, class_type="DiffSegSelect")]["inputs"]["mode"] == (
        "object" if objects else "segments"
    )
    save(prompt, "before", [node_of(prompt, class_type="ImageScaleToTotalPixels"), 0])
    save_mask(prompt, "chosen", [node_of(prompt, class_type="DiffSegSelect"), 0])
    save_mask(prompt, "grown", [node_of(prompt, class_type="GrowMask"), 0])
    images = run(any_comfy_server, prompt)
    (before,), (after,) = images["before"], images["inpainted"]
    (chosen,), (grown,) = images["chosen"], images["grown"]
    radius = prompt[node_of(prompt, title="Soft edge")]["inputs"]["blur_radius"]
    reached = np.asarray(Image.fromarray(grown[..., 0]).filter(ImageFilter.MaxFilter(2 * radius + 1))) > 0
    assert is_set(chosen)[halved(SAUCER)[::-1]]
    assert 0.2 < reached.mean() < 0.9
    np.testing.assert_array_equal(after[~reached], before[~reached])
    assert difference(after, before)[is_set(chosen)].mean() > 10


def test_a_new_background_leaves_the_subject_its_pixels(
    any_comfy_server: ComfyServer, photograph: Pixels
) -> None:
    upload(any_comfy_server, Image.linear_gradient("L").convert("RGB"), "other.png")
    prompt = prompt_of(any_comfy_server, "replace_the_background", RIM)
    prompt[node_of(prompt, title="New background")]["inputs"]["image"] = "other.png"
    save_mask(prompt, "chosen", [node_of(prompt, class_type="DiffSegSelect"), 0])
    save(prompt, "alone", [node_of(prompt, title="Soften"), 0])
    images = run(any_comfy_server, prompt)
    (result,), (alone,), (mask,) = images["background"], images["alone"], images["chosen"]
    chosen = is_set(mask)
    assert chosen[RIM[::-1]]
    assert 0.02 < chosen.mean() < 0.9
    np.testing.assert_array_equal(result[chosen], photograph[chosen])
    np.testing.assert_array_equal(result[~chosen], alone[~chosen])
    assert alone[20].mean() < 60 < 190 < alone[-20].mean(), "the gradient, scaled to fit"


def test_recolouring_multiplies_the_object_by_the_colour(
    any_comfy_server: ComfyServer, photograph: Pixels
) -> None:
    prompt = prompt_of(any_comfy_server, "recolour_an_object", RIM)
    colour = prompt[node_of(prompt, title="Colour")]["inputs"]["color"]
    save_mask(prompt, "chosen", [node_of(prompt, class_type="DiffSegSelect"), 0])
    images = run(any_comfy_server, prompt)
    (result,), (mask,) = images["recoloured"], images["chosen"]
    chosen = is_set(mask)
    channels = np.array([colour >> 16, colour >> 8 & 255, colour & 255])
    expected = (photograph * channels / 255).astype(np.uint8)
    np.testing.assert_array_equal(result[~chosen], photograph[~chosen])
    assert difference(result, expected)[chosen].max() <= 1
    assert difference(result, photograph)[chosen].mean() > 20


def test_every_prompt_is_heard_in_its_own_region(any_comfy_server: ComfyServer) -> None:
    """Sampling after one region's prompt alone gives the same image there, and nothing elsewhere."""
    prompt = prompt_of(any_comfy_server, "one_prompt_per_region", halved(RIM), halved(CLOTH))
    pickers = [key for key, node in prompt.items() if node["class_type"] == "DiffSegSelect"]
    heard = [key for key, node in prompt.items() if node["class_type"] == "ConditioningSetMask"]
    for name, key in zip(("first", "second"), pickers, strict=True):
        prompt[key]["inputs"]["granularity"] = 4  # large regions: along borders both prompts are seen
        save_mask(prompt, name, [key, 0])
    sampler = prompt[node_of(prompt, class_type="KSampler")]["inputs"]
    sampler["steps"] = 1
    all_together = run(any_comfy_server, prompt)
    first, second = (is_set(all_together[name][0]) for name in ("first", "second"))
    assert first[halved(RIM)[::-1]]
    assert second[halved(CLOTH)[::-1]]
    assert not (first & second).any()
    for key, own, other in ((heard[0], first, second), (heard[1], second, first)):
        sampler["positive"] = [key, 0]
        (alone,) = run(any_comfy_server, prompt)["regions"]
        change = difference(alone, all_together["regions"][0])
        assert change[other].mean() > 5 * change[own].mean()


def test_a_drawn_mask_snaps_to_the_segments_that_it_covers(
    any_comfy_server: ComfyServer, photograph: Pixels
) -> None:
    prompt = prompt_of(any_comfy_server, "clean_up_a_drawn_mask")
    drawn = Image.new("L", photograph.shape[1::-1], 255)
    ImageDraw.Draw(drawn).ellipse((150, 200, 420, 370), fill=0)  # transparent where the mask editor painted
    painted = Image.fromarray(photograph)
    painted.putalpha(drawn)
    upload(any_comfy_server, painted, "example.png")
    segments = prompt[node_of(prompt, class_type="DiffSegSnapMask")]["inputs"]["segments"]
    prompt["masks"] = {"class_type": "DiffSegMasks", "inputs": {"segments": segments, "image_index": 0}}
    save_mask(prompt, "each", ["masks", 0])
    images = run(any_comfy_server, prompt)
    (clean,), (cutout,) = images["clean_mask"], images["cutout"]
    rough = np.asarray(drawn) == 0
    covered = [segment for segment in map(is_set, images["each"]) if rough[segment].mean() > 0.5]
    assert 0 < len(covered) < len(images["each"])
    np.testing.assert_array_equal(is_set(clean), np.any(covered, axis=0))
    assert (is_set(clean) != rough).any()
    np.testing.assert_array_equal(cutout[..., 3] == 255, is_set(clean))
    np.testing.assert_array_equal(cutout[..., :3], photograph)


def test_the_chosen_segments_become_segs(any_comfy_server: ComfyServer) -> None:
    prompt = prompt_of(any_comfy_server, "segs_to_detailer_needs_impact_pack")
    segs = node_of(prompt, class_type="DiffSegToSEGS")
    chosen = node_of(prompt, class_type="DiffSegFilter")
    prompt["text"] = {"class_type": "PreviewAny", "inputs": {"source": [segs, 0]}}
    save_mask(prompt, "chosen", [chosen, 1])
    outputs = any_comfy_server.run(prompt).outputs
    (text,) = outputs["text"]["text"]
    assert text.startswith("((400, 600), [SEG(")
    assert text.count("SEG(") == text.count("label='segment ")
    assert 1 <= text.count("SEG(") <= prompt[chosen]["inputs"]["keep_largest"]


@pytest.fixture
def server_with_impact_pack(tmp_path: Path) -> Iterator[ComfyServer]:
    """ComfyUI with both packs; see test_impact_pack.py."""
    (tmp_path / "custom_nodes").mkdir()
    link_directory(tmp_path / "custom_nodes" / "ComfyUI-Impact-Pack", Path(IMPACT_PACK))
    python = Path(os.environ.get("IMPACT_PACK_PYTHON", sys.executable))
    with ComfyServer(Installation(comfyui_directory(NEWEST), python), tmp_path) as server:
        yield server


@pytest.mark.skipif(not IMPACT_PACK, reason="set IMPACT_PACK_DIR; see test_impact_pack.py")
def test_the_detailer_changes_the_chosen_segments(
    server_with_impact_pack: ComfyServer, photograph: Pixels
) -> None:
    prompt = prompt_of(server_with_impact_pack, "segs_to_detailer_needs_impact_pack")
    loader, detailer = (node_of(prompt, class_type=name) for name in ("DiffSegDemoModel", "DetailerForEach"))
    # The demo model has no CLIP, and none is used without a wildcard text; something has to be connected.
    anything = {"cond": True, "tt_value": [loader, 0], "ff_value": [loader, 0]}
    prompt["anything"] = {"class_type": "ImpactConditionalBranch", "inputs": anything}
    prompt[detailer]["inputs"]["clip"] = ["anything", 0]
    save_mask(prompt, "chosen", [node_of(prompt, class_type="DiffSegFilter"), 1])
    images = run(server_with_impact_pack, prompt)
    (result,), (mask,) = images["detailed"], images["chosen"]
    chosen = is_set(mask)
    reached = np.asarray(Image.fromarray(mask[..., 0]).filter(ImageFilter.MaxFilter(41))) > 0
    assert difference(result, photograph)[chosen].mean() > 5
    assert difference(result, photograph)[~reached].max() <= 1, "no more than 8 bits' rounding"


def test_a_box_cuts_the_thing_in_it_out(any_comfy_server: ComfyServer, photograph: Pixels) -> None:
    prompt = prompt_of(any_comfy_server, "box_to_cutout")
    found = node_of(prompt, class_type="DiffSegSelect")
    assert json.loads(prompt[found]["inputs"]["points"]), "it comes with a box"
    prompt[found]["inputs"]["points"] = json.dumps([{"box": [60, 10, 430, 390]}])
    save_mask(prompt, "found", [found, 0])
    images = run(any_comfy_server, prompt)
    (cutout,), (mask,) = images["cutout"], images["found"]
    chosen = is_set(mask)
    assert 0.1 < chosen.mean() < 0.7
    np.testing.assert_array_equal(cutout[..., 3] == 255, chosen)
    np.testing.assert_array_equal(cutout[chosen][:, :3], photograph[chosen])
