"""Queries of chosen layers are kept once each; what cannot be is done without."""

from __future__ import annotations

import torch

from diffseg_core import AttentionAccumulator, GridSize
from diffseg_core.attention.probe import AttentionProbe
from diffseg_core.attention.query_keeping import QueryLayer, keeping_queries

GRID = GridSize(2, 3)
QUERIES = torch.ones(1, 6, 4)


class Attention(torch.nn.Module):
    """A layer of whose parts the projection is all that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q = torch.nn.Identity()


def kept(calls: list[tuple[str, torch.Tensor]]) -> list[str]:
    """The names of the layers kept, of "one" and "two", when their projections give these."""
    accumulator = AttentionAccumulator()
    accumulator.gather(torch.zeros(1, 1, 6, 4), torch.zeros(1, 1, 6, 4), GRID)
    around, modules = torch.nn.Identity(), {"one": Attention(), "two": Attention()}
    layers = [QueryLayer(name, "down", 0, 2, 4, module, around) for name, module in modules.items()]
    probe = AttentionProbe([], 1, accumulator, "")
    with keeping_queries(lambda: layers, False, GRID, probe):
        around(torch.zeros(1, 4, *GRID))
        for name, queries in calls:
            modules[name].to_q(queries)
    return [layer.layer for layer in accumulator.finish().queries]


def test_each_layer_is_kept_once():
    assert kept([("one", QUERIES), ("two", QUERIES)]) == ["one", "two"]


def test_what_cannot_be_kept_is_done_without_and_the_log_says_where(caplog):
    for calls, name in (
        ([("one", QUERIES), ("one", QUERIES), ("two", QUERIES)], "one"),
        ([("one", QUERIES)], "two"),
        ([("one", QUERIES), ("two", QUERIES[:, :4])], "two"),
        ([("one", QUERIES), ("two", QUERIES.repeat(2, 1, 1))], "two"),
    ):
        caplog.clear()
        assert kept(calls) == []
        (message,) = caplog.messages
        assert message.startswith(f"No queries to the text were kept: expected {name} to run once")
