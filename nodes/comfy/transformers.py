"""The diffusion transformers whose attention can be captured: a table of what sets each apart."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

import torch

from ...diffseg_core import UnsupportedModelError
from ...diffseg_core.attention.probe import Layer, uncompiled
from ...diffseg_core.errors import ANOTHER_MODEL


@dataclass(frozen=True)
class Blocks:
    """A list of a model's blocks, each with an attention over the image."""

    modules: str  # attribute of the model: a ModuleList
    attention: str = ""  # of a block: the module that calls attention; the block itself where empty


@dataclass(frozen=True)
class Transformer:
    """An architecture: where it keeps its attention, and where the image lies among the tokens."""

    name: str  # of the `Architecture`
    configs: tuple[str, ...]  # classes of comfy.supported_models
    model: str  # "module:Class" of the diffusion model; a subclass is another architecture
    blocks: tuple[Blocks, ...]  # in running order
    image: Literal["first", "last"] = "last"  # before or behind the text
    beside: Literal["text", "nothing", "more"] = "more"  # what tokens there are beside the image's
    patch: str = (
        "patch_size"  # attribute: the side of a token in latent places, or several whose last is meant
    )
    padding: str = ""  # attribute: image tokens are padded behind to a multiple of this
    needed: tuple[str, ...] = ()  # of the conditioning's options
    text_width: str = ""  # of ComfyUI's description of the model: numbers to a token of text
    pooled_width: str = ""  # and of the pooled text
    least_side: int = 0  # pixels
    largest_side: str = ""  # attribute: how many tokens a side may have
    without_options: str = ""  # module that calls attention without transformer_options
    # The text encoders that make its text, as tokenizers name them: those that share tokens together, and
    # these in the order of the tokens. Where there are none, words cannot be read yet.
    encoders: tuple[tuple[str, ...], ...] = ()


JOINT_AND_SINGLE = (Blocks("double_blocks"), Blocks("single_blocks"))
FLUX = "comfy.ldm.flux.model:Flux"
LUMINA = "comfy.ldm.lumina.model:NextDiT"
TRANSFORMERS = (
    Transformer(
        "SD3 and SD3.5",
        ("SD3",),
        "comfy.ldm.modules.diffusionmodules.mmdit:OpenAISignatureMMDITWrapper",
        (Blocks("joint_blocks"),),
        beside="text",
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
        text_width="context_in_dim",
        pooled_width="vec_in_dim",
        encoders=(("t5xxl",),),
    ),
    Transformer(
        "Flux.2",
        ("Flux2",),
        FLUX,
        JOINT_AND_SINGLE,
        text_width="context_in_dim",
    ),
    Transformer(
        "Chroma",
        ("Chroma",),
        "comfy.ldm.chroma.model:Chroma",
        JOINT_AND_SINGLE,
        beside="text",
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
    """Every attention layer over the image, in running order, with the module that calls it.

    SD 3.5 Medium has modules that call two: over text and image, and then over the image alone.
    """
    layers: dict[Layer, torch.nn.Module] = {}
    number = 0
    for blocks in row.blocks:
        for block in map(uncompiled, getattr(net, blocks.modules)):
            module = uncompiled(block.get_submodule(blocks.attention)) if blocks.attention else block
            name = f"block {number} ({blocks.modules})"
            layers[Layer(number, name, has_text=True)] = module
            if getattr(getattr(block, "x_block", None), "x_block_self_attn", False):
                layers[Layer(number, f"{name}, second attention")] = module
            number += 1
    return layers


def patch_of(row: Transformer, net: torch.nn.Module) -> int:
    """Side of a token in places of the latent."""
    value: Any = getattr(net, row.patch)
    return int(value[-1] if isinstance(value, list | tuple) else value)
