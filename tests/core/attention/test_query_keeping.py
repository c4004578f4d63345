"""Queries of chosen layers are kept once each; what cannot be is done without."""

from __future__ import annotations

import re

import pytest
import torch

from diffseg_core import AttentionAccumulator, GridSize
from diffseg_core.attention.query_keeping import QueryKeeper

GRID = GridSize(2, 3)
QUERIES = torch.ones(1, 6, 4)


def kept(calls: list[tuple[str, torch.Tensor]]) -> list[str]:
    """The names of the layers kept, of "one" and "two", when these calls come."""
    accumulator = AttentionAccumulator()
    accumulator.gather(torch.zeros(1, 1, 6, 4), torch.zeros(1, 1, 6, 4), GRID)
    keeper = QueryKeeper(["one", "two"], 1, accumulator)
    for layer, queries in calls:
        keeper.keep(layer, queries, 2, GRID)
    keeper.finish()
    return [each.layer for each in accumulator.finish().queries]


def test_each_layer_is_kept_once():
    assert kept([("one", QUERIES), ("two", QUERIES)]) == ["one", "two"]


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ([("one", QUERIES), ("one", QUERIES), ("two", QUERIES)], "at one once, but they came again"),
        ([("one", QUERIES)], r"of 2 layers, but two did not run \(1 missing\)"),
        ([("one", QUERIES), ("two", QUERIES[:, :4])], r"of 6 tokens \(2×3\) at two, got 1 of 4"),
        ([("one", QUERIES), ("two", QUERIES.repeat(2, 1, 1))], "at two, got 2 of 6"),
    ],
)
def test_what_cannot_be_kept_is_done_without_and_the_log_says_why(calls, reason, caplog):
    assert kept(calls) == []
    (message,) = caplog.messages
    assert message.startswith("No queries to the text were kept. Expected ")
    assert re.search(reason, message)
