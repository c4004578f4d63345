"""Capturing a diffusion transformer: its attention over the image, beside the model's own computation.

The model's own attention gives the model's output, which is thus the same as without a capture, to the bit.
The probabilities are computed once more from the same queries and keys, among the image's tokens alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch

from ..diffseg_core import (
    AttentionAccumulator,
    CaptureError,
    GridSize,
    InvalidSettingError,
    UnsupportedModelError,
)
from ..diffseg_core.attention.blocks import RECOMMENDED, choose_blocks
from ..diffseg_core.attention.maps import Evidence
from .comfy_forward import sigma_of_share
from .comfy_latents import check_attention_grid
from .comfy_patches import patches_of
from .comfy_transformers import Layer, Transformer, first_kind, image_slice, layers_of, patch_of

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
Attention = Callable[..., torch.Tensor]


class EnoughError(Exception):
    """Every chosen layer has run: the rest of the forward pass is not needed. Never leaves this module."""


@dataclass(frozen=True)
class TransformerCapture:
    """How the attention of one diffusion transformer is captured; see `comfy_capture.Backbone`."""

    row: Transformer
    net: torch.nn.Module
    latent_pixels: int  # to a latent's side
    blocks: str = RECOMMENDED  # which to capture; see `choose_blocks`
    stop_early: bool = True

    @property
    def name(self) -> str:
        """Of the architecture."""
        return self.row.name

    @property
    def native_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""
        return self.row.native_side

    @property
    def multiple(self) -> int:
        """Pixels of a token: the sides of what it looks at are multiples."""
        return self.latent_pixels * patch_of(self.row, self.net)

    def sigma(self, model: ModelPatcher, level: int) -> torch.Tensor:
        """The noise level σ ``[1]``."""
        return sigma_of_share(model, level)

    @property
    def evidence(self) -> Evidence:
        """What is better known to tell segments apart."""
        return "attention"

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
        for tokens, extras in conditioning:
            self._check_widths(model, tokens, extras)
            given = [key for key in FURTHER_IMAGES if extras.get(key) is not None]
            if given:
                raise InvalidSettingError(
                    f"Expected a conditioning of text, got one with further images ({', '.join(given)}): "
                    "connect a plain CLIP Text Encode with an empty prompt."
                )
            missing = [key for key in self.row.needed if extras.get(key) is None]
            if missing:
                raise InvalidSettingError(
                    f"Expected a conditioning for {self.name}, got one without {', '.join(missing)}: connect "
                    "the CLIP that belongs to the model, or a CLIP Text Encode with it."
                )

    def _check_widths(self, model: ModelPatcher, tokens: torch.Tensor, extras: dict[str, Any]) -> None:
        config = model.model.model_config.unet_config
        pooled = extras.get("pooled_output")
        given = [(config.get(self.row.text_width), tokens, "to a token")]
        if isinstance(pooled, torch.Tensor):
            given.append((config.get(self.row.pooled_width), pooled, "in the pooled output"))
        for width, tensor, where in given:
            if isinstance(width, int) and tensor.shape[-1] != width:
                raise InvalidSettingError(
                    f"Expected a conditioning of {width} numbers {where} as {self.name} has, got "
                    f"{tensor.shape[-1]}. Connect the CLIP that belongs to the model."
                )

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

        It ends with the last of that, unless patches of others are around the model: these must come to
        their end, and may call it again. Hooks are on the model's modules only meanwhile.

        Args:
            clone: a MODEL whose options may be changed.
            batch: number of images.
            grid: height and width of the latent.
            conditioning: the one that acts.
            accumulator: gathers.
            on_layer: called with the number of layers done and their total.

        Raises:
            CaptureError: at the end of the pass, where a chosen layer did not run.
        """
        every = layers_of(self.row, self.net)
        numbers = self._chosen()
        chosen = [layer for layer in every if layer.number in numbers]
        patch = patch_of(self.row, self.net)
        watch = _Watch(
            self.row, self.net, GridSize(grid.height // patch, grid.width // patch), list(chosen), accumulator
        )
        watch.on_layer = lambda: on_layer(accumulator.layers, len(chosen))
        options = clone.model_options["transformer_options"]
        watch.theirs = options.get("optimized_attention_override")
        watch.stop_early = self.stop_early and watch.theirs is None and not patches_of(clone)
        watch.expected, watch.text = (batch, *grid), conditioning[0][0].shape[1]
        options["optimized_attention_override"] = watch.attend
        return self._forward_pass(watch, every)

    @contextmanager
    def _forward_pass(self, watch: _Watch, layers: dict[Layer, torch.nn.Module]) -> Iterator[None]:
        try:
            with watch.watching(layers), _exchanged(self.row.without_options, watch.attend):
                yield
        except EnoughError:
            pass
        if watch.pending:
            raise CaptureError(
                f"Expected {len(watch.chosen)} attention layers to run once, but {watch.pending[0]} did not "
                f"({len(watch.pending)} missing). A compiled model, a patch that replaces whole blocks, or a "
                "cache that skips them does this: connect the model without it."
            )

    def _chosen(self) -> set[int]:
        every = layers_of(self.row, self.net)
        count = 1 + max(layer.number for layer in every)
        recommended = self.row.recommended
        known = None if recommended is None else recommended.scaled(first_kind(self.row, self.net))
        return choose_blocks(self.blocks, count, known)

    def _check_grid(self, grid: GridSize) -> None:
        patch = patch_of(self.row, self.net)
        if grid.height % patch or grid.width % patch:
            raise InvalidSettingError(
                f"Expected a latent whose sides are multiples of {patch} ({self.multiple} pixels) for "
                f"{self.name}, got {grid}: at its edges the model would see the opposite ones. Connect vae "
                "and image instead of latent, or crop the image."
            )
        tokens = GridSize(grid.height // patch, grid.width // patch)
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


@dataclass
class _Watch:
    """Which layer is running, and what is done at its attention call."""

    row: Transformer
    net: torch.nn.Module
    grid: GridSize
    pending: list[Layer]
    accumulator: AttentionAccumulator
    on_layer: Callable[[], None] = lambda: None
    theirs: Attention | None = None
    stop_early: bool = True
    expected: tuple[int, ...] = ()  # of the model's input: images, and height and width of the latent
    text: int = 0  # tokens of the conditioning
    # The modules that are running, innermost last, each with its attention calls to come.
    running: list[tuple[torch.nn.Module, list[Layer]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chosen = tuple(self.pending)
        self.featured = self.chosen[len(self.chosen) // 2]

    @contextmanager
    def watching(self, layers: dict[Layer, torch.nn.Module]) -> Iterator[None]:
        """While open, ``running`` is kept. What a hook returns would replace the output: it returns None."""
        calls: dict[torch.nn.Module, list[Layer]] = {}
        for layer, module in layers.items():
            calls.setdefault(module, []).append(layer)
        handles = [self.net.register_forward_pre_hook(self._check_input)]
        try:
            for module, expected in calls.items():
                handles.append(module.register_forward_pre_hook(self._begin(expected)))
                handles.append(module.register_forward_hook(self._end, always_call=True))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _check_input(self, module: Any, arguments: tuple[Any, ...]) -> None:
        """Refuse a call of the model with a part of the images, or with something else."""
        x = arguments[0]
        found = (x.shape[0], *x.shape[-2:])
        if found != self.expected:
            shapes = ["×".join(map(str, shape)) for shape in (self.expected, found)]
            raise CaptureError(
                f"Expected the model to be called once, with all images ({shapes[0]}), got {shapes[1]}. A "
                "patch or wrapper that calls it in parts, or with further images, does this: connect "
                "the model before that patch."
            )

    def _begin(self, expected: list[Layer]) -> Callable[[Any, Any], None]:
        return lambda module, arguments: self.running.append((module, list(expected)))

    def _end(self, module: Any, arguments: Any, output: Any) -> None:
        # It is called after a failure too, even one before our own hook of the module.
        if self.running and self.running[-1][0] is module:
            self.running.pop()

    def attend(
        self,
        function: Attention,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        heads: int,
        *args: Any,
        **named: Any,
    ) -> torch.Tensor:
        """ComfyUI's override of attention: the same output, and its probabilities where they are wanted."""
        # Beside each layer's own there are others: of the text, of a refiner, across to the text.
        _, expected = self.running[-1] if self.running else (None, [])
        layer = expected.pop(0) if expected else None
        where = self._gather(layer, q, k, heads, named) if layer in self.chosen else None
        # ComfyUI itself asks an override only where the call brings its options.
        theirs = self.theirs if "transformer_options" in named else None
        if theirs is None:
            output = function(q, k, v, heads, *args, **named)
        else:
            output = theirs(function, q, k, v, heads, *args, **named)
        if layer is not None and where is not None:
            self._note(layer, output, where)
        return output

    def _note(self, layer: Layer, output: torch.Tensor, where: slice) -> None:
        """A chosen layer is done: keep its output if it is the one that stands for the features."""
        if layer == self.featured:
            tokens = output if output.ndim == 3 else output.transpose(1, 2).flatten(2)
            self.accumulator.keep_features(tokens[:, where], self.grid)
        self.pending.remove(layer)
        self.on_layer()
        if not self.pending and self.stop_early:
            raise EnoughError

    def _gather(
        self, layer: Layer | None, q: torch.Tensor, k: torch.Tensor, heads: int, named: dict[str, Any]
    ) -> slice:
        """Gather the probabilities of the image's tokens, and say which of all they are."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        if layer not in self.pending:
            raise CaptureError(
                f"Expected {layer} to run once, but it ran again: a patch or wrapper calls the model more "
                "than once a step. Connect the model before that patch."
            )
        if not named.get("skip_reshape", False):  # [B, tokens, heads·d]
            width = q.shape[-1] // heads
            q, k = (tensor.unflatten(-1, (-1, width)).transpose(1, 2) for tensor in (q, k))
        if q.shape[2] != k.shape[2] or q.shape[0] != k.shape[0]:
            raise CaptureError(
                f"Expected as many keys as queries at {layer}, got {k.shape[2]} and {q.shape[2]}. A patch "
                "that adds tokens of another image (reference attention, IP-Adapter) does this: connect the "
                "model before that patch."
            )
        further = sum(named.get("transformer_options", {}).get("reference_image_num_tokens", ()))
        where = (
            slice(0, self.grid.tokens)
            if layer.call
            else image_slice(self.row, self.net, self.grid, q.shape[2], self.text)
        )
        if further or (layer.call and q.shape[2] != self.grid.tokens):
            raise CaptureError(
                f"Expected the tokens of one image of {self.grid} at {layer}, got {q.shape[2]} with "
                f"{further} of reference images: connect the model and conditioning without them."
            )
        self.accumulator.gather(q[:, :, where], k[:, :, where], self.grid)
        return where


@contextmanager
def _exchanged(module_name: str, override: Attention) -> Iterator[None]:
    """While open, a module that asks no override does. For one forward pass: it is a global of ComfyUI's."""
    if not module_name:
        yield
        return
    module: Any = importlib.import_module(module_name)
    original = module.optimized_attention

    def asking(*args: Any, **named: Any) -> torch.Tensor:
        if "transformer_options" in named:  # of a release that brings them: ComfyUI asks by itself
            return original(*args, **named)
        return override(original, *args, **named)

    module.optimized_attention = asking
    try:
        yield
    finally:
        module.optimized_attention = original
