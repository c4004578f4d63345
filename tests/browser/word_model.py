"""A node for the tests: the demo model with a text encoder, both of random weights where text is concerned.

Places of the image differ in how much they attend to the one word that is found, and are alike to the other.
A custom node of its own, laid beside the pack in the test server's `custom_nodes`.
"""

from types import SimpleNamespace
from typing import Any

import comfy.sd
import comfy.sd1_clip
import torch

import nodes

FOUND, MISSED = "cup", "moon"  # of one token each
SHARPNESS = 6.0  # by how much places differ in the logit of the word that is found


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
        found, missed = (deviation(clip, word) for word in (FOUND, MISSED))
        direction = found - missed * (found @ missed) / (missed @ missed)
        direction = direction / (direction @ found)
        for name, weight in model.model.diffusion_model.named_parameters():
            if ".attn2.to_q." in name:
                weight.data.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)
            elif ".attn2.to_k." in name:
                column = torch.randn(weight.shape[0], generator=generator)
                weight.data.copy_(SHARPNESS * torch.outer(column, direction))
        return model, clip


def deviation(clip: Any, word: str) -> torch.Tensor:
    """By how much a word is encoded otherwise than the rest of its prompt on average: ``[width]``."""
    tokens = clip.tokenize(f"a photograph of {word}, other objects, background")
    encoded = clip.encode_from_tokens(tokens)[0].float().cpu()
    return encoded[4] - encoded[5:10].mean(0)


NODE_CLASS_MAPPINGS = {"DiffSegTestWords": DiffSegTestWords}
