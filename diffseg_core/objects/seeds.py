"""What prompts fix of an object, leaf by leaf."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Bitmap = npt.NDArray[np.bool_]


class Seeds:
    """The leaves that prompts fix. The last one's word counts; clicks for and against one leaf divide it.

    Args:
        count: of leaves, S.
    """

    def __init__(self, count: int) -> None:
        self._positive = np.zeros(count, dtype=bool)
        self._negative = np.zeros(count, dtype=bool)
        self._clicked = np.zeros(count, dtype=bool)
        self._beyond = np.zeros(count, dtype=bool)

    def add(self, leaves: npt.NDArray[np.int64] | list[int], positive: bool, is_click: bool = False) -> None:
        """Fix some leaves, for the object or against it."""
        own, other = self._positive, self._negative
        if not positive:
            own, other = other, own
        own[leaves] = True
        other[leaves] &= self._clicked[leaves] & is_click
        self._clicked[leaves] = is_click
        self._beyond[leaves] = False

    def bound(self, outside: Bitmap) -> None:
        """Fix what lies outside a box around the object against it, but for what is fixed already."""
        leaves = np.flatnonzero(outside & self.free)
        self.add(leaves, False)
        self._beyond[leaves] = True

    def release(self, leaves: Bitmap) -> None:
        """Fix leaves no longer that lie outside a box."""
        released = leaves & self._beyond
        self._negative &= ~released
        self._beyond &= ~released

    @property
    def beyond(self) -> Bitmap:
        """Leaves that are against the object for lying outside a box alone: bool ``[S]``."""
        return self._beyond

    @property
    def divided(self) -> Bitmap:
        """Leaves with clicks for and against."""
        return self._positive & self._negative

    def of(self, positive: bool) -> Bitmap:
        """The leaves for the object, or those against it: bool ``[S]``."""
        return self._positive if positive else self._negative

    @property
    def free(self) -> Bitmap:
        """The leaves that nothing fixes: bool ``[S]``."""
        free: Bitmap = ~(self._positive | self._negative)
        return free

    @property
    def leaves(self) -> tuple[list[int], list[int]]:
        """Those for the object, and those against it."""
        return self._positive.nonzero()[0].tolist(), self._negative.nonzero()[0].tolist()

    @property
    def values(self) -> Numbers:
        """1 for, 0 against, a half with both words; NaN of a free leaf."""
        values = np.where(self._positive, 1.0, np.where(self._negative, 0.0, np.nan))
        values[self.divided] = 0.5
        return values

    def applied_to(self, label: Numbers) -> Numbers:
        """The label of every leaf, 1 for the object, with what is fixed."""
        return np.where(self._positive, 1.0, np.where(self._negative, 0.0, label))
