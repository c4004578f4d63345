"""Capturing a diffusion transformer: its attention over the image, beside the model's own computation.

The output is the same as without a capture, to the bit: probabilities are computed once more, for themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ...diffseg_core import (
    AttentionAccumulator,
    GridSize,
    InvalidSettingError,
    UnsupportedModelError,
)
from ...diffseg_core.attention.architectures import ARCHITECTURES, Architecture
from ...diffseg_core.attention.key_pooling import pooled_grid
from ...diffseg_core.attention.layers import RECOMMENDED, choose_blocks
from ...diffseg_core.attention.probe import AttentionProbe, ImageTokens
from ...diffseg_core.attention.text import TextAccumulator, check_embedding
from .attention_watch import ADVICE, AttentionWatch
from .conditioning import OWN_CLIP
from .forward import sigma_of_share
from .latents import check_attention_grid
from .patches import patches_of
from .transformers import Transformer, layers_of, patch_of

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher


# With these the model is given further images, whose tokens stand beside or within those of the picture.
FURTHER_IMAGES = (
    "reference_latents",
    "concat_latent_image",
    "clip_vision_output",
    "clip_vision_outputs",
    "unclip_conditioning",
    "time_dim_concat",
    "context_latents",
    "guiding_frame_index",
)
CHANGE_TOKENS = ("post_input", "attn1_patch")  # kinds of patches after which the image may lie elsewhere


@dataclass(frozen=True)
class TransformerCapture:
    """How the attention of one diffusion transformer is captured."""

    row: Transformer
    net: torch.nn.Module
    latent_pixels: int  # to a latent's side
    layers: str = RECOMMENDED  # which to capture; see `choose_blocks`
    stop_early: bool = True
    sigma = staticmethod(sigma_of_share)

    @property
    def name(self) -> str:
        """Of the architecture."""
        return self.row.name

    @property
    def architecture(self) -> Architecture:
        """What is known of its kind."""
        return ARCHITECTURES[self.row.name]

    @property
    def multiple(self) -> int:
        """Pixels of a token: the sides of what it looks at are multiples."""
        return self.latent_pixels * patch_of(self.row, self.net)

    def check(self, model: ModelPatcher, conditioning: list[Any], grid: GridSize) -> None:
        """Refuse what would fail, or worse, be captured wrongly.

        Raises:
            UnsupportedModelError, InvalidSettingError: before the model runs.
        """
        self._chosen()
        self._check_grid(grid)
        options = model.model_options.get("transformer_options", {})
        changing = [name for name in CHANGE_TOKENS if options.get("patches", {}).get(name)]
        if changing:
            raise UnsupportedModelError(
                f"Expected a model without a patch of tokens ({', '.join(changing)}), which may add or drop "
                "some (style reference, KV cache): connect the model before that patch."
            )
        if model.model_options.get("multigpu_clones"):
            raise UnsupportedModelError(
                "Expected a model on one device, got one that runs on several: connect the model before the "
                "node that spreads it."
            )
        config = model.model.model_config.unet_config
        for tokens, extras in conditioning:
            check_embedding(tokens, config.get(self.row.text_width), "conditioning", OWN_CLIP)
            if isinstance(pooled := extras.get("pooled_output"), torch.Tensor):
                pooled_width = config.get(self.row.pooled_width)
                check_embedding(pooled, pooled_width, "pooled output", OWN_CLIP, is_pooled=True)
            images = [key for key in FURTHER_IMAGES if extras.get(key) is not None]
            if images:
                raise InvalidSettingError(
                    f"Expected a conditioning of text, got one with further images ({', '.join(images)}): "
                    "connect a plain CLIP Text Encode with an empty prompt."
                )
            missing = [key for key in self.row.needed if extras.get(key) is None]
            if missing:
                raise InvalidSettingError(
                    f"Expected a conditioning for {self.name}, got one without {', '.join(missing)}. "
                    f"{OWN_CLIP}"
                )

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

        It ends with the last of that, unless patches of others are around the model: these must come to
        their end, and may call it again. Hooks are on the model's modules only meanwhile.

        Arguments and errors are those of `UNetCapture.captured`; the accumulator gathers the attention among
        the image's tokens, or to the conditioning's.
        """
        numbers = self._chosen()
        chosen = [layer for layer in layers_of(self.row, self.net) if layer.block in numbers]
        featured = None
        if isinstance(accumulator, TextAccumulator):
            chosen = [layer for layer in chosen if layer.has_text]
        else:
            featured = chosen[len(chosen) // 2]
        options = clone.model_options["transformer_options"]
        previous = options.get("optimized_attention_override")
        probe = AttentionProbe(
            chosen,
            batch,
            accumulator,
            ADVICE,
            feature_layer=featured,
            stop_early=self.stop_early and previous is None and not patches_of(clone),
            on_layer=on_layer,
        )
        tokens = self._image_tokens(grid, conditioning[0][0].shape[1])
        watch = AttentionWatch(probe, tokens, (batch, *grid), previous)
        options["optimized_attention_override"] = watch.attend
        return watch.forward(self.row, self.net)

    def _image_tokens(self, latent: GridSize, text: int) -> ImageTokens:
        grid = pooled_grid(latent, patch_of(self.row, self.net))
        multiple = (getattr(self.net, self.row.padding, None) or 1) if self.row.padding else 1
        padded = -(-grid.tokens // multiple) * multiple
        others = {"text": text, "nothing": 0}.get(self.row.beside)
        return ImageTokens(grid, self.row.image, padded, others)

    def _chosen(self) -> set[int]:
        counts = [len(getattr(self.net, blocks.modules)) for blocks in self.row.blocks]
        return choose_blocks(self.layers, counts, self.architecture.recommended)

    def _check_grid(self, grid: GridSize) -> None:
        patch = patch_of(self.row, self.net)
        if grid.height % patch or grid.width % patch:
            raise InvalidSettingError(
                f"Expected a latent whose sides are multiples of {patch} ({self.multiple} pixels) for "
                f"{self.name}, got {grid}: at its edges the model would see the opposite ones. Connect vae "
                "and image instead of latent, or crop the image."
            )
        tokens = pooled_grid(grid, patch)
        if min(grid) * self.latent_pixels < self.row.least_side:
            raise InvalidSettingError(
                f"Expected sides of at least {self.row.least_side} pixels for {self.name}, got "
                f"{tokens.height * self.multiple}×{tokens.width * self.multiple}. Use a larger working size."
            )
        check_attention_grid(tokens, grid, "Use a larger image.")
        most = getattr(self.net, self.row.largest_side, None) if self.row.largest_side else None
        if most is not None and max(tokens) > most:
            raise InvalidSettingError(
                f"Expected sides of at most {most * self.multiple} pixels, which {self.name} knows, got "
                f"{tokens.height * self.multiple}×{tokens.width * self.multiple}. Use a smaller working size."
            )
