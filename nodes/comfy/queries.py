"""The queries to the text of a UNet: which layers' are kept, and their keeping beside a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import CrossAttention, SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

from ...diffseg_core import AttentionAccumulator, GridSize
from ...diffseg_core.attention.compiled import uncompiled
from ...diffseg_core.attention.key_pooling import pooled_grid
from ...diffseg_core.attention.query_keeping import QueryKeeper
from ...diffseg_core.attention.text import Part, layers_for_text, worth_keeping
from ...diffseg_core.settings import KeepQueries
from .unet_walk import transformers_of

PARTS: dict[str, Part] = {"input": "down", "middle": "middle", "output": "up"}
HALF = 2  # bytes of a number in half precision
ADVICE = "connect the model before that patch, or set keep_queries to automatic or none."


@dataclass(frozen=True, eq=False)
class CrossAttentionLayer:
    """One layer of a UNet that attends to the text."""

    name: str  # by which it is found again in another copy of the same model, as "output 5.0"
    part: Part
    level: int  # how often the latent was halved
    attention: CrossAttention
    around: SpatialTransformer  # is called with the image that the tokens are of

    @property
    def heads(self) -> int:
        """Their number."""
        return int(self.attention.heads)

    @property
    def width(self) -> int:
        """Numbers to a query, of all heads together."""
        return self.heads * int(self.attention.dim_head)

    def size(self, latent: GridSize) -> int:
        """Bytes of the queries of one image in half precision. Each halving of the latent rounds up."""
        return pooled_grid(latent, 2**self.level).tokens * self.width * HALF


def cross_attention_layers(unet: UNetModel) -> list[CrossAttentionLayer]:
    """Every cross-attention layer of a UNet, in the order in which they run."""
    return [
        CrossAttentionLayer(f"{block} {number}.{index}", PARTS[block], level, attention, module)
        for block, number, level, module in transformers_of(unet)
        for index, transformer in enumerate(module.transformer_blocks)
        if isinstance(attention := uncompiled(transformer.attn2), CrossAttention)
    ]


def kept_layers(
    unet: UNetModel, of_sdxl: bool, latent: GridSize, keep: KeepQueries
) -> list[CrossAttentionLayer]:
    """The layers whose queries a capture keeps; see `layers_for_text` and `worth_keeping`.

    Args:
        unet: the diffusion model.
        of_sdxl: whether it is of SDXL's class.
        latent: height and width of the latent.
        keep: "automatic", "all" (of those that tell something) or "none".
    """
    every = cross_attention_layers(unet)
    places = layers_for_text([(each.part, each.level) for each in every], of_sdxl)
    telling = [every[place] for place in places]
    return [telling[place] for place in worth_keeping([each.size(latent) for each in telling], keep)]


@contextmanager
def keeping_queries(
    choose: Callable[[], list[CrossAttentionLayer]],
    batch: int,
    accumulator: AttentionAccumulator,
    asked_for: bool,
) -> Iterator[None]:
    """While open, one forward pass of the UNet hands some layers' queries to the accumulator.

    They are read behind the projection, whatever patches of others do to the rest of the layer, and nothing
    is changed.

    Args:
        choose: gives the layers. It is called when this is opened: ComfyUI has then loaded the model, and put
            in place what patches exchange in it.
        batch: number of images.
        accumulator: keeps them.
        asked_for: whether they must be kept; see `QueryKeeper`.

    Raises:
        CaptureError: they must, and a layer ran again, with another batch or other tokens, or not at all.
    """
    layers = choose()
    keeper = QueryKeeper([each.name for each in layers], batch, accumulator, asked_for, ADVICE)
    hooks = _Hooks(keeper)
    with ExitStack() as afterwards:
        for module in dict.fromkeys(each.around for each in layers):
            hook = module.register_forward_pre_hook(hooks.note_grid, with_kwargs=True)
            afterwards.callback(hook.remove)
        for each in layers:
            projection = each.attention.to_q
            if isinstance(projection, torch.nn.Module):  # a patch may have put a function there
                hook = projection.register_forward_hook(partial(hooks.keep, each))
                afterwards.callback(hook.remove)
        with keeper.around():
            yield


@dataclass
class _Hooks:
    """What is done at the hooks. What a hook returned would replace what it saw: they return None."""

    keeper: QueryKeeper
    # Of the module that is running; patches may have shrunk it.
    grid: GridSize = field(default_factory=lambda: GridSize(0, 0))

    def note_grid(self, module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        x = arguments[0] if arguments else named["x"]
        self.grid = GridSize(*x.shape[-2:])

    def keep(self, layer: CrossAttentionLayer, module: Any, arguments: Any, queries: torch.Tensor) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        self.keeper.keep(layer.name, queries, layer.heads, self.grid)
