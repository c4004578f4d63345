"""The same weights, image and text give the same attention to the text in both hosts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from comfyui_capture import capture_in_comfyui, model_inputs
from model_shapes import CONTEXT, POOLED
from transformer_models import WIDTH
from transformer_pairs import SIDE, make_pair

TOKENS = 11


def embedding(width: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(1, TOKENS, width, generator=torch.Generator().manual_seed(seed)) * 2


def node_capture(pack: Any, images: torch.Tensor, host: Any, **settings: Any) -> Any:
    """What the node gives for the size that the capture of diffusers works at."""
    inputs = {
        "model": host.model,
        "image": images.movedim(1, -1),
        "conditioning": host.conditioning,
        "input_mode": "clean latent",
        "noise_seed": 0,
        "noise_level": 300,
        "layers": "all",
    }
    return pack.nodes.capture.DiffSegCapture.execute(**{**inputs, **settings})[0]


def read_in_comfyui(pack: Any, host: Any, attention: Any, conditioning: list[Any]) -> Any:
    """As Find by Words reads them, of a text that is encoded already."""
    words = pack.nodes.comfy.words
    step = attention.step
    backbone = pack.nodes.comfy.capture.backbone_of(host.model, step.settings.layers)
    return words._reader(host.model, backbone, attention, lambda done, total: None)(conditioning)


def read_in_diffusers(pack: Any, host: Any, maps: Any, embeds: torch.Tensor, pooled: Any = None) -> Any:
    core = pack.diffseg_core
    prompt = core.diffusers.prompts.Prompt(embeds, pooled)
    return core.diffusers.capture.read_text(host.pipeline, maps, prompt)


def test_both_hosts_read_a_unets_attention_to_a_text(pack, host, images):
    """To the rounding of queries, which both keep in half precision."""
    ours = node_capture(pack, images, host, vae=host.vae, working_size=128)
    theirs = pack.diffseg_core.capture_diffusers(host.pipeline, images, working_size=128, **host.embeds)
    assert [each.grid for each in ours.maps.queries] == [each.grid for each in theirs.queries]
    pooled = {"pooled_output": torch.zeros(1, POOLED)} if "pooled_prompt_embeds" in host.embeds else {}
    one = read_in_comfyui(pack, host, ours, [[embedding(CONTEXT), pooled]])
    other = read_in_diffusers(pack, host, theirs, embedding(CONTEXT))
    assert one.grid == other.grid
    torch.testing.assert_close(one.maps.cpu(), other.maps, rtol=0, atol=1e-3)
    assert other.maps.std(dim=1).max() > 5e-3  # uneven enough for a mistake to show


@pytest.mark.parametrize("name", ["SD3", "SD3.5 Medium", "Flux dev", "Qwen-Image"])
@pytest.mark.parametrize("noise_seed", [None, 7])
def test_both_hosts_show_a_transformer_the_words(pack, images, name, noise_seed):
    with torch.inference_mode(False):
        pair = make_pair(name)
    latents = pair.latents(images)
    settings = {"noise_level": 300, "noise_seed": noise_seed, "layers": "0-1"}
    ours = capture_in_comfyui(pack, pair.model, latents, pair.conditioning, **settings)
    types = pack.nodes.types
    step = model_inputs(pack, pair.model, latents, **settings)
    attention = types.CapturedAttention(ours, pack.diffseg_core.GridSize(*images.shape[2:]), step)
    theirs = pack.diffseg_core.capture_diffusers(
        pair.pipeline, images, working_size=SIDE, **settings, **pair.embeds
    )
    words = embedding(WIDTH)
    pooled = words[:, 0] if "pooled_prompt_embeds" in pair.embeds else None
    options = {"guidance": 3.5} if name == "Flux dev" else {}
    options |= {} if pooled is None else {"pooled_output": pooled}
    one = read_in_comfyui(pack, pair, attention, [[words, options]])
    other = read_in_diffusers(pack, pair, theirs, words, pooled)
    assert one.grid == other.grid == (8, 12)
    torch.testing.assert_close(one.maps.cpu(), other.maps, rtol=0, atol=1e-5)
