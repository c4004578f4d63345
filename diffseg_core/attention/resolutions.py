"""Which of a UNet's resolutions to capture."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InvalidSettingError
from ..settings import RESOLUTIONS


def select_levels(levels: Iterable[int], resolutions: str) -> set[int]:
    """Choose among the levels at which a UNet has self-attention.

    Args:
        levels: how often the latent was halved at each of the UNet's self-attention layers; 0 is the
            finest, repeats allowed.
        resolutions: "all", "finest", "finest two", or "all but finest" (for large images: the finest
            maps take sixteen times the memory of the next).

    Raises:
        InvalidSettingError: an unknown choice, or one that leaves no level.

    >>> sorted(select_levels([1, 2, 2, 3], "finest two"))
    [1, 2]
    """
    ordered = sorted(set(levels))
    choices = {
        "all": ordered,
        "finest": ordered[:1],
        "finest two": ordered[:2],
        "all but finest": ordered[1:],
    }
    chosen = set(choices[RESOLUTIONS.checked(resolutions)])
    if not chosen:
        raise InvalidSettingError(
            f"Expected {resolutions!r} to leave a resolution, but the model has self-attention at "
            f"{len(ordered)} resolution(s)."
        )
    return chosen
