"""Keeping a UNet's queries to the text beside a forward pass: of which layers, and how."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from ..grid import GridSize
from .accumulator import AttentionAccumulator
from .key_pooling import pooled_grid
from .text import Part, layers_for_text, worth_keeping

HALF = 2  # bytes of a number in half precision


@dataclass(frozen=True, eq=False)
class QueryLayer:
    """One layer of a UNet that attends to the text.

    Attributes:
        name: by which the host finds it again in another copy of the same model.
        part: of the UNet.
        level: how often the latent was halved.
        heads: their number.
        width: numbers to a query, of all heads together.
        attention: the module, whose ``to_q`` and ``to_k`` make its queries and keys.
        around: the module that is called with the image, ``[B, C, h, w]``, that the tokens are of.
    """

    name: str
    part: Part
    level: int
    heads: int
    width: int
    attention: Any
    around: torch.nn.Module


def layers_to_keep(layers: Sequence[QueryLayer], is_sdxl: bool, latent: GridSize) -> list[QueryLayer]:
    """The layers whose queries a capture keeps; see `layers_for_text` and `worth_keeping`.

    Args:
        layers: all of the UNet's, in running order.
        is_sdxl: whether it is of SDXL's class.
        latent: its height and width. Each halving rounds up.
    """
    places = layers_for_text([(layer.part, layer.level) for layer in layers], is_sdxl)
    informative = [layers[place] for place in places]
    sizes = [pooled_grid(latent, 2**layer.level).tokens * layer.width * HALF for layer in informative]
    return [informative[place] for place in worth_keeping(sizes)]


@contextmanager
def keeping_queries(
    choose: Callable[[], Sequence[QueryLayer]], batch: int, accumulator: AttentionAccumulator
) -> Iterator[None]:
    """While open, one forward pass of a UNet hands some layers' queries to the accumulator.

    They are read behind the projection, whatever patches of others do to the rest of the layer, and nothing
    is changed. Where they cannot be kept they are done without, see `QueryKeeper`.

    Args:
        choose: gives the layers. It is called when this is opened: the host has then put in place what
            patches exchange in the model.
        batch: number of images.
        accumulator: keeps them.
    """
    layers = choose()
    keeper = QueryKeeper([layer.name for layer in layers], batch, accumulator)
    grids: dict[torch.nn.Module, GridSize] = {}  # of the modules as they run; patches may have shrunk them

    def note_grid(module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        image: torch.Tensor = arguments[0] if arguments else named["x" if "x" in named else "hidden_states"]
        grids[module] = GridSize(*image.shape[-2:])

    def keep(layer: QueryLayer) -> Callable[[Any, Any, torch.Tensor], None]:
        # What a hook returned would replace what it saw: it returns None.
        return lambda module, arguments, queries: keeper.keep(
            layer.name, queries, layer.heads, grids[layer.around]
        )

    with ExitStack() as afterwards:
        for module in dict.fromkeys(layer.around for layer in layers):
            afterwards.callback(module.register_forward_pre_hook(note_grid, with_kwargs=True).remove)
        for layer in layers:
            projection = layer.attention.to_q
            if isinstance(projection, torch.nn.Module):  # a patch may have put a function there
                afterwards.callback(projection.register_forward_hook(keep(layer)).remove)
        yield
    keeper.finish()


@dataclass
class QueryKeeper:
    """Hands each chosen layer's queries to the accumulator once.

    Patches may run a layer twice, with other tokens, or not at all. Queries are then done without, and the
    log says so: a capture does not fail for what may not be needed.

    Args:
        layers: names of the chosen ones.
        batch: number of images.
        accumulator: keeps them.
    """

    layers: Sequence[str]
    batch: int
    accumulator: AttentionAccumulator
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

    def finish(self) -> None:
        """After the forward pass: keep nothing where a layer did not run."""
        if self._pending and not self._given_up:
            self._give_up(
                f"Expected the queries to the text of {len(self.layers)} layers, but {self._pending[0]} did "
                f"not run ({len(self._pending)} missing). What replaces whole blocks or skips them does this"
            )

    def _give_up(self, reason: str) -> None:
        logging.getLogger(__name__).warning("No queries to the text were kept. %s.", reason)
        self._given_up = True
        self.accumulator.drop_queries()
