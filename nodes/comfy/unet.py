"""Capturing a Stable Diffusion UNet: its self-attention layers, replaced by the accumulator's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import comfy.model_management
import comfy.supported_models
import torch
from comfy.ldm.modules.attention import CrossAttention, SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample, UNetModel, Upsample

from ...diffseg_core import AttentionAccumulator, GridSize
from ...diffseg_core.attention.architectures import ARCHITECTURES, Architecture
from ...diffseg_core.attention.key_pooling import pooled_grid
from ...diffseg_core.attention.layers import RECOMMENDED, choose_resolutions
from ...diffseg_core.attention.probe import AttentionProbe, Layer, uncompiled
from ...diffseg_core.attention.query_keeping import Part, QueryLayer, keeping_queries
from ...diffseg_core.attention.text import TextAccumulator
from .forward import sigma_of_timestep
from .latents import check_attention_grid

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

SUPPORTED_UNETS = "SD 1.x, SD 2.x, SDXL, SDXL Refiner, SSD-1B, Segmind Vega and KOALA"
# Classes of comfy.supported_models, which have subclasses, by the names of their architectures.
CONFIGS = {
    "SDXLRefiner": comfy.supported_models.SDXLRefiner,
    "SDXL": comfy.supported_models.SDXL,
    "SD20": comfy.supported_models.SD20,
    "SD15": comfy.supported_models.SD15,
}
PARTS: dict[str, Part] = {"input": "down", "middle": "middle", "output": "up"}
ADVICE = "connect the model (and a conditioning without a range of timesteps) before that patch."

Place = tuple[str, int, int]
"""Of a layer, as ComfyUI patches it: "input", "middle" or "output", the block's number, the transformer's."""


@dataclass(frozen=True)
class UNetCapture:
    """How the self-attention of one model with a UNet is captured."""

    unet: UNetModel
    config: Any  # of comfy.supported_models
    predicts_v: bool
    layers: str = RECOMMENDED  # which to capture; see `choose_resolutions`
    latent_pixels: int = 8  # to a latent's side
    multiple: int = 64  # every resolution then divides the image without rest
    sigma = staticmethod(sigma_of_timestep)

    @property
    def name(self) -> str:
        """Of the architecture, by ComfyUI's class."""
        return type(self.config).__name__

    @property
    def architecture(self) -> Architecture:
        """What is known of its kind."""
        name = next(name for name, config in CONFIGS.items() if isinstance(self.config, config))
        return ARCHITECTURES["SD20 with v-prediction" if name == "SD20" and self.predicts_v else name]

    def check(self, model: ModelPatcher, conditioning: list[Any], grid: GridSize) -> None:
        """Refuse layers that the UNet does not have, or that would see a single row or column.

        Raises:
            InvalidSettingError: the finest attention grid is narrower than 2 places.
        """
        level = min(layer.block for layer in self._captured_layers())
        finest = pooled_grid(grid, 2**level)
        check_attention_grid(finest, grid, "Use a larger image, or more of the model's resolutions.")

    def captured(
        self,
        clone: ModelPatcher,
        batch: int,
        grid: GridSize,
        conditioning: list[Any],
        accumulator: AttentionAccumulator | TextAccumulator,
        on_layer: Callable[[int, int], None],
    ) -> AbstractContextManager[None]:
        """Patch the clone; while what is returned is open, a forward pass of it gathers what was chosen.

        That is self-attention: of a UNet attention to the text is worked out of the queries that are kept.

        Args:
            clone: a MODEL that may be changed.
            batch: number of images.
            grid: height and width of the latent.
            conditioning: the one that acts.
            accumulator: gathers.
            on_layer: called with the number of layers done and their total.

        Raises:
            CaptureError: at the end of the pass, where a chosen layer did not run.
        """
        places, chosen = self_attention_layers(self.unet), self._captured_layers()
        # The features are the output of the encoder's last layer, as in DiffCut.
        featured = next((layer for layer in reversed(places) if places[layer][0] == "input"), None)
        probe = AttentionProbe(
            list(chosen), batch, accumulator, ADVICE, feature_layer=featured, on_layer=on_layer
        )
        for layer, (block, number, index) in chosen.items():
            clone.set_model_attn1_replace(_replacement(layer, probe), block, number, index)
        if featured is not None:
            clone.set_model_attn1_output_patch(_output_patch(featured, places[featured], probe))
        is_sdxl = isinstance(self.config, CONFIGS["SDXL"] | CONFIGS["SDXLRefiner"])  # or a small relative
        layers_of = partial(cross_attention_layers, self.unet)
        return keeping_queries(layers_of, is_sdxl, grid, probe)

    def _captured_layers(self) -> dict[Layer, Place]:
        places = self_attention_layers(self.unet)
        levels = choose_resolutions(self.layers, (layer.block for layer in places))
        return {layer: place for layer, place in places.items() if layer.block in levels}


