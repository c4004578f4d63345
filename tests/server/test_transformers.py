"""Diffusion transformers on a live ComfyUI, from a loader to masks: of each family a tiny random model."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import exhaustive_but
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.workflow import to_prompt
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
WITH_VAE = ["SD3", "SD3.5 Medium", "Flux dev", "Flux schnell", "Flux Fill", "Chroma", "Z-Image", "Lumina 2"]
OF_LATENTS = ["Flux.2", "Qwen-Image", "Anima", "Krea 2", "HunyuanImage 2.1", "HiDream", "PixArt sigma"]


@pytest.fixture
def server(any_comfy_server: ComfyServer) -> ComfyServer:
    """A ComfyUI with the pack, the loader of tiny models, and a photograph for it."""
    any_comfy_server.upload_image(photograph(any_comfy_server.base_directory / "example.png"))
    return any_comfy_server


def photograph(path: Path) -> Path:
    with Image.open(ROOT / "demo_model" / "photograph.jpg") as image:
        image.resize((300, 200)).save(path)
    return path


def prompt_of(server: ComfyServer, name: str) -> dict[str, Any]:
    """The workflow for Flux with its three loaders replaced by one of a tiny model."""
    workflow = json.loads((ROOT / "workflows" / "flux_click_an_object.json").read_text(encoding="utf-8"))
    prompt = to_prompt(workflow, server.object_info())
    loaders = [key for key, node in prompt.items() if node["class_type"].endswith("Loader")]
    assert len(loaders) == 3
    for key in loaders:
        del prompt[key]
    prompt["tiny"] = {"class_type": "TinyModel", "inputs": {"name": name}}
    capture = inputs_of(prompt, "DiffSegCapture")
    del capture["clip"]
    capture |= {"model": ["tiny", 0], "vae": ["tiny", 1], "conditioning": ["tiny", 2], "working_size": 128}
    inputs_of(prompt, "DiffSegSelect")["points"] = '[{"x": 150, "y": 100, "label": 1}]'
    return prompt


def inputs_of(prompt: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = (node["inputs"] for node in prompt.values() if node["class_type"] == kind)
    return found


def images_of(server: ComfyServer, outputs: dict[str, Any], prefix: str) -> list[np.ndarray]:
    entries = [entry for output in outputs.values() for entry in output.get("images", [])]
    return [
        np.asarray(Image.open(io.BytesIO(server.fetch_image(entry))))
        for entry in entries
        if entry["type"] == "output" and entry["filename"].startswith(prefix)
    ]


@pytest.mark.parametrize("name", exhaustive_but(["Flux dev", "Z-Image"], WITH_VAE))
def test_from_a_loader_to_the_mask_of_a_clicked_object(server: ComfyServer, name: str) -> None:
    outputs = server.run(prompt_of(server, name)).outputs
    (mask,) = images_of(server, outputs, "mask")
    assert mask.shape[:2] == (200, 300)
    assert mask[100, 150].max() == 255, "what was clicked is in the mask"
    (cut_out,) = images_of(server, outputs, "cutout")
    assert cut_out.shape[:2] == (200, 300)


@pytest.mark.parametrize("name", exhaustive_but(["HiDream", "PixArt sigma"], OF_LATENTS))
def test_from_a_latent_to_masks(server: ComfyServer, name: str) -> None:
    known = server.object_info()["TinyModel"]["input"]["required"]["name"][0]
    if name not in known:
        pytest.skip(f"this release of ComfyUI does not know {name}")
    prompt = {
        "1": {"class_type": "TinyModel", "inputs": {"name": name}},
        "2": {
            "class_type": "DiffSegCapture",
            "inputs": {
                "model": ["1", 0], "conditioning": ["1", 2], "latent": ["1", 3], "noise_level": 300,
                "input_mode": "noised latent", "noise_seed": 7, "working_size": 0, "layers": "all",
            },
        },
        "3": {
            "class_type": "DiffSegSegment",
            "inputs": {
                "attention": ["2", 0], "merge_threshold": 0.01, "anchors": 4, "smallest_area": 0.0,
            },
        },
        "4": {"class_type": "DiffSegMasks", "inputs": {"segments": ["3", 0]}},
        "5": {"class_type": "MaskToImage", "inputs": {"mask": ["4", 0]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "masks"}},
    }  # fmt: skip
    masks = np.stack([mask[..., 0] for mask in images_of(server, server.run(prompt).outputs, "masks")])
    assert ((masks == 255).sum(0) == 1).all(), "every pixel lies in exactly one mask"


def test_features_and_normalised_cuts_of_sdxls_workflow(server: ComfyServer) -> None:
    """With the demo model in SDXL's place: both ways give segments of the same features."""
    workflow = json.loads((ROOT / "workflows" / "sdxl_features.json").read_text(encoding="utf-8"))
    prompt = to_prompt(workflow, server.object_info())
    (loader,) = (key for key, node in prompt.items() if node["class_type"] == "CheckpointLoaderSimple")
    prompt[loader] = {"class_type": "DiffSegDemoModel", "inputs": {}}
    capture = inputs_of(prompt, "DiffSegCapture")
    del capture["clip"]
    capture |= {"vae": [loader, 1], "working_size": 384}
    inputs_of(prompt, "DiffSegSelect")["points"] = '[{"x": 150, "y": 100}]'
    outputs = server.run(prompt).outputs
    overlays = [entry for output in outputs.values() for entry in output.get("images", [])]
    assert len(overlays) >= 3  # two previews, and what was picked
