"""The three outputs of Load Checkpoint straight into Capture: the empty prompt is encoded there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.sd
import comfy.sd1_clip
import pytest
import torch

import nodes

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


def small_clip(**config: Any) -> comfy.sd.CLIP:
    """ComfyUI's CLIP of SD 1.x with the real tokenizer, and a small random text encoder."""
    target = SimpleNamespace(
        params={}, clip=comfy.sd1_clip.SD1ClipModel, tokenizer=comfy.sd1_clip.SD1Tokenizer
    )
    torch.manual_seed(0)
    clip = comfy.sd.CLIP(
        target, model_options={"clip_l_model_config": {**SMALL, **config}, "dtype": torch.float32}
    )
    for weight in clip.cond_stage_model.parameters():
        weight.data.normal_(0.0, 0.5)
    return clip


def same(first: Any, second: Any) -> bool:
    return torch.equal(first.aggregate(), second.aggregate())


@pytest.fixture
def latent() -> dict[str, torch.Tensor]:
    return {"samples": torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))}


def test_a_clip_gives_what_an_empty_clip_text_encode_gives(run_capture, latent):
    clip = small_clip()
    encoded = nodes.CLIPTextEncode().encode(clip, "")[0]
    assert encoded[0][0].std() > 0.1
    alone = run_capture(latent=latent, conditioning=None, clip=clip).maps
    assert same(alone, run_capture(latent=latent, conditioning=encoded).maps)
    assert not same(alone, run_capture(latent=latent).maps), "the prompt counts"


def test_a_conditioning_wins_over_a_clip(run_capture, latent):
    with_both = run_capture(latent=latent, clip=small_clip()).maps
    assert same(with_both, run_capture(latent=latent).maps)


@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl"])
def test_without_either_the_model_is_given_zeros(hosts, run_capture, latent, name):
    host = hosts(name)
    tokens, options = host.conditioning[0]
    zeros = [
        [torch.zeros_like(tokens[:, :1]), {key: torch.zeros_like(value) for key, value in options.items()}]
    ]
    alone = run_capture(model=host.model, latent=latent, conditioning=None).maps
    assert same(alone, run_capture(model=host.model, latent=latent, conditioning=zeros).maps)


def test_a_checkpoint_without_a_text_encoder_is_told(pack, run_capture, latent):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="this checkpoint has no text encoder"):
        run_capture(latent=latent, conditioning=None, clip=None)


def test_the_clip_of_another_model_is_refused_before_anything_runs(pack, sd1, run_capture, monkeypatch):
    ran: list[Any] = []
    monkeypatch.setattr(sd1.vae, "encode", ran.append)
    with pytest.raises(
        pack.diffseg_core.InvalidSettingError,
        match=r"\[1, tokens, 32\] .* got \[1, 77, 48\]\. Connect the CLIP that",
    ):
        run_capture(
            conditioning=None, clip=small_clip(hidden_size=48), vae=sd1.vae, image=torch.rand(1, 64, 64, 3)
        )
    assert not ran
