"""Small UNets in the shape of each family of models, as ComfyUI describes them.

ComfyUI must be importable: see `diffseg_tools.in_process.import_comfyui`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import comfy.model_patcher
import comfy.supported_models
import torch

PROMPT_TOKENS, CONTEXT = 7, 32
POOLED = 32
SIZE_EMBEDDING = 6 * 256  # SDXL's six numbers of the image's size


@dataclass(frozen=True)
class Shape:
    """What sets one family of models apart, at a size that runs in milliseconds."""

    config: type
    unet_config: dict[str, Any]
    extra_config: dict[str, Any] = field(default_factory=dict)
    detection: dict[str, torch.Tensor] = field(default_factory=dict)  # weights that ComfyUI knows it by


SD_UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "channel_mult": [1, 2, 4, 4],
    "num_res_blocks": [1, 1, 1, 1],
    "transformer_depth": [1, 1, 1, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "context_dim": CONTEXT,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "legacy": False,
}
SHAPES = {
    "sd1": Shape(comfy.supported_models.SD15, SD_UNET),
    "sd2-v": Shape(
        comfy.supported_models.SD20,
        {**SD_UNET, "use_linear_in_transformer": True},
        {"num_head_channels": 16},
        # ComfyUI tells v-prediction by the spread of this bias.
        {"output_blocks.11.1.transformer_blocks.0.norm1.bias": torch.tensor([-1.0, 1.0])},
    ),
    "sdxl": Shape(
        comfy.supported_models.SDXL,
        {
            **SD_UNET,
            "channel_mult": [1, 2, 4],
            "num_res_blocks": [1, 1, 1],
            "transformer_depth": [0, 2, 3],
            "transformer_depth_output": [0, 0, 2, 2, 3, 3],
            "transformer_depth_middle": 3,
            "use_linear_in_transformer": True,
            "adm_in_channels": POOLED + SIZE_EMBEDDING,
            "num_classes": "sequential",
        },
        {"num_head_channels": 16},
    ),
}


def bare_model(
    shape: Shape, dtype: torch.dtype, load_device: torch.device, offload_device: torch.device
) -> comfy.model_patcher.ModelPatcher:
    """A MODEL of that shape on the offload device; its weights are whatever memory held."""
    config = shape.config(shape.unet_config)
    config.unet_config.update(shape.extra_config)
    config.set_inference_dtype(dtype, None)
    model = config.get_model(shape.detection, "", offload_device)
    return comfy.model_patcher.ModelPatcher(model, load_device, offload_device)
