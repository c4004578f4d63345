"""Capturing a diffusers UNet: its self-attention layers, computed by the accumulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..attention.accumulator import AttentionAccumulator
from ..attention.maps import AttentionMaps, Evidence
from ..attention.resolutions import select_levels
from ..attention.shown import ShownStep
from ..attention.text import TextAttention, attention_to_text
from ..attention.working_size import MULTIPLE
from ..errors import CaptureError
from ..grid import GridSize
from ..settings import KeepQueries, Resolutions
from .prompts import Encoding, Prompt, Widths
from .queries import keeping_queries, kept_layers, level_of, text_keys
from .schedulers import step_of
from .unet_inputs import widths_of, with_inpainting

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention

SUPPORTED_UNETS = "SD 1.x, SD 2.x, SDXL, SSD-1B, Segmind Vega, KOALA"
BLOCKS = ".transformer_blocks"


@dataclass(frozen=True)
class UNetCapture:
    """How the self-attention of one UNet is captured; see `diffusers_capture.Backbone`.

    Attention processors stand in for the UNet's own, in every release of diffusers from 0.30 on.
    """

    model: Any  # a UNet2DConditionModel
    pipeline: Any
    resolutions: Resolutions = "all"  # which to capture; see `select_levels`
    keep_queries: KeepQueries = "none"  # to the text; see `kept_layers`
    multiple: int = MULTIPLE  # pixels: every resolution then divides the image without rest

    @property
    def native_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""
        return self.model.config.sample_size * self.pipeline.vae_scale_factor

    @property
    def is_xl(self) -> bool:
        """Whether it is of SDXL's class: it is told the image's size and a pooled embedding."""
        return self.model.config.addition_embed_type == "text_time"

    @property
    def evidence(self) -> Evidence:
        """What is better known to tell segments apart: in SDXL's class the features (DiffCut)."""
        return "features" if self.is_xl else "attention"

    @property
    def encoding(self) -> Encoding:
        """Of a prompt."""
        return Encoding(("text_encoder",), ("embeds", "", "pooled") if self.is_xl else ("embeds",))

    @property
    def widths(self) -> Widths:
        """Of a prompt's embeddings."""
        return widths_of(self.model, self.is_xl)

    def check(self, size: GridSize) -> None:
        """Images of every working size are seen."""

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, level: int) -> torch.Tensor:
        """Latents with the noise of a level."""
        step = step_of(self.pipeline.scheduler, level)
        return latents * step.image + noise * step.noise

    def gather(
        self,
        latents: torch.Tensor,
        level: int,
        prompt: Prompt,
        size: GridSize,
        accumulator: AttentionAccumulator,
    ) -> None:
        """Run the model once, and gather what was chosen.

        Args:
            latents: ``[B, C, h, w]``, as the model is to see them.
            level: of noise, which the model is told; see `step_of`.
            prompt: for all images.
            size: of the images, in pixels.
            accumulator: gathers.

        Raises:
            CaptureError: an attention layer did not run, or not once.
        """
        dtype, batch = self.model.dtype, len(latents)
        prompt = prompt.expanded(batch, latents.device, dtype)
        conditions = {}
        if self.is_xl and prompt.pooled is not None:
            time_ids = torch.tensor([[*size, 0, 0, *size]]).to(latents.device, dtype)
            conditions = {"text_embeds": prompt.pooled, "time_ids": time_ids.expand(batch, -1)}
        latent = GridSize(*latents.shape[2:])
        kept = kept_layers(self.model, self.is_xl, latent, self.keep_queries)
        with (
            _capturing(self.model, self.resolutions, accumulator),
            keeping_queries(kept, batch, latent, accumulator, self.keep_queries == "all"),
        ):
            self.model(
                with_inpainting(latents, self.model.config.in_channels).to(dtype),
                step_of(self.pipeline.scheduler, level).told,
                encoder_hidden_states=prompt.embeds,
                added_cond_kwargs=conditions or None,
            )

    def read_text(self, maps: AttentionMaps, prompt: Prompt) -> TextAttention:
        """The kept queries' attention to a text; the UNet does not run.

        Args:
            maps: as captured from this model.
            prompt: the text, for all images.

        Raises:
            CaptureError: no queries were kept, or those of another model.
        """
        names = [each.layer for each in maps.queries]
        return attention_to_text(maps.queries, text_keys(self.model, names, prompt.embeds))

    def shown(self, latents: torch.Tensor, level: int, size: GridSize) -> ShownStep | None:
        """Nothing: words are read with the queries that are kept."""
        return None


class _CaptureProcessor:
    """Attention processor that lets the accumulator compute a self-attention layer."""

    def __init__(self, accumulator: AttentionAccumulator, name: str, places: _Places) -> None:
        self.accumulator = accumulator
        self.name = name
        self.places = places
        self.calls = 0

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        def heads(projection: torch.nn.Module) -> torch.Tensor:
            return projection(hidden_states).unflatten(2, (attn.heads, -1)).transpose(1, 2)

        self.calls += 1
        query, key, value = heads(attn.to_q), heads(attn.to_k), heads(attn.to_v)
        output = self.accumulator.attend(query, key, value, self.places.grid)
        return attn.to_out[1](attn.to_out[0](output.transpose(1, 2).flatten(2)))


class _Places:
    """The grid of the tokens within the transformer that is running."""

    def __init__(self) -> None:
        self.grid = GridSize(0, 0)

    def remember(self, module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        """Forward pre-hook of the transformer around the layers."""
        self.grid = GridSize(*arguments[0].shape[2:])


@contextmanager
def _capturing(unet: Any, resolutions: Resolutions, accumulator: AttentionAccumulator) -> Iterator[None]:
    """Within the context the UNet's self-attention runs through the accumulator."""
    attentions = [name for name, _ in unet.named_modules() if name.endswith(".attn1")]
    transformers = dict.fromkeys(name.rpartition(BLOCKS)[0] for name in attentions)
    levels = {name: level_of(name, len(unet.down_blocks)) for name in transformers}
    chosen = select_levels(levels.values(), resolutions)
    featured = _featured(attentions)
    processors = []
    places = _Places()

    def keep(module: Any, arguments: Any, output: torch.Tensor) -> None:
        accumulator.keep_features(output, places.grid)

    with ExitStack() as afterwards:
        for name in levels:
            transformer = unet.get_submodule(name)
            afterwards.callback(transformer.register_forward_pre_hook(places.remember).remove)
            for index, block in enumerate(transformer.transformer_blocks):
                layer = f"{name}{BLOCKS}.{index}.attn1"
                if layer == featured:
                    afterwards.callback(block.attn1.register_forward_hook(keep).remove)
                if levels[name] in chosen:
                    processor = _CaptureProcessor(accumulator, layer, places)
                    afterwards.callback(block.attn1.set_processor, block.attn1.processor)
                    block.attn1.set_processor(processor)
                    processors.append(processor)
        yield
    silent = [processor.name for processor in processors if processor.calls != 1]
    if silent:
        raise CaptureError(
            f"Expected every self-attention layer to run once, but {silent[0]} did not "
            f"({len(silent)} of {len(processors)}). A compiled UNet or a cache that skips blocks does "
            "this: pass the pipeline without it."
        )


def _featured(attentions: list[str]) -> str | None:
    """The layer whose output are the features: the encoder's last, as in DiffCut; None where it has none."""
    return next((name for name in reversed(attentions) if name.startswith("down_blocks.")), None)
