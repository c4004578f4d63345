"""What is gathered at a transformer's attention calls: attention among the image's tokens, or to the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from ...diffseg_core import AttentionAccumulator, GridSize
from ...diffseg_core.attention.text import TextAccumulator
from .transformers import Layer


class Gathering(Protocol):
    """What is done at each chosen layer of a forward pass."""

    @property
    def layers(self) -> int:
        """Number of layers gathered so far."""

    def gather(
        self, q: torch.Tensor, k: torch.Tensor, where: slice, grid: GridSize, named: dict[str, Any]
    ) -> None:
        """Take the queries and keys of all tokens, ``[B, heads, tokens, d]``.

        Args:
            q: queries.
            k: keys, perhaps of fewer heads.
            where: which tokens are the image's.
            grid: h and w of these.
            named: arguments of the attention call.
        """

    def finished(self, layer: Layer, output: torch.Tensor) -> None:
        """Look at the layer's output for the image's tokens, ``[B, n, C]``."""


@dataclass(frozen=True)
class AmongTheImage:
    """The self-attention of the image's tokens, and one layer's output as the features."""

    accumulator: AttentionAccumulator
    featured: Layer
    grid: GridSize

    @property
    def layers(self) -> int:
        """Number of layers gathered so far."""
        return self.accumulator.layers

    def gather(
        self, q: torch.Tensor, k: torch.Tensor, where: slice, grid: GridSize, named: dict[str, Any]
    ) -> None:
        """The softmax over the image's tokens alone."""
        self.accumulator.gather(q[:, :, where], k[:, :, where], grid)

    def finished(self, layer: Layer, output: torch.Tensor) -> None:
        """Keep the output of the layer that stands for the features."""
        if layer == self.featured:
            self.accumulator.keep_features(output, self.grid)


@dataclass(frozen=True)
class ToTheText:
    """What the image's tokens pay to the text's, which are all that are not the image's."""

    accumulator: TextAccumulator

    @property
    def layers(self) -> int:
        """Number of layers gathered so far."""
        return self.accumulator.layers

    def gather(
        self, q: torch.Tensor, k: torch.Tensor, where: slice, grid: GridSize, named: dict[str, Any]
    ) -> None:
        """The text's columns of the softmax over all tokens; see `TextAccumulator.gather` for a mask."""
        text = slice(0, where.start) if where.start else slice(where.stop, k.shape[2])
        self.accumulator.gather(q[:, :, where], k, grid, text, mask=named.get("mask"))

    def finished(self, layer: Layer, output: torch.Tensor) -> None:
        """Nothing of it is kept."""
