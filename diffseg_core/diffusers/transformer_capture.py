"""Capturing a diffusers transformer: its attention over the image, beside the model's own computation.

The model's own attention gives its output, which is thus the same as without a capture, to the bit. The
probabilities are computed once more from the same queries and keys, among the image's tokens alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from ..attention.accumulator import AttentionAccumulator
from ..attention.blocks import RECOMMENDED, choose_blocks
from ..attention.maps import AttentionMaps, Evidence
from ..attention.shown import ShownStep
from ..attention.text import TextAccumulator, TextAttention
from ..errors import ANOTHER_MODEL, CaptureError, InvalidSettingError, UnsupportedModelError
from ..grid import GridSize
from .attention_watch import Attended, watch_attention
from .hooks import must_end
from .prompts import Encoding, Prompt, Widths
from .transformers import LEVELS, PATCH, PIXELS, Layer, Shown, Transformer, image_slice, layers_of, text_slice
from .unet_inputs import check_no_image_prompt

# Of a configuration: inputs beside the image, for which there is nothing to give.
FURTHER_INPUTS = ("use_layer3d_rope", "use_additional_t_cond")


@dataclass(frozen=True)
class TransformerCapture:
    """How the attention of one diffusion transformer is captured; see `diffusers_capture.Backbone`.

    Attention is met where every processor of diffusers calls PyTorch's own, with queries and keys that are
    normalised and rotated: SD3 and Flux from diffusers 0.30 on, Qwen-Image from 0.35, which brought it.
    Processors stay in place, and so do backends of attention; one that is not PyTorch's own (flash-attn,
    SageAttention, xFormers) never calls it, which is an error and not a wrong result.
    """

    row: Transformer
    model: Any
    latent_channels: int
    blocks: str = RECOMMENDED  # which to capture; see `choose_blocks`
    stop_early: bool = True
    multiple: int = PIXELS  # the sides of what it looks at are multiples

    def __post_init__(self) -> None:
        self._check_inputs()
        self._chosen()

    @property
    def native_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""
        return self.row.native_side

    @property
    def evidence(self) -> Evidence:
        """What is better known to tell segments apart."""
        return "attention"

    @property
    def encoding(self) -> Encoding:
        """Of a prompt."""
        return self.row.encoding

    @property
    def widths(self) -> Widths:
        """Of a prompt's embeddings."""
        config = self.model.config
        return Widths(config.joint_attention_dim, config.get("pooled_projection_dim"))

    def check(self, size: GridSize) -> None:
        """Refuse a working size that the model does not know.

        Raises:
            InvalidSettingError: one that is larger than its table of positions.
        """
        most = self.model.config.get(self.row.largest_side) if self.row.largest_side else None
        if most is not None and max(size) > most * PIXELS:
            raise InvalidSettingError(
                f"Expected sides of at most {most * PIXELS} pixels, which {self.row.name} knows, got {size}. "
                "Use a smaller working size."
            )

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, level: int) -> torch.Tensor:
        """Latents with the noise of a level, which is its share in thousandths: all are flow models."""
        share = level / LEVELS
        return latents * (1.0 - share) + noise * share

    def gather(
        self,
        latents: torch.Tensor,
        level: int,
        prompt: Prompt,
        size: GridSize,
        accumulator: AttentionAccumulator,
    ) -> None:
        """Run the model until what was chosen is gathered.

        Args:
            latents: ``[B, C, h, w]``, as the model is to see them.
            level: of noise, which the model is told.
            prompt: for all images.
            size: of the images, in pixels.
            accumulator: gathers.

        Raises:
            CaptureError: a chosen layer did not run, or not on the image's tokens.
        """
        shown = self._shown(latents, level, prompt)
        layers = self._layers()
        featured = list(layers)[len(layers) // 2]

        def attended(
            layer: Layer,
            query: torch.Tensor,
            key: torch.Tensor,
            output: torch.Tensor,
            mask: torch.Tensor | None,
        ) -> None:
            where = image_slice(self.row, shown.grid, query.shape[2])
            accumulator.gather(query[:, :, where], key[:, :, where], shown.grid)
            if layer == featured:
                tokens = output[:, :, where].transpose(1, 2).flatten(2)
                accumulator.keep_features(tokens, shown.grid)

        self._run(shown, layers, attended)

    def shown(self, latents: torch.Tensor, level: int, size: GridSize) -> ShownStep:
        """What `gather` was given, without its prompt: words take the place of that."""
        return ShownStep(self.row.name, latents, level, size, self.blocks)

    def read_text(self, maps: AttentionMaps, prompt: Prompt) -> TextAttention:
        """Show the model the same once more, with a text: what the image's tokens pay to the text's.

        Text and image run through the blocks together, so this is a step of its own, which ends with the last
        of the chosen blocks.

        Args:
            maps: as captured from this model; which blocks were chosen they know.
            prompt: the text, for all images.

        Raises:
            CaptureError: maps of another model or without what it was shown, a chosen layer did not run, or
                a mask hides tokens of the text.
        """
        step = maps.shown
        if step is None:
            raise CaptureError(
                "Expected attention that was captured with what the model was shown, got it without. Capture "
                'again with keep_queries set to "automatic".'
            )
        if step.architecture != self.row.name or step.latents.shape[1] != self.latent_channels:
            raise CaptureError(
                f"Expected attention captured from {self.row.name} with latents of {self.latent_channels} "
                f"channels, got {step.architecture} with {step.latents.shape[1]}. Pass the pipeline that the "
                "attention was captured from."
            )

        accumulator = TextAccumulator()

        def attended(
            layer: Layer,
            query: torch.Tensor,
            key: torch.Tensor,
            output: torch.Tensor,
            mask: torch.Tensor | None,
        ) -> None:
            tokens = query.shape[2]
            image, text = (find(self.row, shown.grid, tokens) for find in (image_slice, text_slice))
            accumulator.gather(query[:, :, image], key, shown.grid, text, mask=mask)

        chosen = replace(self, blocks=step.blocks)
        shown = self._shown(step.latents.to(prompt.embeds.device), step.level, prompt)
        layers = {layer: module for layer, module in chosen._layers().items() if layer.has_text}
        self._run(shown, layers, attended)
        return accumulator.finish()

    def _shown(self, latents: torch.Tensor, level: int, prompt: Prompt) -> Shown:
        dtype, batch = self.model.dtype, len(latents)
        share = torch.full((batch,), level / LEVELS, device=latents.device)
        return Shown(latents.to(dtype), share, prompt.expanded(batch, latents.device, dtype))

    def _run(self, shown: Shown, layers: dict[Layer, Any], attended: Attended) -> None:
        arguments = self.row.arguments(self.model, shown)
        stop_early = self.stop_early and not must_end(self.model)
        watch_attention(layers, lambda: self.model(**arguments), attended, stop_early)

    def _layers(self) -> dict[Layer, Any]:
        """The chosen ones, with their modules."""
        numbers = self._chosen()
        every = layers_of(self.row, self.model)
        return {layer: module for layer, module in every.items() if layer.number in numbers}

    def _chosen(self) -> set[int]:
        count = sum(len(getattr(self.model, kind)) for kind in self.row.blocks)
        first = len(getattr(self.model, self.row.blocks[0]))
        recommended = self.row.recommended
        return choose_blocks(self.blocks, count, None if recommended is None else recommended.scaled(first))

    def _check_inputs(self) -> None:
        check_no_image_prompt(self.model)
        config = self.model.config
        expected = self.latent_channels * (PATCH * PATCH if self.row.is_packed else 1)
        further = [name for name in FURTHER_INPUTS if config.get(name)]
        if config.in_channels != expected or further:
            found = f"one with {', '.join(further)}" if further else f"{config.in_channels}"
            raise UnsupportedModelError(
                f"Expected a {self.row.name} transformer that takes a latent of {expected} channels and no "
                f"more, got {found}: models for inpainting, depth or layers take further images. Choose the "
                f"one it was made from. {ANOTHER_MODEL}"
            )
