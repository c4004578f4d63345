"""Meeting the attention calls of a diffusion transformer during one forward pass."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import comfy.model_management
import torch

from ...diffseg_core import CaptureError
from ...diffseg_core.attention.probe import AttentionProbe, ImageTokens, Layer
from .transformers import Transformer, layers_of

Attention = Callable[..., torch.Tensor]
ADVICE = "connect the model before that patch."


@dataclass
class AttentionWatch:
    """Which layer is running, and what is handed to the probe at its attention call."""

    probe: AttentionProbe
    tokens: ImageTokens
    input_shape: tuple[int, int, int]  # images, and height and width of the latent
    previous: Attention | None  # the override that the model came with
    # The modules that are running, innermost last, each with its attention calls to come.
    running: list[tuple[torch.nn.Module, list[Layer]]] = field(default_factory=list)

    @contextmanager
    def forward(self, row: Transformer, net: torch.nn.Module) -> Iterator[None]:
        """Around a forward pass, during which ``running`` is kept; see `AttentionProbe.forward`.

        What a hook returns would replace the output: it returns None.
        """
        calls: dict[torch.nn.Module, list[Layer]] = {}
        for layer, module in layers_of(row, net).items():  # now that what patches exchange is in place
            calls.setdefault(module, []).append(layer)
        with self.probe.forward(), ExitStack() as afterwards:
            if row.without_options:  # for one forward pass: it is a global of ComfyUI's
                asking: Any = importlib.import_module(row.without_options)
                afterwards.callback(setattr, asking, "optimized_attention", asking.optimized_attention)
                asking.optimized_attention = self._asked(asking.optimized_attention)
            afterwards.callback(net.register_forward_pre_hook(self._check_input).remove)
            for module, expected in calls.items():
                afterwards.callback(module.register_forward_pre_hook(self._begin(expected)).remove)
                afterwards.callback(module.register_forward_hook(self._end, always_call=True).remove)
            yield

    def _check_input(self, module: Any, arguments: tuple[Any, ...]) -> None:
        """Refuse a call of the model with a part of the images, or with something else."""
        x = arguments[0]
        shape = (x.shape[0], *x.shape[-2:])
        if shape != self.input_shape:
            expected, got = ("×".join(map(str, sides)) for sides in (self.input_shape, shape))
            raise CaptureError(
                f"Expected the model to be called once, with all images ({expected}), got {got}. What calls "
                f"it in parts, or with further images, does this: {ADVICE}"
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
        image = None
        if layer is not None and layer in self.probe.layers:
            image = self._gather(layer, q, k, heads, {**dict(zip(("mask",), args, strict=False)), **named})
        # ComfyUI itself asks an override only where the call brings its options.
        previous = self.previous if "transformer_options" in named else None
        if previous is None:
            output = function(q, k, v, heads, *args, **named)
        else:
            output = previous(function, q, k, v, heads, *args, **named)
        if layer is not None and image is not None:
            tokens = output if output.ndim == 3 else output.transpose(1, 2).flatten(2)
            self.probe.finished(layer, tokens[:, image], self.tokens.grid)
        return output

    def _gather(
        self, layer: Layer, q: torch.Tensor, k: torch.Tensor, heads: int, named: dict[str, Any]
    ) -> slice:
        comfy.model_management.throw_exception_if_processing_interrupted()
        further = sum(named.get("transformer_options", {}).get("reference_image_num_tokens", ()))
        if further:
            raise CaptureError(
                f"Expected the tokens of one image at {layer}, got {further} of reference images beside: "
                "connect the model and conditioning without them."
            )
        if not named.get("skip_reshape", False):  # [B, tokens, heads·d]
            width = q.shape[-1] // heads
            q, k = (tensor.unflatten(-1, (-1, width)).transpose(1, 2) for tensor in (q, k))
        return self.probe.gather(layer, q, k, self.tokens, named.get("mask"))

    def _asked(self, original: Attention) -> Attention:
        """What stands in for the attention of a module that calls it without transformer_options."""

        def attention(*args: Any, **named: Any) -> torch.Tensor:
            if "transformer_options" in named:  # of a release that brings them: ComfyUI asks by itself
                return original(*args, **named)
            return self.attend(original, *args, **named)

        return attention
