"""Small random transformers, the same weights in ComfyUI and in diffusers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.utils
import diffusers
import torch
from transformer_models import FLUX, POOLED, QWEN, SD3, WIDTH, Tiny, make

SIZE, SIDE = (128, 192), 157  # pixels of a 3:2 image: 8×12 tokens
ODD_SIZE, ODD_SIDE = (112, 160), 128  # 7×10 tokens
TOKENS = 7
DEPTH = 3
SD3_WIDTH = 64 * DEPTH
SD3_LIKE: dict[str, Any] = {
    **SD3,
    "depth": DEPTH,
    "context_embedder_config": {
        "target": "torch.nn.Linear",
        "params": {"in_features": WIDTH, "out_features": SD3_WIDTH},
    },
}
FLUX_LIKE = {**FLUX, "mlp_ratio": 4.0}  # diffusers knows no other
SD3_DIFFUSERS: dict[str, Any] = {
    "sample_size": 32,
    "num_layers": DEPTH,
    "attention_head_dim": 64,
    "num_attention_heads": DEPTH,
    "joint_attention_dim": WIDTH,
    "caption_projection_dim": SD3_WIDTH,
    "pooled_projection_dim": WIDTH,
    "pos_embed_max_size": 16,
}
FLUX_DIFFUSERS: dict[str, Any] = {
    "num_layers": 2,
    "num_single_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "pooled_projection_dim": WIDTH,
    "axes_dims_rope": (2, 2, 4),
}
QWEN_DIFFUSERS: dict[str, Any] = {
    "num_layers": DEPTH,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "axes_dims_rope": (2, 2, 4),
}
LATENT = (1, 16, 8, 12)
MODELS = {
    "SD3": (Tiny("SD3", SD3_LIKE, LATENT, options=POOLED), SD3_DIFFUSERS),
    "SD3.5 Medium": (
        Tiny(
            "SD3", {**SD3_LIKE, "qk_norm": "rms", "x_block_self_attn_layers": [0, 1]}, LATENT, options=POOLED
        ),
        {**SD3_DIFFUSERS, "qk_norm": "rms_norm", "dual_attention_layers": (0, 1)},
    ),
    "Flux dev": (
        Tiny("Flux", FLUX_LIKE, LATENT, options={**POOLED, "guidance": 3.5}),
        {**FLUX_DIFFUSERS, "guidance_embeds": True},
    ),
    "Flux schnell": (
        Tiny("FluxSchnell", {**FLUX_LIKE, "guidance_embed": False}, LATENT, options=POOLED),
        FLUX_DIFFUSERS,
    ),
    "Qwen-Image": (Tiny("QwenImage", {**QWEN, "num_layers": DEPTH}, LATENT), QWEN_DIFFUSERS),
    "Qwen-Image, masked text": (
        Tiny("QwenImage", {**QWEN, "num_layers": DEPTH}, LATENT, options={"attention_mask": (1, TOKENS)}),
        QWEN_DIFFUSERS,
    ),
}
PIPELINES = {
    "SD3": (diffusers.StableDiffusion3Pipeline, diffusers.SD3Transformer2DModel),
    "Flux": (diffusers.FluxPipeline, diffusers.FluxTransformer2DModel),
    "Qwen": (diffusers.QwenImagePipeline, diffusers.QwenImageTransformer2DModel),
}
ENCODERS = (
    "text_encoder",
    "text_encoder_2",
    "text_encoder_3",
    "tokenizer",
    "tokenizer_2",
    "tokenizer_3",
)


@dataclass
class Pair:
    """A small random transformer, the same weights in ComfyUI and in diffusers."""

    name: str
    model: Any
    conditioning: list[Any]
    pipeline: Any
    embeds: dict[str, torch.Tensor]  # the conditioning, as capture_diffusers takes it

    @property
    def transformer(self) -> torch.nn.Module:
        return self.pipeline.transformer

    @property
    def attentions(self) -> list[torch.nn.Module]:
        """In running order."""
        names = ("transformer_blocks", "single_transformer_blocks")
        every = [block for name in names for block in getattr(self.transformer, name, [])]
        pairs = [(block.attn, getattr(block, "attn2", None)) for block in every]
        return [attention for pair in pairs for attention in pair if attention is not None]

    def latents(self, images: torch.Tensor, size: tuple[int, int] = SIZE) -> torch.Tensor:
        """What the pipeline's VAE makes of ``[B, 3, H, W]``, not scaled, at the size that a capture takes."""
        pixels = torch.nn.functional.interpolate(images, size=size, mode="bilinear", antialias=True) * 2 - 1
        if self.name.startswith("Qwen"):
            pixels = pixels.unsqueeze(2)
        return self.pipeline.vae.encode(pixels).latent_dist.mode()


