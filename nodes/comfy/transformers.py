"""The diffusion transformers whose attention can be captured: a table of what sets each apart."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

import torch

from ...diffseg_core import CaptureError, GridSize, UnsupportedModelError
from ...diffseg_core.attention.blocks import Recommended
from ...diffseg_core.attention.compiled import uncompiled
from ...diffseg_core.errors import ANOTHER_MODEL


@dataclass(frozen=True)
class Blocks:
    """A list of a model's blocks, each with an attention over the image."""

    modules: str  # attribute of the model: a ModuleList
    attention: str = ""  # of a block: the module that calls attention; the block itself where empty


@dataclass(frozen=True)
class Transformer:
    """An architecture: where it keeps its attention, and where the image lies among the tokens."""

    name: str
    configs: tuple[str, ...]  # classes of comfy.supported_models
    model: str  # "module:Class" of the diffusion model; a subclass is another architecture
    blocks: tuple[Blocks, ...]  # in running order
    image: Literal["first", "last"] = "last"  # before or behind the text
    beside: Literal["text", "nothing", "more"] = "more"  # what tokens there are beside the image's
    patch: str = (
        "patch_size"  # attribute: the side of a token in latent places, or several whose last is meant
    )
    padding: str = ""  # attribute: image tokens are padded behind to a multiple of this
    native_side: int = 1024
    recommended: Recommended | None = None  # among the first of `blocks`; the middle third of all where None
    needed: tuple[str, ...] = ()  # of the conditioning's options
    text_width: str = ""  # of ComfyUI's description of the model: numbers to a token of text
    pooled_width: str = ""  # and of the pooled text
    least_side: int = 0  # pixels
    largest_side: str = ""  # attribute: how many tokens a side may have
    without_options: str = ""  # module that calls attention without transformer_options
    # The text encoders that make its text, as tokenizers name them: those that share tokens together, and
    # these in the order of the tokens. Where there are none, words cannot be read yet.
    encoders: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Layer:
    """One attention layer over the image."""

    number: int  # of the block, from 0, in running order over all kinds of blocks
    name: str
    call: int = 0  # the which attention call of its module; SD 3.5 Medium has blocks with two

    def __str__(self) -> str:
        return self.name


JOINT_AND_SINGLE = (Blocks("double_blocks"), Blocks("single_blocks"))
FLUX = "comfy.ldm.flux.model:Flux"
LUMINA = "comfy.ldm.lumina.model:NextDiT"
# Recommended blocks are those that the literature names for SD3 and Flux; docs/models.md says where. None of
# them was measured here.
TRANSFORMERS = (
    Transformer(
        "SD3 and SD3.5",
        ("SD3",),
        "comfy.ldm.modules.diffusionmodules.mmdit:OpenAISignatureMMDITWrapper",
        (Blocks("joint_blocks"),),
        beside="text",
        recommended=Recommended(7, 10, of=24),
        needed=("pooled_output",),
        pooled_width="adm_in_channels",
        largest_side="pos_embed_max_size",
        encoders=(("l", "g"), ("t5xxl",)),
    ),
    Transformer(
        "Flux.1",
        ("Flux", "FluxInpaint", "FluxSchnell"),
        FLUX,
        JOINT_AND_SINGLE,
        beside="text",
        recommended=Recommended(12, 19, of=19),
        text_width="context_in_dim",
        pooled_width="vec_in_dim",
        encoders=(("t5xxl",),),
    ),
    Transformer(
        "Flux.2",
        ("Flux2",),
        FLUX,
        JOINT_AND_SINGLE,
        recommended=Recommended(5, 8, of=8),
        text_width="context_in_dim",
    ),
    Transformer(
        "Chroma",
        ("Chroma",),
        "comfy.ldm.chroma.model:Chroma",
        JOINT_AND_SINGLE,
        beside="text",
        recommended=Recommended(12, 19, of=19),
        text_width="context_in_dim",
        encoders=(("t5xxl",),),
    ),
    Transformer(
        "Z-Image", ("ZImage",), LUMINA, (Blocks("layers", "attention"),), padding="pad_tokens_multiple"
    ),
    Transformer(
        "Lumina 2", ("Lumina2",), LUMINA, (Blocks("layers", "attention"),), padding="pad_tokens_multiple"
    ),
    Transformer(
        "Qwen-Image",
        ("QwenImage",),
        "comfy.ldm.qwen_image.model:QwenImageTransformer2DModel",
        (Blocks("transformer_blocks", "attn"),),
        beside="text",
        native_side=1328,
        text_width="joint_attention_dim",
        encoders=(("qwen25_7b",),),
    ),
    Transformer(
        "Anima",
        ("Anima",),
        "comfy.ldm.anima.model:Anima",
        (Blocks("blocks", "self_attn"),),
        beside="nothing",
        patch="patch_spatial",
    ),
    Transformer(
        "Cosmos Predict 2",
        ("CosmosT2IPredict2",),
        "comfy.ldm.cosmos.predict2:MiniTrainDIT",
        (Blocks("blocks", "self_attn"),),
        beside="nothing",
        text_width="crossattn_emb_channels",
        patch="patch_spatial",
    ),
    Transformer(
        "HunyuanImage 2.1",
        ("HunyuanImage21",),
        "comfy.ldm.hunyuan_video.model:HunyuanVideo",
        JOINT_AND_SINGLE,
        native_side=2048,
    ),
    Transformer(
        "HiDream I1",
        ("HiDream",),
        "comfy.ldm.hidream.model:HiDreamImageTransformer2DModel",
        (Blocks("double_stream_blocks", "block.attn1"), Blocks("single_stream_blocks", "block.attn1")),
        image="first",
        needed=("pooled_output", "conditioning_llama3"),
    ),
    Transformer(
        "Krea 2",
        ("Krea2",),
        "comfy.ldm.krea2.model:SingleStreamDiT",
        (Blocks("blocks", "attn"),),
        patch="patch",
    ),
    Transformer(
        "AuraFlow",
        ("AuraFlow",),
        "comfy.ldm.aura.mmdit:MMDiT",
        (Blocks("double_layers", "attn"), Blocks("single_layers", "attn")),
    ),
    Transformer("LongCat-Image", ("LongCatImage",), FLUX, JOINT_AND_SINGLE),
    Transformer(
        "OmniGen 2",
        ("Omnigen2",),
        "comfy.ldm.omnigen.omnigen2:OmniGen2Transformer2DModel",
        (Blocks("layers", "attn"),),
    ),
    Transformer(
        "Kandinsky 5 Image",
        ("Kandinsky5Image",),
        "comfy.ldm.kandinsky5.model:Kandinsky5",
        (Blocks("visual_transformer_blocks", "self_attention"),),
        beside="nothing",
        text_width="in_text_dim",
        needed=("pooled_output",),
    ),
    Transformer(
        "PixArt",
        ("PixArtAlpha", "PixArtSigma"),
        "comfy.ldm.pixart.pixartms:PixArtMS",
        (Blocks("blocks", "attn"),),
        beside="nothing",
        text_width="caption_channels",
        least_side=256,  # its positions are computed by a division that is by zero below
        without_options="comfy.ldm.pixart.blocks",
    ),
    Transformer(
        "HunyuanDiT",
        ("HunyuanDiT", "HunyuanDiT1"),
        "comfy.ldm.hydit.models:HunYuanDiT",
        (Blocks("blocks", "attn1"),),
        beside="nothing",
        text_width="text_states_dim",
        needed=("attention_mask", "conditioning_mt5xl", "attention_mask_mt5xl"),
        without_options="comfy.ldm.hydit.attn_layers",
    ),
)
SUPPORTED_TRANSFORMERS = ", ".join(row.name for row in TRANSFORMERS)
READ_TRANSFORMERS = ", ".join(row.name for row in TRANSFORMERS if row.encoders)  # which take words

