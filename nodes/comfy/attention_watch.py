"""Watching the attention calls of a diffusion transformer during one forward pass."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import comfy.model_management
import torch

from ...diffseg_core import CaptureError, GridSize
from .gatherings import Gathering
from .transformers import Layer, Transformer, image_slice

Attention = Callable[..., torch.Tensor]


class EnoughError(Exception):
    """Every chosen layer has run: the rest of the pass is not needed. `TransformerCapture` catches it."""


@dataclass
class AttentionWatch:
    """Which layer is running, and what is done at its attention call."""

    row: Transformer
    net: torch.nn.Module
    grid: GridSize
    pending: list[Layer]
    gathering: Gathering
    on_layer: Callable[[], None] = lambda: None
    theirs: Attention | None = None
    stop_early: bool = True
    expected: tuple[int, ...] = ()  # of the model's input: images, and height and width of the latent
    text: int = 0  # tokens of the conditioning
    # The modules that are running, innermost last, each with its attention calls to come.
    running: list[tuple[torch.nn.Module, list[Layer]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chosen = tuple(self.pending)

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
        by_place = dict(zip(("mask",), args, strict=False))
        where = self._gather(layer, q, k, heads, {**by_place, **named}) if layer in self.chosen else None
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
        """A chosen layer is done: perhaps its output is of use too."""
        tokens = output if output.ndim == 3 else output.transpose(1, 2).flatten(2)
        self.gathering.finished(layer, tokens[:, where])
        self.pending.remove(layer)
        self.on_layer()
        if not self.pending and self.stop_early:
            raise EnoughError

    def _gather(
        self, layer: Layer | None, q: torch.Tensor, k: torch.Tensor, heads: int, named: dict[str, Any]
    ) -> slice:
        """Gather what is wanted of the image's tokens, and say which of all they are."""
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
        self.gathering.gather(q, k, where, self.grid, named)
        return where


@contextmanager
def exchanged(module_name: str, override: Attention) -> Iterator[None]:
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
