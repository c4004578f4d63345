"""Watching the joint attention of a diffusers transformer while it runs, without changing it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ..errors import CaptureError
from .transformers import Layer

Attended: TypeAlias = Callable[[Layer, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None], None]
"""What becomes of a layer's query, key and output, all ``[B, heads, tokens, d]``, of image and text, and of
the mask over its keys, if there is one."""


class EnoughError(Exception):
    """Every chosen layer has run: the rest of the forward pass is not needed. Never leaves this module."""


def watch_attention(
    layers: dict[Layer, torch.nn.Module], run: Callable[[], Any], attended: Attended, stop_early: bool
) -> None:
    """Run a model, and hand over what each chosen layer attends with.

    Args:
        layers: the chosen ones, with their modules.
        run: calls the model.
        attended: is called with each of them, once.
        stop_early: whether the run may end with the last of them.

    Raises:
        CaptureError: a chosen layer did not run, ran again, or attended to tokens of another image.
    """
    watch = _Watch(layers, attended, stop_early)
    with ExitStack() as afterwards:
        for layer, module in layers.items():
            afterwards.callback(module.register_forward_pre_hook(watch.begin(layer)).remove)
            afterwards.callback(module.register_forward_hook(watch.end).remove)
        try:
            with watch:
                run()
        except EnoughError:
            pass
    if watch.pending:
        raise CaptureError(
            f"Expected {len(layers)} attention layers to run once, but {watch.pending[0]} did not "
            f"({len(watch.pending)} missing). A cache that skips blocks does this, and so does an "
            'attention backend other than PyTorch\'s own: set_attention_backend("native") of the '
            "transformer takes it back."
        )


class _Watch(TorchFunctionMode):
    """While open, attention is handed over where a chosen layer runs. For its own thread alone."""

    def __init__(self, layers: Collection[Layer], attended: Attended, stop_early: bool) -> None:
        super().__init__()
        self.pending = list(layers)
        self.attended = attended
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
            given = {**dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)), **named}
            self._hand_over(layer, given["query"], given["key"], output, given.get("attn_mask"))
        return output

    def _hand_over(
        self,
        layer: Layer,
        query: torch.Tensor,
        key: torch.Tensor,
        output: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> None:
        """A chosen layer is done."""
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
        self.attended(layer, query, key, output, mask)
        self.pending.remove(layer)
        if not self.pending and self.stop_early:
            raise EnoughError
