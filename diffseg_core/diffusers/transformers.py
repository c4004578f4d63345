"""The transformers of diffusers whose attention can be captured: a table of what sets each apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch

from ..attention.blocks import Recommended
from ..errors import CaptureError
from ..grid import GridSize
from ..settings import NOISE_LEVEL
from .prompts import Encoding, Prompt

PATCH = 2  # places of the latent to a token's side
PIXELS = 16  # to a token's side
LEVELS = int(NOISE_LEVEL.highest)  # of noise: 0 is none, at 1000 there is nothing else
GUIDANCE = 3.5  # that a distilled Flux is told; what its pipeline has where nothing else is said


class Shown(NamedTuple):
    """What a transformer is shown."""

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

    name: str
    model: str  # class of the transformer, in diffusers; a subclass is another architecture
    pipeline: str  # class that makes images of text with it, in diffusers
    vae: str  # class, in diffusers
    blocks: tuple[str, ...]  # attributes of the model, lists of blocks, in running order
    image: Literal["first", "last"]  # among the tokens of joint attention, before or behind the text
    arguments: Callable[[Any, Shown], dict[str, Any]]  # that the model is called with
    encoding: Encoding
    is_packed: bool = True  # whether the model is handed tokens and not latents
    recommended: Recommended | None = None  # among the first of `blocks`; the middle third of all where None
    native_side: int = 1024
    largest_side: str = ""  # of the configuration: how many tokens a side may have


@dataclass(frozen=True)
class Layer:
    """One attention layer over the image."""

    number: int  # of the block, from 0, in running order over all kinds of blocks
    name: str
    has_text: bool = True  # among its tokens; otherwise it is of the image alone

    def __str__(self) -> str:
        return self.name


def _sd3(model: Any, shown: Shown) -> dict[str, Any]:
    return {
        "hidden_states": shown.latents,
        "timestep": shown.share * LEVELS,
        "encoder_hidden_states": shown.prompt.embeds,
        "pooled_projections": shown.prompt.pooled,
    }


def _flux(model: Any, shown: Shown) -> dict[str, Any]:
    batch, grid = len(shown.latents), shown.grid
    device, dtype = shown.latents.device, shown.latents.dtype
    rows, columns = torch.meshgrid(torch.arange(grid.height), torch.arange(grid.width), indexing="ij")
    image_ids = torch.stack((torch.zeros_like(rows), rows, columns), dim=-1).flatten(0, 1).to(device, dtype)
    text_ids = image_ids.new_zeros(shown.prompt.embeds.shape[1], 3)
    if _is_before(0, 31):
        image_ids, text_ids = (ids.expand(batch, -1, -1) for ids in (image_ids, text_ids))
    guided = model.config.guidance_embeds
    return {
        "hidden_states": shown.packed,
        "timestep": shown.share,
        "encoder_hidden_states": shown.prompt.embeds,
        "pooled_projections": shown.prompt.pooled,
        "img_ids": image_ids,
        "txt_ids": text_ids,
        "guidance": torch.full((batch,), GUIDANCE, device=device) if guided else None,
    }


def _qwen(model: Any, shown: Shown) -> dict[str, Any]:
    batch, tokens = shown.prompt.embeds.shape[:2]
    named: dict[str, Any] = {
        "hidden_states": shown.packed,
        "timestep": shown.share,
        "encoder_hidden_states": shown.prompt.embeds,
        "encoder_hidden_states_mask": shown.prompt.mask,
        "img_shapes": [[(1, *shown.grid)]] * batch,
    }
    if _is_before(0, 37):
        named["txt_seq_lens"] = [tokens] * batch
    return named


def _is_before(major: int, minor: int) -> bool:
    """Whether diffusers is of an earlier release."""
    import diffusers

    return tuple(map(int, diffusers.__version__.split(".")[:2])) < (major, minor)


# Recommended blocks are those that the literature names for SD3 and Flux; docs/models.md says where. None of
# them was measured here.
TRANSFORMERS = (
    Transformer(
        "SD3 and SD3.5",
        "SD3Transformer2DModel",
        "StableDiffusion3Pipeline",
        "AutoencoderKL",
        ("transformer_blocks",),
        "first",
        _sd3,
        Encoding(("text_encoder", "text_encoder_2"), ("embeds", "", "pooled"), ("tokenizer", "tokenizer_3")),
        is_packed=False,
        recommended=Recommended(7, 10, of=24),
        largest_side="pos_embed_max_size",
    ),
    Transformer(
        "Flux.1",
        "FluxTransformer2DModel",
        "FluxPipeline",
        "AutoencoderKL",
        ("transformer_blocks", "single_transformer_blocks"),
        "last",
        _flux,
        Encoding(("text_encoder", "text_encoder_2"), ("embeds", "pooled"), ("tokenizer_2",)),
        recommended=Recommended(12, 19, of=19),
    ),
    Transformer(
        "Qwen-Image",
        "QwenImageTransformer2DModel",
        "QwenImagePipeline",
        "AutoencoderKLQwenImage",
        ("transformer_blocks",),
        "last",
        _qwen,
        Encoding(("text_encoder",), ("embeds", "mask")),
        native_side=1328,
    ),
)
SUPPORTED_TRANSFORMERS = ", ".join(row.name for row in TRANSFORMERS)


def layers_of(row: Transformer, model: torch.nn.Module) -> dict[Layer, torch.nn.Module]:
    """Every attention layer over the image, in running order, with its module."""
    found: dict[Layer, torch.nn.Module] = {}
    number = 0
    for kind in row.blocks:
        for block in getattr(model, kind):
            name = f"block {number} ({kind})"
            found[Layer(number, name)] = block.attn
            if getattr(block, "attn2", None) is not None:  # SD3.5 Medium: of the image alone
                found[Layer(number, f"{name}, second attention", has_text=False)] = block.attn2
            number += 1
    return found


def image_slice(row: Transformer, grid: GridSize, tokens: int) -> slice:
    """Where the image's tokens lie among all of a layer.

    Raises:
        CaptureError: there are fewer tokens than the image has.
    """
    if tokens < grid.tokens:
        raise CaptureError(
            f"Expected at least the {grid.tokens} tokens of an image of {grid}, got {tokens}. What merges or "
            "drops tokens does this: pass the pipeline without it."
        )
    start = 0 if row.image == "first" else tokens - grid.tokens
    return slice(start, start + grid.tokens)


def text_slice(row: Transformer, grid: GridSize, tokens: int) -> slice:
    """Where the text's tokens lie among all of a layer: before or behind the image's.

    Raises:
        CaptureError: there are fewer tokens than the image has.
    """
    image = image_slice(row, grid, tokens)
    return slice(image.stop, tokens) if row.image == "first" else slice(0, image.start)
