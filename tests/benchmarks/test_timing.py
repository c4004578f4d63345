"""Ratios of what was measured in pairs."""

from __future__ import annotations

import pytest
from diffseg_benchmarks.timing import Spread, ratios


def test_a_ratio_is_made_within_each_pair() -> None:
    # The second pair met a machine ten times as slow: its ratio is as good as the others.
    assert ratios([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == Spread(median=2.0, least=2.0, most=3.0, count=3)


def test_pairs_have_two_sides() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])
