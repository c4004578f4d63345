"""A node for the tests: the demo model with a text encoder, both of random weights where text is concerned.

A custom node of its own, laid beside the pack in the test server's `custom_nodes`.
"""

from types import SimpleNamespace
from typing import Any

import comfy.sd
import comfy.sd1_clip
import torch

import nodes

SHARPNESS = 12.0  # of attention to text: with random weights alone it is nearly even, and no word is found


class DiffSegTestWords:
    """A MODEL that attends to words, and the CLIP that reads them, with the tokenizer of SD 1.x."""

    CATEGORY = "DiffSeg tests"
    FUNCTION = "load"
    RETURN_TYPES = ("MODEL", "CLIP")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI's name)
        return {"required": {}}

    def load(self) -> tuple[Any, Any]:
        """Weights that are the same each time."""
        generator = torch.Generator().manual_seed(5)
        model = nodes.NODE_CLASS_MAPPINGS["DiffSegDemoModel"].execute()[0]
        for name, weight in model.model.diffusion_model.named_parameters():
            if ".attn2.to_q." in name or ".attn2.to_k." in name:
                weight.data.normal_(0.0, SHARPNESS * weight.shape[1] ** -0.5, generator=generator)
        width = model.model.model_config.unet_config["context_dim"]
        config = {
            "hidden_size": width,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "intermediate_size": 32,
        }
        target = SimpleNamespace(
            params={}, clip=comfy.sd1_clip.SD1ClipModel, tokenizer=comfy.sd1_clip.SD1Tokenizer
        )
        clip = comfy.sd.CLIP(target, model_options={"clip_l_model_config": config, "dtype": torch.float32})
        for weight in clip.cond_stage_model.parameters():
            spread = 0.5 if weight.ndim < 2 else weight.shape[-1] ** -0.5
            weight.data.normal_(0.0, spread, generator=generator)
        return model, clip


NODE_CLASS_MAPPINGS = {"DiffSegTestWords": DiffSegTestWords}
