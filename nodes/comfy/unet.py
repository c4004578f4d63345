"""Capturing a Stable Diffusion UNet: its self-attention layers, replaced by the accumulator's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import comfy.model_management
import comfy.supported_models
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

from ...diffseg_core import AttentionAccumulator, CaptureError, GridSize
from ...diffseg_core.attention.key_pooling import pooled_grid
from ...diffseg_core.attention.maps import Evidence
from ...diffseg_core.attention.resolutions import select_levels
from ...diffseg_core.settings import KeepQueries
from .forward import sigma_of_timestep
from .latents import check_attention_grid
from .queries import keeping_queries, kept_layers
from .unet_walk import transformers_of

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

SUPPORTED_UNETS = "SD 1.x, SD 2.x, SDXL, SDXL Refiner, SSD-1B, Segmind Vega and KOALA"
SUPPORTED_CONFIGS = (
    comfy.supported_models.SD15,
    comfy.supported_models.SD20,
    comfy.supported_models.SDXL,
    comfy.supported_models.SDXLRefiner,
)


@dataclass(frozen=True)
class SelfAttentionLayer:
    """One self-attention layer of the UNet, by the names under which ComfyUI patches it."""

    block: str  # "input", "middle" or "output"
    number: int  # of the block
    index: int  # of the transformer block in it
    heads: int
    level: int  # how often the latent was halved

    def __str__(self) -> str:
        return f"{self.block} block {self.number}, transformer {self.index}"


@dataclass(frozen=True)
class UNetCapture:
    """How the self-attention of one model with a UNet is captured; see `comfy_capture.Backbone`."""

    unet: UNetModel
    config: Any  # of comfy.supported_models
    predicts_v: bool
    resolutions: str = "all"  # which to capture; see `select_levels`
    keep_queries: KeepQueries = "none"  # to the text; see `kept_layers`
    latent_pixels: int = 8  # to a latent's side
    multiple: int = 64  # every resolution then divides the image without rest

    @property
    def name(self) -> str:
        """Of the architecture."""
        return type(self.config).__name__

    @property
    def native_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""
        if self.of_sdxl:
            return 1024
        return 768 if self.predicts_v and isinstance(self.config, comfy.supported_models.SD20) else 512

    @property
    def of_sdxl(self) -> bool:
        """Whether it is SDXL, its refiner, or one of its small relatives."""
        return isinstance(self.config, comfy.supported_models.SDXL | comfy.supported_models.SDXLRefiner)

    @property
    def evidence(self) -> Evidence:
        """What is better known to tell segments apart: in SDXL's class the features (DiffCut)."""
        return "features" if isinstance(self.config, comfy.supported_models.SDXL) else "attention"

    def sigma(self, model: ModelPatcher, level: int) -> torch.Tensor:
        """The noise level σ ``[1]``."""
        return sigma_of_timestep(model, level)

    def check(self, model: ModelPatcher, conditioning: list[Any], grid: GridSize) -> None:
        """Refuse a latent of which the layers would see a single row or column.

        Raises:
            InvalidSettingError: the finest attention grid is narrower than 2 places.
        """
        level = min(layer.level for layer in captured_layers(self.unet, self.resolutions))
        finest = pooled_grid(grid, 2**level)
        check_attention_grid(finest, grid, "Use a larger image, or more of the model's resolutions.")

    def captured(
        self,
        clone: ModelPatcher,
        batch: int,
        grid: GridSize,
        conditioning: list[Any],
        accumulator: AttentionAccumulator,
        on_layer: Callable[[int, int], None],
    ) -> AbstractContextManager[None]:
        """Patch the clone; while what is returned is open, a forward pass of it gathers what was chosen.

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
        layers = captured_layers(self.unet, self.resolutions)
        pending = list(layers)
        for layer in layers:
            hook = _capture_hook(
                layer, accumulator, pending, lambda: on_layer(accumulator.layers, len(layers))
            )
            clone.set_model_attn1_replace(hook, layer.block, layer.number, layer.index)
        deepest = featured_layer(self.unet)
        if deepest is not None:
            clone.set_model_attn1_output_patch(_feature_patch(deepest, accumulator))
        queries = keeping_queries(
            lambda: kept_layers(self.unet, self.of_sdxl, grid, self.keep_queries),
            batch,
            accumulator,
            asked_for=self.keep_queries == "all",
        )
        return _both(queries, _all_ran(layers, pending))


def self_attention_layers(unet: UNetModel) -> list[SelfAttentionLayer]:
    """Every self-attention layer of a UNet, in the order in which they run."""
    return [
        SelfAttentionLayer(block, number, index, transformer.attn1.heads, level)
        for block, number, level, module in transformers_of(unet)
        for index, transformer in enumerate(module.transformer_blocks)
        if not transformer.disable_self_attn
    ]


def captured_layers(unet: UNetModel, resolutions: str) -> list[SelfAttentionLayer]:
    """The self-attention layers of the resolutions that are kept; see ``select_levels``."""
    every = self_attention_layers(unet)
    levels = select_levels((layer.level for layer in every), resolutions)
    return [layer for layer in every if layer.level in levels]


def featured_layer(unet: UNetModel) -> SelfAttentionLayer | None:
    """The layer whose output are the features: the encoder's last, as in DiffCut; None where it has none."""
    return next((layer for layer in reversed(self_attention_layers(unet)) if layer.block == "input"), None)


