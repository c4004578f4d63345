"""Capturing a diffusers transformer: its attention over the image, beside the model's own computation.

The output is the same as without a capture, to the bit: probabilities are computed once more, for themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ..attention.accumulator import AttentionAccumulator
from ..attention.architectures import ARCHITECTURES, Architecture
from ..attention.capture_settings import ModelInputs
from ..attention.layers import RECOMMENDED, choose_blocks
from ..attention.probe import AttentionProbe, ImageTokens, Layer
from ..attention.text import TextAccumulator, TextAttention
from ..errors import ANOTHER_MODEL, CaptureError, InvalidSettingError, UnsupportedModelError
from ..grid import GridSize
from .model_inputs import check_plain, hooks_of
from .prompts import Encoding, Prompt, Widths
from .transformers import LEVELS, PATCH, PIXELS, StepInputs, Transformer, layers_of

# Of a configuration: inputs beside the image, for which there is nothing to give.
FURTHER_INPUTS = ("use_layer3d_rope", "use_additional_t_cond")
ADVICE = (
    'pass the pipeline without it; set_attention_backend("native") of the transformer takes an attention '
    "backend back."
)


@dataclass(frozen=True)
class TransformerCapture:
    """How the attention of one diffusion transformer is captured.

    Attention is met where every processor of diffusers calls PyTorch's own, with queries and keys that are
    normalised and rotated: SD3 and Flux from diffusers 0.30 on, Qwen-Image from 0.35, which brought it.
    Processors stay in place, and so do backends of attention; one that is not PyTorch's own (flash-attn,
    SageAttention, xFormers) never calls it, which is an error and not a wrong result.

    Raises:
        UnsupportedModelError: a model that takes further images.
        InvalidSettingError: blocks that it does not have.
    """

    row: Transformer
    model: Any
    latent_channels: int
    layers: str = RECOMMENDED  # which to capture; see `choose_blocks`
    stop_early: bool = True
    multiple: int = PIXELS  # the sides of what it looks at are multiples

    def __post_init__(self) -> None:
        check_plain(self.model)
        config = self.model.config
        expected = self.latent_channels * (PATCH * PATCH if self.row.is_packed else 1)
        further = [name for name in FURTHER_INPUTS if config.get(name)]
        if config.in_channels != expected or further:
            got = f"one with {', '.join(further)}" if further else f"{config.in_channels}"
            raise UnsupportedModelError(
                f"Expected a {self.row.name} transformer that takes a latent of {expected} channels and no "
                f"more, got {got}: models for inpainting, depth or layers take further images. Choose the "
                f"one it was made from. {ANOTHER_MODEL}"
            )
        self._chosen()

    @property
    def architecture(self) -> Architecture:
        """What is known of its kind."""
        return ARCHITECTURES[self.row.name]

    @property
    def native_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""
        return self.architecture.native_side

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
        """Refuse a working size in pixels that the model does not know.

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
        """Run the model until what was chosen is gathered; see `UNetCapture.gather`."""
        modules = self._modules()
        self._run(latents, level, prompt, modules, accumulator, list(modules)[len(modules) // 2])

    def read_text(self, inputs: ModelInputs, latents: torch.Tensor, prompt: Prompt) -> TextAttention:
        """Give the model the same once more, with a text: what the image's tokens pay to the text's.

        Args:
            inputs: of a capture from this model; which blocks were chosen they know.
            latents: the inputs', with their noise.
            prompt: the text, for all images.

        Raises:
            CaptureError: inputs of another model, a chosen layer did not run, or a mask hides tokens of the
                text.
        """
        if inputs.architecture != self.row.name or latents.shape[1] != self.latent_channels:
            raise CaptureError(
                f"Expected attention captured from {self.row.name} with latents of {self.latent_channels} "
                f"channels, got {inputs.architecture} with {latents.shape[1]}. Pass the pipeline that the "
                "attention was captured from."
            )
        chosen = replace(self, layers=inputs.settings.layers)
        modules = {layer: module for layer, module in chosen._modules().items() if layer.has_text}
        accumulator = TextAccumulator()
        self._run(latents, inputs.noise_level, prompt, modules, accumulator)
        return accumulator.finish()

    def _run(
        self,
        latents: torch.Tensor,
        level: int,
        prompt: Prompt,
        modules: dict[Layer, Any],
        accumulator: AttentionAccumulator | TextAccumulator,
        feature_layer: Layer | None = None,
    ) -> None:
        dtype, batch = self.model.dtype, len(latents)
        share = torch.full((batch,), level / LEVELS, device=latents.device)
        inputs = StepInputs(latents.to(dtype), share, prompt.expanded(batch, latents.device, dtype))
        # Hooks that move the weights need a pass to come to its end.
        stop_early = self.stop_early and not any(hooks_of(self.model))
        probe = AttentionProbe(
            list(modules), batch, accumulator, ADVICE, feature_layer=feature_layer, stop_early=stop_early
        )
        watch = _Watch(probe, ImageTokens(inputs.grid, self.row.image, others=None))
        with ExitStack() as afterwards:
            for layer, module in modules.items():
                afterwards.callback(module.register_forward_pre_hook(watch.run(layer)).remove)
                afterwards.callback(module.register_forward_hook(watch.run(None)).remove)
            with probe.forward(), watch:
                self.model(**self.row.arguments(self.model, inputs))

    def _modules(self) -> dict[Layer, Any]:
        """The chosen layers, with their modules."""
        numbers = self._chosen()
        modules = layers_of(self.row, self.model)
        return {layer: module for layer, module in modules.items() if layer.block in numbers}

    def _chosen(self) -> set[int]:
        counts = [len(getattr(self.model, kind)) for kind in self.row.blocks]
        return choose_blocks(self.layers, counts, self.architecture.recommended)


class _Watch(TorchFunctionMode):
    """While open, attention is handed to the probe where a chosen layer runs. For its own thread alone."""

    def __init__(self, probe: AttentionProbe, tokens: ImageTokens) -> None:
        super().__init__()
        self.probe = probe
        self.tokens = tokens
        self.running: Layer | None = None

    def run(self, layer: Layer | None) -> Callable[..., None]:
        """A hook that notes which layer is running."""

        def hook(*_: Any) -> None:
            self.running = layer

        return hook

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        output = func(*args, **named)
        layer = self.running
        if func is F.scaled_dot_product_attention and layer is not None:
            self.running = None  # what else the layer attends to are the tokens of an adapter
            arguments = {**dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)), **named}
            mask = arguments.get("attn_mask")
            image = self.probe.gather(layer, arguments["query"], arguments["key"], self.tokens, mask)
            self.probe.finished(layer, output[:, :, image].transpose(1, 2).flatten(2), self.tokens.grid)
        return output
