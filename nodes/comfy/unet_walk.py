"""Where in a UNet its transformers are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample, UNetModel, Upsample

from ...diffseg_core.attention.compiled import uncompiled


class PlacedTransformer(NamedTuple):
    """A transformer over the places of an image, by the names under which ComfyUI patches it.

    Attributes:
        block: "input", "middle" or "output".
        number: of the block.
        level: how often the latent was halved.
        module: itself.
    """

    block: str
    number: int
    level: int
    module: SpatialTransformer


def transformers_of(unet: UNetModel) -> Iterator[PlacedTransformer]:
    """Every transformer of a UNet, in the order in which they run, also where parts of it are compiled."""
    level = 0
    middle = [] if unet.middle_block is None else [("middle", 0, unet.middle_block)]
    blocks = [
        *(("input", number, block) for number, block in enumerate(unet.input_blocks)),
        *middle,
        *(("output", number, block) for number, block in enumerate(unet.output_blocks)),
    ]
    for name, number, block in blocks:
        for module in map(uncompiled, uncompiled(block)):
            if isinstance(module, SpatialTransformer):
                yield PlacedTransformer(name, number, level, module)
            level += isinstance(module, Downsample) - isinstance(module, Upsample)
