"""The life of one watched forward pass: which layers are met, what is taken at each, and what went wrong.

A host meets the layers in its own way (patches, hooks, attention processors) and calls the probe there. A
layer that is met twice, with other tokens or not at all is an error here, in one sentence for all hosts,
which say what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import torch

from ..errors import CaptureError
from ..grid import GridSize
from .accumulator import AttentionAccumulator
from .text import TextAccumulator

RUNS_UNCOMPILED = hasattr(torch.compiler, "set_stance")  # from torch 2.6 on


@dataclass(frozen=True)
class Layer:
    """One attention layer over the image.

    Attributes:
        block: of a transformer the number from 0, in running order over all kinds of blocks; of a UNet how
            often the latent was halved.
        name: for messages.
        has_text: whether text is among its tokens; otherwise it is of the image alone.
    """

    block: int
    name: str
    has_text: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class ImageTokens:
    """Where the image's tokens lie among those of a layer.

    Attributes:
        grid: h and w of the image's tokens.
        side: of the others, before or behind which the image's tokens lie.
        padded: number of the image's tokens with their padding, which lies behind them; 0 for no padding.
        others: number of further tokens where it is known, 0 for none; None for any.
    """

    grid: GridSize
    side: Literal["first", "last"] = "first"
    padded: int = 0
    others: int | None = 0

    def locate(self, layer: Layer, tokens: int) -> slice:
        """The image's tokens among all of a layer.

        Raises:
            CaptureError: the layer has others.
        """
        padded = max(self.padded, self.grid.tokens)
        others = self.others if layer.has_text else 0
        if tokens < padded or others not in (None, tokens - padded):
            number = "more" if others is None else f"{others} others"
            raise CaptureError(
                f"Expected {padded} tokens of an image of {self.grid} and {number} at {layer}, got {tokens}. "
                "What merges or folds tokens (ToMe, HyperTile), or adds an image or text, does this"
            )
        start = 0 if self.side == "first" or not layer.has_text else tokens - padded
        return slice(start, start + self.grid.tokens)


class StopForwardError(Exception):
    """Every chosen layer has run: the rest of the forward pass is not needed. `forward` catches it."""


@dataclass(eq=False)
class AttentionProbe:
    """Meets the chosen layers of forward passes, each once a pass.

    Args:
        layers: the chosen ones.
        batch: number of images.
        accumulator: gathers the self-attention of the image's tokens, or what they pay to the text's.
        advice: what a person does where a patch or cache is in the way, the end of every message.
        feature_layer: whose output is kept as the features; None for none, or with the text's attention.
        stop_early: whether a pass may end with the last of the layers.
        on_layer: called with the number of layers done in this pass, and their total.
    """

    layers: Sequence[Layer]
    batch: int
    accumulator: AttentionAccumulator | TextAccumulator
    advice: str
    feature_layer: Layer | None = None
    stop_early: bool = False
    on_layer: Callable[[int, int], None] = lambda done, total: None
    _pending: list[Layer] = field(default_factory=list, init=False)

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Around a forward pass, which may end early.

        Raises:
            CaptureError: a chosen layer did not run.
        """
        self._pending = list(self.layers)
        with suppress(StopForwardError):
            yield
        if self._pending:
            self._refuse(
                f"Expected all {len(self.layers)} attention layers to run once, but {self._pending[0]} did "
                f"not ({len(self._pending)} missing). What replaces or skips whole blocks (a cache), "
                "compiles the model or attends by other means does this"
            )

    def attend(
        self, layer: Layer, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, grid: GridSize
    ) -> torch.Tensor:
        """Compute a chosen self-attention layer from the very probabilities that are gathered.

        Args:
            layer, grid: h and w of its tokens.
            query, key, value: ``[B, heads, n, d]``, as the output.

        Raises:
            CaptureError: it ran before, or on other tokens.
        """
        assert isinstance(self.accumulator, AttentionAccumulator), "the text's leaves the output to the host"
        self._locate(layer, query, key, ImageTokens(grid))
        output = self.accumulator.attend(query, key, value, grid)
        self._done(layer)
        return output

    def gather(
        self,
        layer: Layer,
        query: torch.Tensor,
        key: torch.Tensor,
        tokens: ImageTokens,
        mask: torch.Tensor | None = None,
    ) -> slice:
        """Take what a layer attends with, whose output the model computes itself.

        Self-attention is the softmax over the image's tokens alone; attention to the text, which is all that
        is not the image, the text's columns of the softmax over all tokens.

        Args:
            layer: a chosen one.
            query, key: ``[B, heads, n, d]``, of all tokens; keys perhaps of fewer heads.
            tokens: which of them are the image's.
            mask: over the keys; see `TextAccumulator.gather`.

        Returns:
            the image's tokens, for `finished`.

        Raises:
            CaptureError: it ran before, or on other tokens.
        """
        image = self._locate(layer, query, key, tokens)
        if isinstance(self.accumulator, TextAccumulator):
            text = slice(0, image.start) if image.start else slice(image.stop, key.shape[2])
            self.accumulator.gather(query[:, :, image], key, tokens.grid, text, mask=mask)
        else:
            self.accumulator.gather(query[:, :, image], key[:, :, image], tokens.grid)
        return image

    def finished(self, layer: Layer, output: torch.Tensor, grid: GridSize) -> None:
        """A layer that was gathered is done, with its output for the image's tokens, ``[B, n, C]``."""
        self.keep_output(layer, output, grid)
        self._done(layer)
        if not self._pending and self.stop_early:
            raise StopForwardError

    def keep_output(self, layer: Layer, output: torch.Tensor, grid: GridSize) -> None:
        """Keep the output ``[B, n, C]`` for the image's tokens, if the layer is that of the features."""
        if layer == self.feature_layer and isinstance(self.accumulator, AttentionAccumulator):
            self.accumulator.keep_features(output, grid)

    def _locate(self, layer: Layer, query: torch.Tensor, key: torch.Tensor, tokens: ImageTokens) -> slice:
        if layer not in self._pending:
            self._refuse(
                f"Expected {layer} to run once, but it ran again. What calls the model more than once a step "
                "does this"
            )
        if query.shape[2] != key.shape[2]:
            self._refuse(
                f"Expected as many keys as queries at {layer}, got {key.shape[2]} and {query.shape[2]}. What "
                "merges or folds tokens (ToMe, HyperTile) or adds those of another image (reference "
                "attention, IP-Adapter) does this"
            )
        if (len(query), len(key)) != (self.batch, self.batch):
            self._refuse(
                f"Expected {self.batch} image(s) at {layer}, got {len(query)}. What folds images "
                "(HyperTile) or calls the model in parts does this"
            )
        try:
            return tokens.locate(layer, query.shape[2])
        except CaptureError as error:
            self._refuse(str(error))

    def _done(self, layer: Layer) -> None:
        self._pending.remove(layer)
        self.on_layer(len(self.layers) - len(self._pending), len(self.layers))

    def _refuse(self, reason: str) -> NoReturn:
        raise CaptureError(f"{reason}: {self.advice}")


def not_compiled() -> Any:
    """A context in which compiled modules run as they were written, so that every hook and layer is met.

    Before torch 2.6 there is none, and a compiled module runs compiled.
    """
    return torch.compiler.set_stance("force_eager") if RUNS_UNCOMPILED else nullcontext()


def uncompiled(module: Any) -> Any:
    """What `torch.compile` was given, where a module is what it gave; else the module itself."""
    while hasattr(module, "_orig_mod"):
        module = module._orig_mod
    return module
