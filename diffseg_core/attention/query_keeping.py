"""Keeping the queries of chosen layers during one forward pass, whatever host runs it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from ..errors import CaptureError
from ..grid import GridSize
from .accumulator import AttentionAccumulator


@dataclass
class QueryKeeper:
    """Hands each chosen layer's queries to the accumulator once.

    Patches may run a layer twice, with other tokens, or not at all. Where all queries were asked for, that
    is an error. Kept by themselves, they are then done without, and the log says so: a capture does not fail
    for what may not be needed.

    Args:
        layers: names of the chosen ones.
        batch: number of images.
        accumulator: keeps them.
        asked_for: whether they must be kept.
        advice: what to do where they cannot be, the end of every message.
    """

    layers: Sequence[str]
    batch: int
    accumulator: AttentionAccumulator
    asked_for: bool
    advice: str
    _pending: list[str] = field(init=False)
    _given_up: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._pending = list(self.layers)

    def keep(self, layer: str, queries: torch.Tensor, heads: int, grid: GridSize) -> None:
        """Keep the queries of a layer that has run.

        Args:
            layer: its name.
            queries: ``[B, n, heads*d]``, as projected.
            heads: their number.
            grid: the layer's h and w.

        Raises:
            CaptureError: they were asked for, and are of other images or tokens, or came before.
        """
        if self._given_up:
            return
        if queries.shape[:2] != (self.batch, grid.tokens):
            self._give_up(
                f"Expected queries to the text of {self.batch} image(s) of {grid.tokens} tokens ({grid}) "
                f"at {layer}, got {queries.shape[0]} of {queries.shape[1]}. What merges tokens, or adds "
                "those of another image, does this"
            )
        elif layer not in self._pending:
            self._give_up(
                f"Expected the queries to the text at {layer} once, but they came again. What runs a layer "
                "twice in a step does this"
            )
        else:
            self._pending.remove(layer)
            self.accumulator.keep_queries(layer, queries, heads, grid)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Around the forward pass.

        Raises:
            CaptureError: they were asked for, and a layer did not run.
        """
        yield
        if self._pending and not self._given_up:
            self._give_up(
                f"Expected the queries to the text of {len(self.layers)} layers, but {self._pending[0]} did "
                f"not run ({len(self._pending)} missing). What replaces whole blocks or skips them does this"
            )

    def _give_up(self, reason: str) -> None:
        if self.asked_for:
            raise CaptureError(f"{reason}: {self.advice}")
        logging.getLogger(__name__).warning("No queries to the text were kept. %s.", reason)
        self._given_up = True
        self.accumulator.drop_queries()