REPLACED = (
    "A loader that brings a model of its own (Nunchaku, TensorRT) or a node that puts another in its place "
    f"does this: load it with Load Diffusion Model, and connect it before that node. {ANOTHER_MODEL}"
)


def transformer_of(config: str, net: torch.nn.Module) -> Transformer | None:
    """The row of a model; None if there is none.

    Args:
        config: the name of its class in comfy.supported_models.
        net: its diffusion model.

    Raises:
        UnsupportedModelError: the model was replaced by one of another class.
    """
    row = next((row for row in TRANSFORMERS if config in row.configs), None)
    if row is None:
        return None
    module, _, name = row.model.partition(":")
    expected = getattr(importlib.import_module(module), name)  # only of models that this ComfyUI has
    if type(net) is not expected:
        raise UnsupportedModelError(
            f"Expected {row.name} as ComfyUI runs it ({name}), got {type(net).__name__}. {REPLACED}"
        )
    return row


def layers_of(row: Transformer, net: torch.nn.Module) -> dict[Layer, torch.nn.Module]:
    """Every attention layer over the image, in running order, with the module that calls it."""
    found: dict[Layer, torch.nn.Module] = {}
    number = 0
    for blocks in row.blocks:
        for block in map(uncompiled, getattr(net, blocks.modules)):
            module = uncompiled(block.get_submodule(blocks.attention)) if blocks.attention else block
            name = f"block {number} ({blocks.modules})"
            found[Layer(number, name)] = module
            if getattr(getattr(block, "x_block", None), "x_block_self_attn", False):
                found[Layer(number, f"{name}, second attention", call=1)] = module
            number += 1
    return found


def first_kind(row: Transformer, net: torch.nn.Module) -> int:
    """How many blocks there are of the kind among which blocks are recommended."""
    return len(getattr(net, row.blocks[0].modules))


def patch_of(row: Transformer, net: torch.nn.Module) -> int:
    """Side of a token in places of the latent."""
    value: Any = getattr(net, row.patch)
    return int(value[-1] if isinstance(value, list | tuple) else value)


def image_slice(row: Transformer, net: torch.nn.Module, grid: GridSize, tokens: int, text: int) -> slice:
    """Where the image's tokens lie among all of a layer.

    Args:
        row: the architecture.
        net: its diffusion model.
        grid: of the image's tokens.
        tokens: how many the layer has.
        text: how many of them are the conditioning's.

    Raises:
        CaptureError: there are other tokens than those of the image and the text.
    """
    multiple = (getattr(net, row.padding, None) or 1) if row.padding else 1
    padded = -(-grid.tokens // multiple) * multiple
    if tokens < padded:
        raise CaptureError(
            f"Expected at least the {padded} tokens of an image of {grid}, got {tokens}. A patch that merges "
            "or drops tokens does this: connect the model before that patch."
        )
    others = {"text": text, "nothing": 0}.get(row.beside, tokens - padded)
    if tokens - padded != others:
        raise CaptureError(
            f"Expected {padded} tokens of an image of {grid} and {others} others, got {tokens}. A patch or "
            "wrapper that adds an image or text does this: connect the model before that patch."
        )
    start = 0 if row.image == "first" else tokens - padded
    return slice(start, start + grid.tokens)
