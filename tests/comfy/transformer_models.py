"""Tiny random models of ComfyUI's own diffusion transformers, one for each architecture and variant.

ComfyUI must be importable: see `diffseg_tools.in_process.import_comfyui`. Which of these a release of ComfyUI
knows is told by `known`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import comfy.model_patcher
import comfy.supported_models
import torch

CPU = torch.device("cpu")
WIDTH = 8  # of text tokens
GAIN = 1.4  # of a layer's outputs: attention is uneven, and its logits not so large that float32 errs
NOT_DRAWN = ("rope", "freqs", "dim_", "inv_freq")  # buffers whose values mean something


@dataclass(frozen=True)
class Tiny:
    """A model as small as may be, and a latent and a conditioning for it."""

    config: str  # class of comfy.supported_models
    unet_config: dict[str, Any]
    latent: tuple[int, ...]
    text: tuple[int, ...] = (1, 7, WIDTH)
    options: dict[str, tuple[int, ...] | float] = field(default_factory=dict)  # shapes, or values
    extra_config: dict[str, Any] = field(default_factory=dict)


POOLED = {"pooled_output": (1, WIDTH)}
FLUX: dict[str, Any] = {
    "image_model": "flux",
    "guidance_embed": True,
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": WIDTH,
    "context_in_dim": WIDTH,
    "hidden_size": 16,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [2, 2, 4],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "txt_ids_dims": [],
}
SD3: dict[str, Any] = {
    "in_channels": 16,
    "input_size": None,
    "pos_embed_scaling_factor": None,
    "pos_embed_max_size": 16,
    "patch_size": 2,
    "depth": 2,
    "num_patches": 256,
    "adm_in_channels": WIDTH,
    "context_embedder_config": {
        "target": "torch.nn.Linear",
        "params": {"in_features": WIDTH, "out_features": 128},
    },
}
HUNYUAN: dict[str, Any] = {
    "image_model": "hunyuan_video",
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": WIDTH,
    "context_in_dim": WIDTH,
    "hidden_size": 16,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [2, 2, 4],
    "theta": 256,
    "patch_size": [1, 2, 2],
    "qkv_bias": True,
    "guidance_embed": False,
    "byt5": False,
    "meanflow": False,
    "use_cond_type_embedding": False,
    "vision_in_dim": None,
    "meanflow_sum": False,
}
PIXART: dict[str, Any] = {
    "image_model": "pixart_sigma",
    "num_heads": 2,
    "patch_size": 2,
    "hidden_size": 48,
    "in_channels": 4,
    "depth": 2,
    "caption_channels": WIDTH,
    "model_max_length": 5,
    "micro_condition": False,
    "pe_interpolation": 1,
}
LUMINA: dict[str, Any] = {
    "image_model": "lumina2",
    "patch_size": 2,
    "in_channels": 16,
    "dim": 32,
    "n_layers": 2,
    "n_refiner_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 2,
    "qk_norm": True,
    "cap_feat_dim": WIDTH,
    "axes_dims": [2, 2, 4],
    "axes_lens": [64, 64, 64],
    "multiple_of": 8,
    "ffn_dim_multiplier": 4.0,
}
QWEN: dict[str, Any] = {
    "image_model": "qwen_image",
    "in_channels": 64,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "axes_dims_rope": (2, 2, 4),
}
COSMOS: dict[str, Any] = {
    "image_model": "cosmos_predict2",
    "max_img_h": 64,
    "max_img_w": 64,
    "max_frames": 8,
    "in_channels": 16,
    "out_channels": 16,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "model_channels": 32,
    "num_blocks": 2,
    "num_heads": 2,
    "crossattn_emb_channels": WIDTH,
    "pos_emb_cls": "rope3d",
    "use_adaln_lora": True,
    "adaln_lora_dim": 8,
    "rope_enable_fps_modulation": False,
}
WITHOUT_GUIDANCE = {name: value for name, value in FLUX.items() if name != "guidance_embed"}
LATENT = (1, 16, 8, 12)  # 4×6 tokens of 2×2 places
TINY = {
    "SD3": Tiny("SD3", SD3, LATENT, options=POOLED),
    "SD3.5 Medium": Tiny(
        "SD3", {**SD3, "qk_norm": "rms", "x_block_self_attn_layers": [0]}, LATENT, options=POOLED
    ),
    "Flux dev": Tiny("Flux", FLUX, LATENT, options={**POOLED, "guidance": 2.0}),
    "Flux schnell": Tiny("FluxSchnell", {**FLUX, "guidance_embed": False}, LATENT, options=POOLED),
    "Flux Fill": Tiny(
        "FluxInpaint", {**FLUX, "in_channels": 96}, LATENT, options={**POOLED, "guidance": 2.0}
    ),
    "Flux.2": Tiny(
        "Flux2",
        {
            **FLUX,
            "image_model": "flux2",
            "in_channels": 128,
            "out_channels": 128,
            "patch_size": 1,
            "vec_in_dim": None,
            "axes_dim": [2, 2, 2, 2],
            "global_modulation": True,
            "mlp_silu_act": True,
            "ops_bias": False,
            "qkv_bias": False,
            "txt_ids_dims": [3],
            "default_ref_method": "index",
            "ref_index_scale": 10.0,
        },
        (1, 128, 4, 6),
        options={"guidance": 2.0},
    ),
    "LongCat": Tiny(
        "LongCatImage", {**FLUX, "guidance_embed": False, "vec_in_dim": None, "txt_ids_dims": [1, 2]}, LATENT
    ),
    "Chroma": Tiny(
        "Chroma",
        {
            **WITHOUT_GUIDANCE,
            "image_model": "chroma",
            "in_channels": 64,
            "out_channels": 64,
            "vec_in_dim": None,
            "in_dim": 64,
            "out_dim": 16,
            "hidden_dim": 16,
            "n_layers": 1,
        },
        LATENT,
    ),
    "Qwen-Image": Tiny("QwenImage", QWEN, (1, 16, 1, 8, 12)),
    "Qwen-Image, masked text": Tiny(
        "QwenImage", QWEN, (1, 16, 1, 8, 12), options={"attention_mask": [[1, 1, 1, 1, 0, 0, 0]]}
    ),
    "Lumina 2": Tiny("Lumina2", LUMINA, LATENT),
    "Z-Image": Tiny(
        "ZImage",
        {
            **LUMINA,
            "dim": 256,
            "n_kv_heads": 4,
            "axes_dims": [16, 24, 24],
            "z_image_modulation": True,
            "time_scale": 1000.0,
            "pad_tokens_multiple": 32,
        },
        LATENT,
    ),
    "PixArt alpha": Tiny(
        "PixArtAlpha",
        {**PIXART, "image_model": "pixart_alpha", "micro_condition": True},
        (1, 4, 40, 56),
        (1, 5, WIDTH),
    ),
    "PixArt sigma": Tiny("PixArtSigma", PIXART, (1, 4, 40, 56), (1, 5, WIDTH)),
    "HunyuanDiT": Tiny(
        "HunyuanDiT1",
        {
            "image_model": "hydit1",
            "depth": 4,
            "hidden_size": 32,
            "num_heads": 2,
            "text_states_dim": WIDTH,
            "text_states_dim_t5": 16,
            "text_len": 7,
            "text_len_t5": 6,
            "size_cond": True,
            "use_style_cond": True,
        },
        (1, 4, 8, 12),
        options={
            "attention_mask": [[1.0] * 7],
            "conditioning_mt5xl": (1, 6, 16),
            "attention_mask_mt5xl": [[1.0] * 6],
        },
    ),
    "AuraFlow": Tiny(
        "AuraFlow",
        {
            "cond_seq_dim": WIDTH,
            "max_seq": 64,
            "dim": 32,
            "n_layers": 3,
            "n_double_layers": 1,
            "n_heads": 2,
            "global_conddim": 32,
        },
        (1, 4, 8, 12),
    ),
    "HiDream": Tiny(
        "HiDream",
        {
            "image_model": "hidream",
            "patch_size": 2,
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": 2,
            "num_single_layers": 2,
            "attention_head_dim": 8,
            "num_attention_heads": 2,
            "caption_channels": [WIDTH, WIDTH],
            "text_emb_dim": WIDTH,
            "num_routed_experts": 2,
            "num_activated_experts": 1,
            "axes_dims_rope": [4, 2, 2],
            "max_resolution": [64, 64],
            "llama_layers": [0, 1, 2, 3],
        },
        LATENT,
        options={**POOLED, "conditioning_llama3": (1, 4, 5, WIDTH)},
    ),
    "Cosmos Predict 2": Tiny("CosmosT2IPredict2", COSMOS, (1, 16, 1, 8, 12)),
    "Anima": Tiny(
        "Anima",
        {**COSMOS, "image_model": "anima", "crossattn_emb_channels": 1024},
        (1, 16, 1, 8, 12),
        (1, 7, 1024),
    ),
    "HunyuanImage 2.1": Tiny(
        "HunyuanImage21",
        {
            **HUNYUAN,
            "patch_size": [1, 1],
            "axes_dim": [4, 4],
            "in_channels": 64,
            "out_channels": 64,
            "vec_in_dim": None,
        },
        (1, 64, 4, 6),
    ),
    "Kandinsky 5 Image": Tiny(
        "Kandinsky5Image",
        {
            "image_model": "kandinsky5",
            "model_dim": 32,
            "ff_dim": 32,
            "time_dim": 16,
            "in_text_dim": WIDTH,
            "in_text_dim2": WIDTH,
            "visual_embed_dim": 64,
            "num_text_blocks": 1,
            "num_visual_blocks": 2,
            "axes_dims": (2, 2, 4),
        },
        LATENT,
        options=POOLED,
    ),
    "OmniGen 2": Tiny(
        "Omnigen2",
        {
            "image_model": "omnigen2",
            "hidden_size": 24,
            "in_channels": 16,
            "num_attention_heads": 3,
            "num_kv_heads": 1,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "patch_size": 2,
            "text_feat_dim": WIDTH,
            "axes_dim_rope": [4, 2, 2],
            "axes_lens": [64, 64, 64],
            "multiple_of": 8,
            "ffn_dim_multiplier": None,
            "norm_eps": 1e-5,
            "out_channels": None,
            "timestep_scale": 1000.0,
        },
        LATENT,
        options={"attention_mask": [[1] * 7]},
    ),
    "Krea 2": Tiny(
        "Krea2",
        {
            "image_model": "krea2",
            "features": 64,
            "tdim": 32,
            "txtdim": WIDTH,
            "heads": 4,
            "kvheads": 2,
            "multiplier": 2,
            "layers": 2,
            "txtlayers": 2,
            "txtheads": 2,
            "txtkvheads": 2,
        },
        (1, 16, 1, 8, 12),
        (1, 7, 16),
    ),
}
# Of these, none is an image model that can be captured.
REFUSED = {
    "WAN21_T2V": {
        "image_model": "wan2.1",
        "model_type": "t2v",
        "dim": 32,
        "ffn_dim": 32,
        "freq_dim": 32,
        "text_dim": WIDTH,
        "num_heads": 2,
        "num_layers": 1,
        "in_dim": 16,
        "out_dim": 16,
        "patch_size": (1, 2, 2),
    },
    "HunyuanVideo": HUNYUAN,
    "CosmosI2VPredict2": {**COSMOS, "in_channels": 17},
    "LTXV": {
        "image_model": "ltxv",
        "num_layers": 1,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "cross_attention_dim": 16,
        "in_channels": 128,
        "caption_channels": WIDTH,
    },
}


def known(name: str) -> bool:
    """Whether this release of ComfyUI has the architecture."""
    return hasattr(comfy.supported_models, TINY[name].config)


def make(
    config_name: str,
    unet_config: dict[str, Any],
    dtype: torch.dtype = torch.float32,
    device: torch.device = CPU,
    **extra: Any,
) -> Any:
    """A MODEL with random weights, the same each time."""
    config = getattr(comfy.supported_models, config_name)({"dtype": dtype, **unet_config})
    config.unet_config.update(extra)
    config.set_inference_dtype(dtype, None)
    model = config.get_model({}, "", device)
    generator = torch.Generator().manual_seed(1)
    net = model.diffusion_model
    for name, weight in [*net.named_parameters(), *net.named_buffers()]:
        if weight.is_floating_point() and weight.numel() and not any(part in name for part in NOT_DRAWN):
            is_norm = name.endswith("weight") and weight.ndim == 1
            spread = GAIN * weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1
            drawn = torch.randn(weight.shape, generator=generator) * spread
            weight.data.copy_(drawn + (1.0 if is_norm else 0.0))
    return comfy.model_patcher.ModelPatcher(model, device, device)


def tiny_model(name: str, dtype: torch.dtype = torch.float32, device: torch.device = CPU) -> Any:
    """The MODEL of one entry of `TINY`."""
    tiny = TINY[name]
    return make(tiny.config, tiny.unet_config, dtype, device, **tiny.extra_config)


def tiny_latent(name: str, batch: int = 1) -> torch.Tensor:
    """A latent for it, as a VAE would give it."""
    return torch.randn(batch, *TINY[name].latent[1:], generator=torch.Generator().manual_seed(5))


def tiny_conditioning(name: str) -> list[Any]:
    """A CONDITIONING for it."""
    generator = torch.Generator().manual_seed(2)

    def value(given: Any) -> Any:
        if isinstance(given, tuple):
            return torch.randn(given, generator=generator)
        return torch.tensor(given) if isinstance(given, list) else given

    tiny = TINY[name]
    options = {key: value(given) for key, given in tiny.options.items()}
    return [[torch.randn(tiny.text, generator=generator), options]]