def self_attention_layers(unet: UNetModel) -> dict[Layer, Place]:
    """Every self-attention layer of a UNet, in the order in which they run."""
    return {
        Layer(level, f"{block} block {number}, transformer {index}"): (block, number, index)
        for block, number, level, module in _transformers_of(unet)
        for index, transformer in enumerate(module.transformer_blocks)
        if not transformer.disable_self_attn
    }


def cross_attention_layers(unet: UNetModel) -> list[QueryLayer]:
    """Every cross-attention layer of a UNet, in the order in which they run; one is called "output 5.0"."""
    return [
        QueryLayer(
            f"{block} {number}.{index}",
            PARTS[block],
            level,
            int(attention.heads),
            int(attention.heads) * int(attention.dim_head),
            attention,
            module,
        )
        for block, number, level, module in _transformers_of(unet)
        for index, transformer in enumerate(module.transformer_blocks)
        if isinstance(attention := uncompiled(transformer.attn2), CrossAttention)
    ]


def _transformers_of(unet: UNetModel) -> Iterator[tuple[str, int, int, SpatialTransformer]]:
    """Every transformer over the image, in running order, also where parts of the UNet are compiled.

    Yields:
        "input", "middle" or "output", the block's number, how often the latent was halved, and itself.
    """
    level = 0
    blocks = [
        *(("input", number, block) for number, block in enumerate(unet.input_blocks)),
        *([] if unet.middle_block is None else [("middle", 0, unet.middle_block)]),
        *(("output", number, block) for number, block in enumerate(unet.output_blocks)),
    ]
    for name, number, block in blocks:
        for module in map(uncompiled, uncompiled(block)):
            if isinstance(module, SpatialTransformer):
                yield name, number, level, module
            level += isinstance(module, Downsample) - isinstance(module, Upsample)


def _replacement(layer: Layer, probe: AttentionProbe) -> Callable[..., torch.Tensor]:
    """What stands in for a self-attention layer: projected q, k, v ``[B, n, heads·d]`` to its output."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        grid = GridSize(*options["activations_shape"][2:])
        query, key, value = (
            tokens.unflatten(2, (options["n_heads"], -1)).transpose(1, 2) for tokens in (q, k, v)
        )
        return probe.attend(layer, query, key, value, grid).transpose(1, 2).flatten(2)

    return attend


def _output_patch(
    layer: Layer, place: Place, probe: AttentionProbe
) -> Callable[[torch.Tensor, dict[str, Any]], torch.Tensor]:
    """A patch of self-attention outputs that changes none, and shows the probe that of one layer."""

    def keep(output: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        # Blocks of adapters call it too, and say of themselves what they please, or nothing.
        if (options.get("block"), options.get("block_index")) == (place[:2], place[2]):
            probe.keep_output(layer, output, GridSize(*options["activations_shape"][2:]))
        return output

    return keep