@contextmanager
def _both(outer: AbstractContextManager[None], inner: AbstractContextManager[None]) -> Iterator[None]:
    with outer, inner:
        yield


@contextmanager
def _all_ran(layers: list[SelfAttentionLayer], pending: list[SelfAttentionLayer]) -> Iterator[None]:
    """Around a forward pass: raise where a layer did not run."""
    yield
    if pending:
        raise CaptureError(
            f"Expected all {len(layers)} self-attention layers to run once, but {pending[0]} did not "
            f"({len(pending)} missing). A compiled model, a patch that replaces whole blocks, a cache "
            "that skips them, or a conditioning limited to other timesteps does this: connect the model "
            "and conditioning without it."
        )


def _capture_hook(
    layer: SelfAttentionLayer,
    accumulator: AttentionAccumulator,
    pending: list[SelfAttentionLayer],
    on_layer: Callable[[], None],
) -> Callable[..., torch.Tensor]:
    """A replacement for one self-attention layer: projected q, k, v ``[B, n, heads·d]`` to its output."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        batch, _, height, width = options["activations_shape"]
        grid = GridSize(height, width)
        if q.shape[:2] != (batch, grid.tokens) or k.shape != q.shape or v.shape != q.shape:
            raise CaptureError(
                f"Expected {grid.tokens} tokens for the {grid} grid at {layer}, got {q.shape[1]} queries "
                f"and {k.shape[1]} keys in a batch of {q.shape[0]} (expected {batch}). A patch that "
                "merges or folds tokens (ToMe, HyperTile) or adds tokens of another image (reference "
                "attention) does this: connect the model before that patch."
            )
        if layer not in pending:
            raise CaptureError(
                f"Expected {layer} to run once, but it ran again: a patch or wrapper calls the model more "
                "than once a step. Connect the model before that patch."
            )
        pending.remove(layer)

        def heads(tokens: torch.Tensor) -> torch.Tensor:
            return tokens.unflatten(2, (layer.heads, -1)).transpose(1, 2)  # [B, heads, n, d]

        output = accumulator.attend(heads(q), heads(k), heads(v), grid)
        on_layer()
        return output.transpose(1, 2).flatten(2)

    return attend


def _feature_patch(
    layer: SelfAttentionLayer, accumulator: AttentionAccumulator
) -> Callable[[torch.Tensor, dict[str, Any]], torch.Tensor]:
    """A patch of self-attention outputs that changes none, and keeps that of one layer."""

    def keep(output: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        # Blocks of adapters call it too, and say of themselves what they please, or nothing.
        if (options.get("block"), options.get("block_index")) == ((layer.block, layer.number), layer.index):
            accumulator.keep_features(output, GridSize(*options["activations_shape"][2:]))
        return output

    return keep
