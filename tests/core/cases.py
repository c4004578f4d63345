"""Cases of which some run each time, and all of them in `make test-all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def exhaustive_but(chosen: Iterable[Any], values: Iterable[Any]) -> list[Any]:
    """Values for `parametrize`, of which all but the chosen ones are exhaustive."""
    chosen, values = list(chosen), list(values)
    assert all(value in values for value in chosen), "the chosen ones are among the values"
    return [
        value if value in chosen else pytest.param(value, marks=pytest.mark.exhaustive) for value in values
    ]
