"""The transformers of diffusers whose attention can be captured: a table of what sets each apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch

from ..attention.probe import Layer
from ..grid import GridSize
from ..settings import NOISE_LEVEL
from .prompts import Encoding, Prompt

PATCH = 2  # places of the latent to a token's side
PIXELS = 16  # to a token's side
LEVELS = int(NOISE_LEVEL.highest)  # of noise: 0 is none, at 1000 there is nothing else
GUIDANCE = 3.5  # of a distilled Flux: what its pipeline has where nothing else is said


class StepInputs(NamedTuple):
    """What a transformer is called with."""

    latents: torch.Tensor  # [B, C, h, w]
    share: torch.Tensor  # [B]: of noise, 0..1
    prompt: Prompt  # of B

    @property
    def grid(self) -> GridSize:
        """Of the image's tokens."""
        return GridSize(self.latents.shape[2] // PATCH, self.latents.shape[3] // PATCH)

    @property
    def packed(self) -> torch.Tensor:
        """The latents as tokens, ``[B, n, 4·C]``."""
        batch, channels, _, _ = self.latents.shape
        cells = self.latents.reshape(batch, channels, self.grid.height, PATCH, self.grid.width, PATCH)
        return cells.permute(0, 2, 4, 1, 3, 5).reshape(batch, self.grid.tokens, -1)


@dataclass(frozen=True)
class Transformer:
    """An architecture: what it is called with, and where it keeps its attention over the image."""

    name: str  # of the `Architecture`
    model: str  # class of the transformer, in diffusers; a subclass is another architecture
    pipeline: str  # class that makes images of text with it, in diffusers
    vae: str  # class, in diffusers
    blocks: tuple[str, ...]  # attributes of the model, lists of blocks, in running order
    arguments: Callable[[Any, StepInputs], dict[str, Any]]  # that the model is called with
    encoding: Encoding
    is_packed: bool = True  # whether the model is handed tokens and not latents
    largest_side: str = ""  # of the configuration: how many tokens a side may have
    image: Literal["first", "last"] = "last"  # among the tokens of joint attention, before or behind the text


def _sd3(model: Any, inputs: StepInputs) -> dict[str, Any]:
    return {
        "hidden_states": inputs.latents,
        "timestep": inputs.share * LEVELS,
        "encoder_hidden_states": inputs.prompt.embeds,
        "pooled_projections": inputs.prompt.pooled,
    }


def _flux(model: Any, inputs: StepInputs) -> dict[str, Any]:
    batch, grid = len(inputs.latents), inputs.grid
    device, dtype = inputs.latents.device, inputs.latents.dtype
    rows, columns = torch.meshgrid(torch.arange(grid.height), torch.arange(grid.width), indexing="ij")
    image_ids = torch.stack((torch.zeros_like(rows), rows, columns), dim=-1).flatten(0, 1).to(device, dtype)
    text_ids = image_ids.new_zeros(inputs.prompt.embeds.shape[1], 3)
    if _is_before(0, 31):
        image_ids, text_ids = (ids.expand(batch, -1, -1) for ids in (image_ids, text_ids))
    guided = model.config.guidance_embeds
    return {
        "hidden_states": inputs.packed,
        "timestep": inputs.share,
        "encoder_hidden_states": inputs.prompt.embeds,
        "pooled_projections": inputs.prompt.pooled,
        "img_ids": image_ids,
        "txt_ids": text_ids,
        "guidance": torch.full((batch,), GUIDANCE, device=device) if guided else None,
    }


def _qwen(model: Any, inputs: StepInputs) -> dict[str, Any]:
    batch, tokens = inputs.prompt.embeds.shape[:2]
    named: dict[str, Any] = {
        "hidden_states": inputs.packed,
        "timestep": inputs.share,
        "encoder_hidden_states": inputs.prompt.embeds,
        "encoder_hidden_states_mask": inputs.prompt.mask,
        "img_shapes": [[(1, *inputs.grid)]] * batch,
    }
    if _is_before(0, 37):
        named["txt_seq_lens"] = [tokens] * batch
    return named


def _is_before(major: int, minor: int) -> bool:
    """Whether diffusers is of an earlier release."""
    import diffusers

    return tuple(map(int, diffusers.__version__.split(".")[:2])) < (major, minor)


TRANSFORMERS = (
    Transformer(
        "SD3 and SD3.5",
        "SD3Transformer2DModel",
        "StableDiffusion3Pipeline",
        "AutoencoderKL",
        ("transformer_blocks",),
        _sd3,
        Encoding(("text_encoder", "text_encoder_2"), ("embeds", "", "pooled"), ("tokenizer", "tokenizer_3")),
        is_packed=False,
        largest_side="pos_embed_max_size",
        image="first",
    ),
    Transformer(
        "Flux.1",
        "FluxTransformer2DModel",
        "FluxPipeline",
        "AutoencoderKL",
        ("transformer_blocks", "single_transformer_blocks"),
        _flux,
        Encoding(("text_encoder", "text_encoder_2"), ("embeds", "pooled"), ("tokenizer_2",)),
    ),
    Transformer(
        "Qwen-Image",
        "QwenImageTransformer2DModel",
        "QwenImagePipeline",
        "AutoencoderKLQwenImage",
        ("transformer_blocks",),
        _qwen,
        Encoding(("text_encoder",), ("embeds", "mask")),
    ),
)
SUPPORTED_TRANSFORMERS = ", ".join(row.name for row in TRANSFORMERS)


def layers_of(row: Transformer, model: torch.nn.Module) -> dict[Layer, torch.nn.Module]:
    """Every attention layer over the image, in running order, with its module."""
    layers: dict[Layer, torch.nn.Module] = {}
    number = 0
    for kind in row.blocks:
        for block in getattr(model, kind):
            name = f"block {number} ({kind})"
            layers[Layer(number, name, has_text=True)] = block.attn
            if getattr(block, "attn2", None) is not None:  # SD3.5 Medium: of the image alone
                layers[Layer(number, f"{name}, second attention")] = block.attn2
            number += 1
    return layers