def to_diffusers(name: str, config: dict[str, Any], weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The weights of ComfyUI's model under the names of diffusers."""
    if name.startswith("Qwen"):
        return {key: value.clone() for key, value in weights.items()}
    renamed = {}
    mapping = comfy.utils.mmdit_to_diffusers if name.startswith("SD3") else comfy.utils.flux_to_diffusers
    for key, place in mapping(config).items():
        source, part, change = (*place, None)[:3] if isinstance(place, tuple) else (place, None, None)
        if source in weights:
            value = weights[source] if part is None else weights[source].narrow(*part)
            renamed[key] = (value if change is None else change(value)).clone()
    return renamed


def tiny_vae(name: str) -> Any:
    torch.manual_seed(3)
    if name.startswith("Qwen"):
        vae = diffusers.AutoencoderKLQwenImage(base_dim=8, num_res_blocks=1).eval()
    else:
        is_sd3 = name.startswith("SD3")
        vae = diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(32,) * 4,
            layers_per_block=1,
            latent_channels=16,
            scaling_factor=1.5305 if is_sd3 else 0.3611,
            shift_factor=0.0609 if is_sd3 else 0.1159,
        ).eval()
    # A trained encoder's latents have a spread of about one after scaling; those of a random one do not.
    vae.quant_conv.weight.data.mul_(20.0)
    return vae


def tiny_embeds(tiny: Tiny) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    embeds = {"prompt_embeds": torch.randn(1, TOKENS, WIDTH, generator=generator)}
    if "pooled_output" in tiny.options:
        embeds["pooled_prompt_embeds"] = torch.randn(1, WIDTH, generator=generator)
    if "attention_mask" in tiny.options:
        embeds["prompt_embeds_mask"] = torch.tensor([[1, 1, 1, 1, 0, 0, 0]])
    return embeds


def make_pair(name: str) -> Pair:
    tiny, config = MODELS[name]
    model = make(tiny.config, tiny.unet_config)
    pipeline_class, transformer_class = PIPELINES[name.replace("3.5", "3").replace("-", " ").split()[0]]
    transformer = transformer_class(**config).eval()
    weights = to_diffusers(name, tiny.unet_config, model.model.diffusion_model.state_dict())
    assert transformer.state_dict().keys() <= weights.keys()
    transformer.load_state_dict({key: weights[key] for key in transformer.state_dict()})
    parts = {"vae": tiny_vae(name), "transformer": transformer}
    parts["scheduler"] = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    absent = [name for name in ENCODERS if name in pipeline_class.__init__.__annotations__]
    pipeline = pipeline_class(**parts, **dict.fromkeys(absent))
    embeds = tiny_embeds(tiny)
    options: dict[str, Any] = {
        "pooled_output": embeds.get("pooled_prompt_embeds"),
        "attention_mask": embeds.get("prompt_embeds_mask"),
        "guidance": tiny.options.get("guidance"),
    }
    options = {key: value for key, value in options.items() if value is not None}
    return Pair(name, model, [[embeds["prompt_embeds"], options]], pipeline, embeds)
