"""Capturing a diffusers transformer: its attention over the image, beside the model's own computation.

The model's own attention gives its output, which is thus the same as without a capture, to the bit. The
probabilities are computed once more from the same queries and keys, among the image's tokens alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ..errors import CaptureError, InvalidSettingError, UnsupportedModelError
from ..grid import GridSize
from .accumulator import AttentionAccumulator
from .blocks import RECOMMENDED, choose_blocks
from .diffusers_prompts import Encoding, Prompt
from .diffusers_transformers import LEVELS, PATCH, PIXELS, Layer, Shown, Transformer, image_slice, layers_of
from .maps import Evidence

# Of a configuration: inputs beside the image, for which there is nothing to give.
FURTHER_INPUTS = ("use_layer3d_rope", "use_additional_t_cond")


class EnoughError(Exception):
    """Every chosen layer has run: the rest of the forward pass is not needed. Never leaves this module."""


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
        dtype, batch = self.model.dtype, len(latents)
        share = torch.full((batch,), level / LEVELS, device=latents.device)
        shown = Shown(latents.to(dtype), share, prompt.expanded(batch, latents.device, dtype))
        numbers = self._chosen()
        chosen = {
            layer: module
            for layer, module in layers_of(self.row, self.model).items()
            if layer.number in numbers
        }
        # Hooks of diffusers (offloading in groups, caches) are put right at the end of a pass only.
        hooked = any(hasattr(module, "_diffusers_hook") for module in self.model.modules())
        watch = _Watch(self.row, shown.grid, list(chosen), accumulator, self.stop_early and not hooked)
        with ExitStack() as afterwards:
            for layer, module in chosen.items():
                afterwards.callback(module.register_forward_pre_hook(watch.begin(layer)).remove)
                afterwards.callback(module.register_forward_hook(watch.end).remove)
            try:
                with watch:
                    self.model(**self.row.arguments(self.model, shown))
            except EnoughError:
                pass
        if watch.pending:
            raise CaptureError(
                f"Expected {len(chosen)} attention layers to run once, but {watch.pending[0]} did not "
                f"({len(watch.pending)} missing). A cache that skips blocks does this, and so does an "
                'attention backend other than PyTorch\'s own: set_attention_backend("native") of the '
                "transformer takes it back."
            )

    def _chosen(self) -> set[int]:
        count = sum(len(getattr(self.model, kind)) for kind in self.row.blocks)
        first = len(getattr(self.model, self.row.blocks[0]))
        recommended = self.row.recommended
        return choose_blocks(self.blocks, count, None if recommended is None else recommended.scaled(first))

    def _check_inputs(self) -> None:
        config = self.model.config
        expected = self.latent_channels * (PATCH * PATCH if self.row.is_packed else 1)
        further = [name for name in FURTHER_INPUTS if config.get(name)]
        if config.in_channels != expected or further:
            found = f"one with {', '.join(further)}" if further else f"{config.in_channels}"
            raise UnsupportedModelError(
                f"Expected a {self.row.name} transformer that takes a latent of {expected} channels and no "
                f"more, got {found}: models for inpainting, depth or layers take further images. Choose the "
                "one it was made from."
            )


class _Watch(TorchFunctionMode):
    """While open, attention is gathered where a chosen layer runs. For its own thread alone."""

    def __init__(
        self,
        row: Transformer,
        grid: GridSize,
        pending: list[Layer],
        accumulator: AttentionAccumulator,
        stop_early: bool,
    ) -> None:
        super().__init__()
        self.row = row
        self.grid = grid
        self.pending = pending
        self.featured = pending[len(pending) // 2]
        self.accumulator = accumulator
        self.stop_early = stop_early
        self.running: Layer | None = None

    def begin(self, layer: Layer) -> Callable[[Any, Any], None]:
        """A forward pre-hook of the layer."""

        def hook(module: Any, arguments: Any) -> None:
            self.running = layer

        return hook

    def end(self, module: Any, arguments: Any, output: Any) -> None:
        """A forward hook of every layer."""
        self.running = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        output = func(*args, **named)
        layer = self.running
        if func is F.scaled_dot_product_attention and layer is not None:
            self.running = None  # what else the layer attends to are the tokens of an adapter
            query, key = (*args, *(named[name] for name in ("query", "key") if name in named))[:2]
            self._attended(layer, query, key, output)
        return output

    def _attended(self, layer: Layer, query: torch.Tensor, key: torch.Tensor, output: torch.Tensor) -> None:
        """A chosen layer is done: all ``[B, heads, tokens, d]``."""
        if layer not in self.pending:
            raise CaptureError(
                f"Expected {layer} to run once, but it ran again: what calls the model more than once a "
                "step does this. Pass the pipeline without it."
            )
        if query.shape[2] != key.shape[2]:
            raise CaptureError(
                f"Expected as many keys as queries at {layer}, got {key.shape[2]} and {query.shape[2]}. What "
                "adds tokens of another image does this: pass the pipeline without it."
            )
        where = image_slice(self.row, self.grid, query.shape[2])
        self.accumulator.gather(query[:, :, where], key[:, :, where], self.grid)
        if layer == self.featured:
            tokens = output[:, :, where].transpose(1, 2).flatten(2)
            self.accumulator.keep_features(tokens, self.grid)
        self.pending.remove(layer)
        if not self.pending and self.stop_early:
            raise EnoughError
