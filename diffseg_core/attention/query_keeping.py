"""Keeping a UNet's queries to the text beside a forward pass: of which layers, and how."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch

from ..grid import GridSize
from .accumulator import AttentionAccumulator
from .key_pooling import pooled_grid
from .probe import AttentionProbe

Part = Literal["down", "middle", "up"]
"""Of a UNet."""
HALF = 2  # bytes of a number in half precision
MOST_BYTES = 64_000_000  # of the queries of one image that are kept without being asked for


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
    """The cross-attention layers of a UNet that are most informative of what the text says of a place.

    Of SD 1.x and 2.x those at the latent halved once and twice (32² and 16² of images of 512), which iSeg and
    FastSeg found to matter; of a UNet without both, its two coarsest levels. Of SDXL's class those of the up
    blocks at the coarsest level (32² for images of 1024). Middle blocks are left out. Of these, as many are
    kept as cost little; see `worth_keeping`.

    Args:
        layers: all of the UNet's, in running order.
        is_sdxl: whether it is of SDXL's class.
        latent: its height and width. Each halving rounds up.
    """
    parts = ("up",) if is_sdxl else ("down", "up")
    levels = sorted({layer.level for layer in layers if layer.part in parts})
    chosen = levels[-1:] if is_sdxl else [1, 2] if {1, 2} <= set(levels) else levels[-2:]
    informative = [layer for layer in layers if layer.part in parts and layer.level in chosen]
    sizes = [pooled_grid(latent, 2**layer.level).tokens * layer.width * HALF for layer in informative]
    return [informative[place] for place in worth_keeping(sizes)]


def worth_keeping(sizes: Sequence[int]) -> list[int]:
    """Of which layers to keep the queries: evenly spread ones, as many as cost little.

    Args:
        sizes: bytes of each layer's queries for one image, in running order.

    Returns:
        places in ``sizes``, ascending: of at most 64 MB, or of one layer.
    """
    kept: list[int] = []
    for count in range(len(sizes), 0, -1):
        kept = [(2 * place + 1) * len(sizes) // (2 * count) for place in range(count)]
        if sum(sizes[place] for place in kept) <= MOST_BYTES:
            break
    return kept


@contextmanager
def keeping_queries(
    layers_of: Callable[[], Sequence[QueryLayer]], is_sdxl: bool, latent: GridSize, probe: AttentionProbe
) -> Iterator[None]:
    """Around one forward pass of a UNet, as `AttentionProbe.forward`; some layers' queries are kept, too.

    They are read behind the projection, whatever patches of others do to the rest of the layer, and nothing
    is changed. A capture does not need them: where a patch runs a layer twice, with other tokens or not at
    all, none are kept, and the log says why.

    Args:
        layers_of: gives all layers, for `layers_to_keep`. It is called when this is opened: the host has then
            put in place what patches exchange in the model.
        is_sdxl, latent: see `layers_to_keep`.
        probe: meets the layers of self-attention; its accumulator keeps the queries.
    """
    accumulator = probe.accumulator
    assert isinstance(accumulator, AttentionAccumulator), "a UNet's words are read by its kept queries"
    layers = layers_to_keep(layers_of(), is_sdxl, latent)
    pending = [layer.name for layer in layers]
    spoilt: list[str] = []  # names of layers that ran twice or with other tokens
    grids: dict[torch.nn.Module, GridSize] = {}  # of the modules as they run; patches may have shrunk them

    def note_grid(module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        image: torch.Tensor = arguments[0] if arguments else named["x" if "x" in named else "hidden_states"]
        grids[module] = GridSize(*image.shape[-2:])

    def keep(layer: QueryLayer, module: Any, arguments: Any, queries: torch.Tensor) -> None:
        # What a hook returned would replace what it saw: it returns None.
        grid = grids[layer.around]
        if layer.name in pending and queries.shape[:2] == (probe.batch, grid.tokens):
            pending.remove(layer.name)
            accumulator.keep_queries(layer.name, queries, layer.heads, grid)
        else:
            spoilt.append(layer.name)

    with ExitStack() as afterwards:
        for module in dict.fromkeys(layer.around for layer in layers):
            afterwards.callback(module.register_forward_pre_hook(note_grid, with_kwargs=True).remove)
        for layer in layers:
            projection = layer.attention.to_q
            if isinstance(projection, torch.nn.Module):  # a patch may have put a function there
                afterwards.callback(projection.register_forward_hook(partial(keep, layer)).remove)
        with probe.forward():
            yield
    if spoilt or pending:
        logging.getLogger(__name__).warning(
            "No queries to the text were kept: expected %s to run once, on its own tokens, but it did not. "
            "What merges tokens, adds those of another image, or runs or skips layers by itself does this.",
            (spoilt or pending)[0],
        )
        accumulator.drop_queries()
