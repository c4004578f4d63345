"""Keeping a UNet's queries to the text beside a forward pass: of which layers, and how."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
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
    is changed. A capture does not need them: where a patch runs a layer twice, with other tokens or not at
    all, none are kept, and the log says why.

    Args:
        choose: gives the layers. It is called when this is opened: the host has then put in place what
            patches exchange in the model.
        batch: number of images.
        accumulator: keeps them.
    """
    layers = choose()
    pending = [layer.name for layer in layers]
    problems: list[str] = []
    grids: dict[torch.nn.Module, GridSize] = {}  # of the modules as they run; patches may have shrunk them

    def note_grid(module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        image: torch.Tensor = arguments[0] if arguments else named["x" if "x" in named else "hidden_states"]
        grids[module] = GridSize(*image.shape[-2:])

    def keep(layer: QueryLayer, module: Any, arguments: Any, queries: torch.Tensor) -> None:
        # What a hook returned would replace what it saw: it returns None.
        grid = grids[layer.around]
        if queries.shape[:2] != (batch, grid.tokens):
            problems.append(
                f"of {batch} image(s) of {grid.tokens} tokens ({grid}) at {layer.name}, got "
                f"{queries.shape[0]} of {queries.shape[1]}. What merges tokens, or adds those of another "
                "image, does this"
            )
        elif layer.name not in pending:
            problems.append(
                f"at {layer.name} once, but they came again. What runs a layer twice in a step does this"
            )
        elif not problems:
            accumulator.keep_queries(layer.name, queries, layer.heads, grid)
        if layer.name in pending:
            pending.remove(layer.name)

    with ExitStack() as afterwards:
        for module in dict.fromkeys(layer.around for layer in layers):
            afterwards.callback(module.register_forward_pre_hook(note_grid, with_kwargs=True).remove)
        for layer in layers:
            projection = layer.attention.to_q
            if isinstance(projection, torch.nn.Module):  # a patch may have put a function there
                afterwards.callback(projection.register_forward_hook(partial(keep, layer)).remove)
        yield
    if pending:
        problems.append(
            f"of {len(layers)} layers, but {pending[0]} did not run ({len(pending)} missing). What replaces "
            "whole blocks or skips them does this"
        )
    if problems:
        logging.getLogger(__name__).warning(
            "No queries to the text were kept. Expected the queries to the text %s.", problems[0]
        )
        accumulator.drop_queries()
