"""ComfyUI's CLIPs with their real tokenizers, and small random text encoders.

ComfyUI must be importable: see `diffseg_tools.in_process.import_comfyui`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.sd
import comfy.sd1_clip
import comfy.sdxl_clip
import comfy.text_encoders.flux
import comfy.text_encoders.pixart_t5
import comfy.text_encoders.qwen_image
import comfy.text_encoders.qwen_vl
import comfy.text_encoders.sd2_clip
import comfy.text_encoders.sd3_clip
import torch

TEXT = {"num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
T5 = {"num_layers": 1, "num_heads": 2, "d_ff": 16}
QWEN = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 16,
}


def clip_text(width: int) -> dict[str, Any]:
    """The configuration of a CLIP text model of so many numbers to a token."""
    return {**TEXT, "hidden_size": width}


TARGETS: dict[str, tuple[Callable[[], Any], Any, dict[str, Any]]] = {
    "SD 1": (
        lambda: comfy.sd1_clip.SD1ClipModel,
        comfy.sd1_clip.SD1Tokenizer,
        {"clip_l_model_config": clip_text(32)},
    ),
    "SD 2": (
        lambda: comfy.text_encoders.sd2_clip.SD2ClipModel,
        comfy.text_encoders.sd2_clip.SD2Tokenizer,
        {"clip_h_model_config": clip_text(32)},
    ),
    "SDXL": (
        lambda: comfy.sdxl_clip.SDXLClipModel,
        comfy.sdxl_clip.SDXLTokenizer,
        {"clip_l_model_config": clip_text(16), "clip_g_model_config": clip_text(32)},
    ),
    "SDXL Refiner": (
        lambda: comfy.sdxl_clip.SDXLRefinerClipModel,
        comfy.sdxl_clip.SDXLTokenizer,
        {"clip_g_model_config": clip_text(32)},
    ),
    "SD3": (
        comfy.text_encoders.sd3_clip.sd3_clip,
        comfy.text_encoders.sd3_clip.SD3Tokenizer,
        {
            "clip_l_model_config": clip_text(32),
            "clip_g_model_config": clip_text(32),
            "t5xxl_model_config": {**T5, "d_model": 4096},  # the width that all of its text has
        },
    ),
    "Flux": (
        comfy.text_encoders.flux.flux_clip,
        comfy.text_encoders.flux.FluxTokenizer,
        {"clip_l_model_config": clip_text(8), "t5xxl_model_config": {**T5, "d_model": 8}},
    ),
    "Chroma": (
        comfy.text_encoders.pixart_t5.pixart_te,
        comfy.text_encoders.pixart_t5.PixArtTokenizer,
        {"t5xxl_model_config": {**T5, "d_model": 8}},
    ),
    "Qwen-Image": (
        comfy.text_encoders.qwen_image.te,
        comfy.text_encoders.qwen_image.QwenImageTokenizer,
        {"qwen25_7b_model_config": QWEN},
    ),
}


def word_clip(name: str, embeddings: Path | None = None) -> comfy.sd.CLIP:
    """The CLIP of one kind of model, with random weights that are the same each time."""
    model, tokenizer, config = TARGETS[name]
    target = SimpleNamespace(params={}, clip=model(), tokenizer=tokenizer)
    dtype = torch.bfloat16 if name == "SD3" else torch.float32
    seeing = comfy.text_encoders.qwen_vl.Qwen2VLVisionTransformer
    # The tower with which Qwen looks at pictures has billions of numbers, and no part in reading.
    comfy.text_encoders.qwen_vl.Qwen2VLVisionTransformer = lambda *args, **named: torch.nn.Identity()
    try:
        clip = comfy.sd.CLIP(
            target,
            embedding_directory=None if embeddings is None else str(embeddings),
            model_options={**config, "dtype": dtype},
        )
    finally:
        comfy.text_encoders.qwen_vl.Qwen2VLVisionTransformer = seeing
    generator = torch.Generator().manual_seed(3)
    for weight in clip.cond_stage_model.parameters():
        weight.data.normal_(0.0, 0.5 if weight.ndim < 2 else weight.shape[-1] ** -0.5, generator=generator)
    return clip
