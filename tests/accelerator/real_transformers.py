"""Diffusion transformers in the size in which they are released, with random weights in bfloat16."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import comfy.model_patcher
import comfy.supported_models
import torch
from transformer_models import FLUX, LUMINA, QWEN, SD3


@dataclass(frozen=True)
class Real:
    """A released model's layout, as ComfyUI finds it in the weights."""

    config: str
    unet_config: dict[str, Any]
    latent: tuple[int, ...]
    grid: tuple[int, int]
    text: tuple[int, int]  # tokens and their width
    gigabytes: int  # of the accelerator's memory that it takes
    options: dict[str, int] = field(default_factory=dict)  # widths


REAL = {
    "SD3.5 Medium": Real(
        "SD3",
        {
            **SD3,
            "pos_embed_max_size": 384,
            "num_patches": 147456,
            "depth": 24,
            "adm_in_channels": 2048,
            "qk_norm": "rms",
            "x_block_self_attn_layers": list(range(13)),
            "context_embedder_config": {
                "target": "torch.nn.Linear",
                "params": {"in_features": 4096, "out_features": 1536},
            },
        },
        (1, 16, 128, 128),
        (64, 64),
        (154, 4096),
        8,
        {"pooled_output": 2048},
    ),
    "Z-Image": Real(
        "ZImage",
        {
            **LUMINA,
            "dim": 3840,
            "n_layers": 30,
            "n_heads": 30,
            "n_kv_heads": 30,
            "cap_feat_dim": 2560,
            "axes_dims": [32, 48, 48],
            "axes_lens": [1536, 512, 512],
            "multiple_of": 256,
            "ffn_dim_multiplier": 8.0 / 3.0,
            "z_image_modulation": True,
            "time_scale": 1000.0,
            "pad_tokens_multiple": 32,
        },
        (1, 16, 128, 128),
        (64, 64),
        (32, 2560),
        16,
    ),
    "Flux.1 dev": Real(
        "Flux",
        {
            **FLUX,
            "vec_in_dim": 768,
            "context_in_dim": 4096,
            "hidden_size": 3072,
            "mlp_ratio": 4.0,
            "num_heads": 24,
            "depth": 19,
            "depth_single_blocks": 38,
            "axes_dim": [16, 56, 56],
        },
        (1, 16, 128, 128),
        (64, 64),
        (256, 4096),
        30,
        {"pooled_output": 768},
    ),
    "Qwen-Image": Real(
        "QwenImage",
        {
            **QWEN,
            "num_layers": 60,
            "attention_head_dim": 128,
            "num_attention_heads": 24,
            "joint_attention_dim": 3584,
            "axes_dims_rope": (16, 56, 56),
        },
        (1, 16, 1, 166, 166),
        (83, 83),
        (34, 3584),
        55,
    ),
}


def real_model(name: str, device: torch.device) -> Any:
    """The MODEL, made and drawn where it runs: billions of weights take a CPU minutes."""
    real = REAL[name]
    config = getattr(comfy.supported_models, real.config)({"dtype": torch.bfloat16, **real.unet_config})
    config.set_inference_dtype(torch.bfloat16, None)
    model = config.get_model({}, "", device)
    generator = torch.Generator(device).manual_seed(1)
    for key, weight in model.diffusion_model.named_parameters():
        if weight.ndim == 1:
            torch.nn.init.constant_(weight, 1.0 if key.endswith("weight") or "norm" in key else 0.0)
        else:
            weight.data.normal_(std=weight[0].numel() ** -0.5, generator=generator)
    return comfy.model_patcher.ModelPatcher(model, device, device)


def real_conditioning(name: str) -> list[Any]:
    """A CONDITIONING that it takes."""
    generator = torch.Generator().manual_seed(2)
    real = REAL[name]
    options = {key: torch.randn(1, width, generator=generator) for key, width in real.options.items()}
    return [[torch.randn(1, *real.text, generator=generator), options]]
