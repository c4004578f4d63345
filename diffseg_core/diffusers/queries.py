"""The queries to the text of a diffusers UNet: which layers' are kept, and their keeping while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from ..attention.accumulator import AttentionAccumulator
from ..attention.key_pooling import pooled_grid
from ..attention.query_keeping import QueryKeeper
from ..attention.text import Part, layers_for_text, worth_keeping
from ..errors import CaptureError, UnsupportedModelError
from ..grid import GridSize
from ..settings import KeepQueries

HALF = 2  # bytes of a number in half precision
PARTS: dict[str, Part] = {"down_blocks": "down", "mid_block": "middle", "up_blocks": "up"}  # as they run
ADVICE = 'pass the pipeline without it, or set keep_queries to "automatic" or "none".'


@dataclass(frozen=True, eq=False)
class CrossAttentionLayer:
    """One layer of a UNet that attends to the text."""

    name: str  # by which the UNet's ``get_submodule`` finds it
    level: int  # how often the latent was halved
    attention: Any  # diffusers' Attention

    def grid(self, latent: GridSize) -> GridSize:
        """The layer's tokens for a latent: each halving rounds up."""
        return pooled_grid(latent, 2**self.level)


def level_of(name: str, depth: int) -> int:
    """How often the latent was halved at a layer.

    Args:
        name: of the layer in the UNet.
        depth: number of the UNet's down blocks.
    """
    block = re.match(r"(down|up)_blocks\.(\d+)\.", name)
    if block is None:
        return depth - 1  # the middle block
    index = int(block[2])
    return index if block[1] == "down" else depth - 1 - index


def kept_layers(unet: Any, is_xl: bool, latent: GridSize, keep: KeepQueries) -> list[CrossAttentionLayer]:
    """The layers whose queries a capture keeps; see `layers_for_text` and `worth_keeping`.

    Args:
        unet: a UNet2DConditionModel.
        is_xl: whether it is of SDXL's class.
        latent: its height and width.
        keep: "automatic", "all" (of those that tell something) or "none".
    """
    depth = len(unet.down_blocks)
    found = {name: module for name, module in unet.named_modules() if name.endswith(".attn2")}
    order = list(PARTS)
    every = [
        CrossAttentionLayer(name, level_of(name, depth), module)
        for name, module in sorted(found.items(), key=lambda each: order.index(each[0].split(".")[0]))
    ]
    parts = [(PARTS[each.name.split(".")[0]], each.level) for each in every]
    telling = [every[place] for place in layers_for_text(parts, is_xl)]
    sizes = [each.grid(latent).tokens * each.attention.inner_dim * HALF for each in telling]
    return [telling[place] for place in worth_keeping(sizes, keep)]


def text_keys(unet: Any, names: Sequence[str], text: torch.Tensor) -> dict[str, torch.Tensor]:
    """The keys of a text in cross-attention layers, as their own projections give them, adapters included.

    Args:
        unet: a UNet2DConditionModel.
        names: of its layers.
        text: embeddings ``[1, T, d]``.

    Returns:
        ``[1, T, heads*d]`` by name, where each layer's weights lie.

    Raises:
        CaptureError: the UNet has no such layer.
        UnsupportedModelError: a UNet that projects the text before its layers see it.
    """
    if _projects_text(unet):
        raise UnsupportedModelError(
            "Expected a UNet whose layers attend to the text encoder's own embeddings, got one that projects "
            "them first, as Kolors does. Words cannot be read with it: choose Stable Diffusion or SDXL."
        )
    keys = {}
    for name in names:
        try:
            project = unet.get_submodule(name).to_k
        except AttributeError:
            raise CaptureError(
                f"Expected a UNet with the layer {name}, whose queries were kept, got one without. Pass the "
                "pipeline that the attention was captured from."
            ) from None
        device = project.weight.device
        if device.type == "meta":  # weights that come when they are called for bring their input along
            device = text.device
        keys[name] = project(text.to(device, unet.dtype))
    return keys


def _projects_text(unet: Any) -> bool:
    """Whether the text is projected first; that of an IP-Adapter is of its images alone."""
    if getattr(unet, "text_encoder_hid_proj", None) is not None:
        return True
    if getattr(unet, "encoder_hid_proj", None) is None:
        return False
    return bool(unet.config.encoder_hid_dim_type != "ip_image_proj")


@contextmanager
def keeping_queries(
    layers: list[CrossAttentionLayer],
    batch: int,
    latent: GridSize,
    accumulator: AttentionAccumulator,
    asked_for: bool,
) -> Iterator[None]:
    """While open, one forward pass of the UNet hands the layers' queries to the accumulator.

    They are read behind the projection, and nothing is changed.

    Args:
        layers: whose.
        batch: number of images.
        latent: its height and width.
        accumulator: keeps them.
        asked_for: whether they must be kept; see `QueryKeeper`.

    Raises:
        CaptureError: they must, and a layer ran again, with another batch or other tokens, or not at all.
    """
    keeper = QueryKeeper([each.name for each in layers], batch, accumulator, asked_for, ADVICE)
    with ExitStack() as afterwards:
        for layer in layers:
            hook = _keep(layer, layer.grid(latent), keeper)
            afterwards.callback(layer.attention.to_q.register_forward_hook(hook).remove)
        with keeper.around():
            yield


def _keep(
    layer: CrossAttentionLayer, grid: GridSize, keeper: QueryKeeper
) -> Callable[[Any, Any, torch.Tensor], None]:
    """A hook behind a layer's projection of queries. What it returned would replace them: it returns None."""

    def keep(module: Any, arguments: Any, queries: torch.Tensor) -> None:
        keeper.keep(layer.name, queries, layer.attention.heads, grid)

    return keep
